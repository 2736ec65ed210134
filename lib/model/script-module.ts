import { cancellable, type CallOptions } from '../addon/abort.js'
import type { HookKind, ModelHandle } from '../addon/binding.js'
import { toNativePlan } from '../exported/plan.js'
import { native } from '../addon/native.js'
import { expect, invalid, isInstance } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { checkByteLimit, checkThreads } from '../addon/runtime.js'
import type { DType } from '../tensor/dtype.js'
import type { Tensor } from '../tensor/tensor.js'
import { toModelInput, type ModelInput } from './model-input.js'
import { readPlan } from './open-plan.js'
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
   * The intra-op threads of this model's executor. By default those of {@link setNumThreads}. Models run side by side, so
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
 * A model in eval mode: a TorchScript file (`.pt`) that torch.jit.script or torch.jit.trace saved, or an exported program
 * (`.pt2`) of torch.export.save, which is rebuilt with its modules. What its members do is said at {@link Model}.
 */
export class ScriptModule implements Model {
  readonly device: string
  readonly dtype: DType | null
  readonly capabilities: ModelCapabilities
  readonly inputs: readonly ModelInput[] | null
  readonly #handle: ModelHandle
  #modules: readonly NamedModule[] | undefined
  #disposed = false

  /** True of real models alone: what merely has the prototype, such as a Proxy, cannot run. */
  static [Symbol.hasInstance](value: unknown): value is ScriptModule {
    return typeof value === 'object' && value !== null && #handle in value
  }

  private constructor(handle: ModelHandle, inputs: readonly ModelInput[] | null) {
    const { device, dtype, ...capabilities } = handle.facts()
    this.#handle = handle
    this.device = device
    this.dtype = dtype as DType | null
    this.capabilities = capabilities
    this.inputs = inputs
  }

  /**
   * Loads a TorchScript file or an exported program.
   *
   * @param source the path of the file, or its bytes
   * @throws GradCamError ERR_FILE_NOT_FOUND, ERR_FILE_UNREADABLE, ERR_MODEL_CORRUPT; for files that are something else
   *   ERR_MODEL_IS_STATE_DICT, ERR_MODEL_IS_EAGER_PICKLE, ERR_MODEL_NOT_TORCHSCRIPT, each with how to export it; for
   *   exported programs ERR_MODEL_UNSUPPORTED, ERR_MODEL_OPERATOR; ERR_DEVICE
   */
  static async load(source: string | URL | Uint8Array, options: LoadOptions = {}): Promise<ScriptModule> {
    const { device: where = 'cpu', threads, splitMemory, signal } = expect.options(options)
    if (typeof source !== 'string' && !isInstance(source, URL) && !isInstance(source, Uint8Array))
      throw invalid('source', 'a path, a file: URL, or a Buffer with the bytes of the file', source)
    if (source === '') throw new GradCamError('ERR_FILE_NOT_FOUND', 'The path of the model is empty.')
    const from = isInstance(source, Uint8Array) ? source : expect.path('source', source)
    const own = threads === undefined ? 0 : checkThreads(threads)
    if (splitMemory !== undefined) checkByteLimit(splitMemory)
    expect.string('device', where)
    let inputs: readonly ModelInput[] | null = null
    const start = (ticket: number): Promise<ModelHandle> => {
      const plan = readPlan(from, where === 'auto' ? (native().info().cuda ? 'cuda' : 'cpu') : where)
      if (!plan) return native().loadModel(from, where, own, splitMemory, ticket)
      inputs = plan.inputs.map(toModelInput)
      return native().loadPlan(toNativePlan(plan), where, own, splitMemory, ticket)
    }
    const handle = await cancellable(signal, start, (late) => late.dispose())
    return new ScriptModule(handle, inputs)
  }

  /** @internal The native model, for the explainers. */
  get handle(): ModelHandle {
    if (!(#handle in this)) throw invalid('this', 'a ScriptModule', this)
    if (this.#disposed)
      throw new GradCamError('ERR_DISPOSED', 'This ScriptModule was disposed.', { remedy: 'Load it again to use it.' })
    return this.#handle
  }

  namedModules(): readonly NamedModule[] {
    const { handle } = this
    return (this.#modules ??= handle.modules())
  }

  async forward<Output extends Value = Tensor>(
    inputs: Value | readonly Value[],
    options: CallOptions = {},
  ): Promise<Output> {
    const { signal } = expect.options(options)
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
    const { seed = 0, modules = [''], signal } = expect.options(options)
    expect.seed('seed', seed)
    const paths = expect.strings('modules', modules, "['classifier']")
    const { handle } = this
    const copy = await cancellable(
      signal,
      (ticket) => native().randomizedModel(handle, paths, seed, ticket),
      (late) => late.dispose(),
    )
    return new ScriptModule(copy, this.inputs)
  }

  checkLayer(path: string): void {
    this.handle.checkLayer(expect.string('path', path))
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
    expect.string('path', path)
    expect.function('hook', hook)
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
          { details: { layer: path } },
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
