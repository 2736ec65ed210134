import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { cancellable, type CallOptions } from '../addon/abort.js'
import type { HookKind, ModelHandle } from '../addon/binding.js'
import { native } from '../addon/native.js'
import { checkOptions, GradCamError } from '../base/errors.js'
import { checkByteLimit, checkThreads } from '../addon/runtime.js'
import type { DType } from '../tensor/dtype.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, unwrapValue, wrapValue, type Value } from '../tensor/values.js'
import {
  toPositional,
  type ForwardHook,
  type ForwardPreHook,
  type FullBackwardHook,
  type HookedModule,
  type HookHandle,
  type Model,
  type ModelCapabilities,
  type NamedModule,
  type RandomizedOptions,
  type SplitMemory,
} from './model.js'

export interface LoadOptions extends CallOptions {
  /** 'cpu' (the default), 'cuda', 'cuda:N', or 'auto' for CUDA where LibTorch sees a device. */
  device?: string
  /**
   * The intra-op threads of this model's executor. By default what {@link setNumThreads} says. Models run side by side, so
   * for several replicas on the CPU: the cores divided by their number.
   */
  threads?: number
  /**
   * How many bytes the model's splits may hold: see {@link Model.splitMemory}. By default 1 GiB, or four times the
   * model's parameters where that is more; Infinity for no limit. The split that was used last is kept whatever it holds.
   */
  splitMemory?: number
}

/**
 * A TorchScript model in eval mode, loaded from a `.pt` file that torch.jit.script or torch.jit.trace saved. What its
 * members do is said at {@link Model}.
 */
export class ScriptModule implements Model {
  readonly device: string
  readonly dtype: DType | null
  readonly capabilities: ModelCapabilities
  readonly #handle: ModelHandle
  #modules: readonly NamedModule[] | undefined
  #disposed = false

  private constructor(handle: ModelHandle) {
    const { device, dtype, ...capabilities } = handle.facts()
    this.#handle = handle
    this.device = device
    this.dtype = dtype as DType | null
    this.capabilities = capabilities
  }

  /**
   * Loads a TorchScript file.
   *
   * @param source the path of the file, or its bytes
   * @throws GradCamError ERR_FILE_NOT_FOUND, ERR_FILE_UNREADABLE, ERR_MODEL_CORRUPT; for files that are something else
   *   ERR_MODEL_IS_STATE_DICT, ERR_MODEL_IS_EAGER_PICKLE, ERR_MODEL_IS_EXPORTED_PROGRAM, ERR_MODEL_NOT_TORCHSCRIPT, each
   *   with how to export it; ERR_DEVICE
   */
  static async load(source: string | URL | Uint8Array, options: LoadOptions = {}): Promise<ScriptModule> {
    if (typeof source !== 'string' && !(source instanceof URL) && !(source instanceof Uint8Array))
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        'A model is loaded from a path, a file URL, or a Buffer of its bytes.',
      )
    if (source === '') throw new GradCamError('ERR_FILE_NOT_FOUND', 'The path of the model is empty.')
    const threads = options.threads === undefined ? 0 : checkThreads(options.threads)
    const { splitMemory } = options
    if (splitMemory !== undefined) checkByteLimit(splitMemory)
    const from = source instanceof URL ? fileURLToPath(source) : source
    const handle = await cancellable(
      options.signal,
      (ticket) => native().loadModel(from, options.device ?? 'cpu', threads, splitMemory, ticket),
      (late) => late.dispose(),
    )
    return new ScriptModule(handle)
  }

  /** @internal The native model, for the explainers. */
  get handle(): ModelHandle {
    if (this.#disposed)
      throw new GradCamError('ERR_DISPOSED', 'This ScriptModule was disposed. Load it again to use it.')
    return this.#handle
  }

  namedModules(): readonly NamedModule[] {
    return (this.#modules ??= this.handle.modules())
  }

  async forward<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    { signal }: CallOptions = {},
  ): Promise<Output> {
    const { handle } = this
    const output = await cancellable(
      signal,
      (ticket) => handle.forward(toPositional(inputs).map(unwrapValue), ticket),
      (late) => disposeValue(wrapValue(late)),
    )
    return wrapValue(output) as Output
  }

  splitMemory(): SplitMemory {
    const { kept, bytes, limit, built } = this.handle.splits()
    return { splits: kept, bytes, limit, made: built }
  }

  async randomized(options: RandomizedOptions = {}): Promise<ScriptModule> {
    const { seed = 0, modules = [''], signal } = checkOptions(options)
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new GradCamError('ERR_INVALID_ARGUMENT', `${inspect(seed)} is not a seed: give an integer from 0 on.`)
    if (!Array.isArray(modules) || modules.length === 0 || !modules.every((path) => typeof path === 'string'))
      throw new GradCamError('ERR_INVALID_ARGUMENT', "modules must be an array of paths, e.g. ['classifier'].")
    const { handle } = this
    const copy = await cancellable(
      signal,
      (ticket) => native().randomizedModel(handle, modules as readonly string[], seed, ticket),
      (late) => late.dispose(),
    )
    return new ScriptModule(copy)
  }

  checkLayer(path: string): void {
    this.handle.checkLayer(path)
  }

  registerForwardPreHook(path: string, hook: ForwardPreHook): HookHandle {
    return this.#register('forwardPre', path, hook as Hook)
  }

  registerForwardHook(path: string, hook: ForwardHook): HookHandle {
    return this.#register('forward', path, hook as Hook)
  }

  registerFullBackwardHook(path: string, hook: FullBackwardHook): HookHandle {
    return this.#register('fullBackward', path, hook as Hook)
  }

  #register(kind: HookKind, path: string, hook: Hook): HookHandle {
    if (typeof hook !== 'function') throw new GradCamError('ERR_INVALID_ARGUMENT', 'A hook must be a function.')
    const { handle } = this
    const found = this.namedModules().find((module) => module.path === path)
    const module: HookedModule = { path, typeName: found?.typeName ?? '' }
    const id = handle.addHook(kind, path, (...values) => {
      const answer = hook(module, ...values.map(wrapValue))
      if (answer instanceof Promise) {
        answer.catch(() => {}) // its failure would be reported a second time, as unhandled
        throw new GradCamError(
          'ERR_HOOK_RESULT',
          `The hook on '${path}' returned a promise, but the pass waits for it: hooks must be synchronous.`,
        )
      }
      return unwrapValue(answer)
    })
    const remove = () => handle.removeHook(id)
    return { remove, [Symbol.dispose]: remove }
  }

  dispose(): void {
    this.#disposed = true
    this.#handle.dispose()
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}

type Hook = (module: HookedModule, ...values: Value[]) => Value | undefined
