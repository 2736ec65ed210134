import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { cancellable, type CallOptions } from '../addon/abort.js'
import type { HookKind, ModelHandle } from '../addon/binding.js'
import { native } from '../addon/native.js'
import { checkOptions, GradCamError } from '../base/errors.js'
import { checkByteLimit, checkThreads } from '../addon/runtime.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, unwrapValue, wrapValue, type Value } from '../tensor/values.js'

/** One submodule of a model. */
export interface NamedModule {
  /** E.g. 'features.denseblock1'; '' for the model itself. */
  readonly path: string
  /** Its class, e.g. 'Conv2d'. */
  readonly typeName: string
  /** Elements of its parameters, those of its submodules included. */
  readonly parameters: number
  /** Whether the model calls it; containers such as ModuleList are not called. */
  readonly hookable: boolean
}

/** The module that a hook was called for. */
export interface HookedModule {
  readonly path: string
  readonly typeName: string
}

/** Called before the module runs. Returning values replaces its inputs, a single one or an array of all. */
export type ForwardPreHook = (module: HookedModule, inputs: Value[]) => Value | readonly Value[] | undefined | void

/** Called when the module has run. Returning a value replaces its output. */
export type ForwardHook = (module: HookedModule, inputs: Value[], output: Value) => Value | undefined | void

/**
 * Called in a backward pass when the gradients of the module's inputs are known. Both arrays have one entry per tensor,
 * null where no gradient reached. Returning gradients replaces those of the inputs.
 */
export type FullBackwardHook = (
  module: HookedModule,
  gradInputs: (Tensor | null)[],
  gradOutputs: (Tensor | null)[],
) => Tensor | readonly (Tensor | null)[] | undefined | void

/**
 * A registered hook. `remove()` takes effect from the next call of the module on, and is safe to call again. As in PyTorch,
 * a graph that was recorded before keeps the full backward hooks that it was recorded with.
 */
export interface HookHandle extends Disposable {
  /** Unregisters the hook. Safe to call again. */
  remove(): void
}

export interface LoadOptions extends CallOptions {
  /** 'cpu' (the default), 'cuda', 'cuda:N', or 'auto' for CUDA where LibTorch sees a device. */
  device?: string
  /**
   * The intra-op threads of this model's executor. By default what {@link setNumThreads} says. Models run side by side, so
   * for several replicas on the CPU: the cores divided by their number.
   */
  threads?: number
  /**
   * How many bytes the model's splits may hold: see {@link ScriptModule.splitMemory}. By default 1 GiB, or four times the
   * model's parameters where that is more; Infinity for no limit. The split that was used last is kept whatever it holds.
   */
  splitMemory?: number
}

/** What a model keeps for explaining it without hooks. */
export interface SplitMemory {
  /** How many splits the model has. */
  readonly splits: number
  /** What they hold beside the model's own parameters, in bytes; on the CPU this is an estimate from above. */
  readonly bytes: number
  /** What they may hold: see {@link LoadOptions.splitMemory}. */
  readonly limit: number
  /** How many were made since the model was loaded, those included that have gone since. */
  readonly made: number
}

/**
 * A TorchScript model in eval mode, loaded from a `.pt` file that torch.jit.script or torch.jit.trace saved. Its
 * parameters never require gradients. All that it runs, runs on an executor thread of its own, one call after another.
 */
export class ScriptModule implements Disposable {
  /** Where the parameters are: 'cpu' or 'cuda:N'. */
  readonly device: string
  readonly #handle: ModelHandle
  #modules: readonly NamedModule[] | undefined
  #disposed = false

  private constructor(handle: ModelHandle, device: string) {
    this.#handle = handle
    this.device = device
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
    const { handle, device } = await cancellable(
      options.signal,
      (ticket) => native().loadModel(from, options.device ?? 'cpu', threads, splitMemory, ticket),
      (late) => late.handle.dispose(),
    )
    return new ScriptModule(handle, device)
  }

  /** @internal The native model, for the explainers. */
  get handle(): ModelHandle {
    if (this.#disposed)
      throw new GradCamError('ERR_DISPOSED', 'This ScriptModule was disposed. Load it again to use it.')
    return this.#handle
  }

  /** All submodules in PyTorch's order, the model itself first, with the empty path. */
  namedModules(): readonly NamedModule[] {
    return (this.#modules ??= this.handle.modules())
  }

  /**
   * Runs the model. A graph is recorded where an input requires a gradient.
   *
   * @param inputs the input, or an array of all positional inputs; tensors are moved to the model's device
   * @returns the output: a tensor, or arrays and objects of them (see {@link disposeValue})
   * @throws GradCamError ERR_INVALID_ARGUMENT for inputs that do not fit, ERR_TORCH, ERR_OUT_OF_MEMORY
   */
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

  /**
   * What the model keeps for explaining it without hooks. Its first run for some target layers cuts and freezes a copy of the
   * model, a split, which costs a fraction of a second and folds weights into others of its own. All explainers of the model
   * share its splits. It keeps at most 32, and no more than the limit; beyond either, those go that were not used the longest,
   * and are made again when they are asked for. {@link dispose} frees them all.
   */
  splitMemory(): SplitMemory {
    const { kept, bytes, limit, built } = this.handle.splits()
    return { splits: kept, bytes, limit, made: built }
  }

  /**
   * A copy with random parameters, for the sanity check of Adebayo et al. 2018 (arXiv:1810.03292): does an explanation
   * change when what the model learned is destroyed? Each parameter is drawn from a normal distribution with its own mean
   * and standard deviation, so that activations stay of a size; one whose elements are all equal stays as it is, and so do
   * buffers, such as the statistics of batch norms. A parameter's new values depend on the seed and its place in the model
   * alone, not on what else is drawn. This model stays as it is; the copy shares the parameters that are not drawn, runs on
   * the same executor thread, and has none of its hooks.
   *
   * @param options.modules the paths of modules whose parameters are drawn, with all below them; '' (the default) is the
   *   whole model
   * @param options.seed an integer from 0 on, 0 by default
   * @returns a model of the caller's own, to be disposed
   * @throws GradCamError ERR_LAYER_NOT_FOUND, ERR_INVALID_ARGUMENT where there is no parameter, ERR_MODEL_FROZEN
   */
  async randomized(
    options: CallOptions & { readonly seed?: number; readonly modules?: readonly string[] } = {},
  ): Promise<ScriptModule> {
    const { seed = 0, modules = [''], signal } = checkOptions(options)
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new GradCamError('ERR_INVALID_ARGUMENT', `${inspect(seed)} is no seed: give an integer from 0 on.`)
    if (!Array.isArray(modules) || modules.length === 0 || !modules.every((path) => typeof path === 'string'))
      throw new GradCamError('ERR_INVALID_ARGUMENT', "modules must be an array of paths, e.g. ['classifier'].")
    const { handle } = this
    const copy = await cancellable(
      signal,
      (ticket) => native().randomizedModel(handle, modules as readonly string[], seed, ticket),
      (late) => late.dispose(),
    )
    return new ScriptModule(copy, this.device)
  }

  /** Refuses a path that no hook can be put on. */
  checkLayer(path: string): void {
    this.handle.checkLayer(path)
  }

  /**
   * Calls `hook` before each call of the submodule, with the meaning of PyTorch's register_forward_pre_hook. A hook runs
   * on the JavaScript thread while the pass waits, so it must be synchronous; what it throws rejects the pass. The tensors
   * that it is given are its own, to keep or to dispose.
   *
   * @throws GradCamError ERR_LAYER_NOT_FOUND, ERR_LAYER_NOT_HOOKABLE, ERR_MODEL_FROZEN
   */
  registerForwardPreHook(path: string, hook: ForwardPreHook): HookHandle {
    return this.#register('forwardPre', path, hook as Hook)
  }

  /** Calls `hook` after each call of the submodule: register_forward_hook. See {@link registerForwardPreHook}. */
  registerForwardHook(path: string, hook: ForwardHook): HookHandle {
    return this.#register('forward', path, hook as Hook)
  }

  /** Calls `hook` in each backward pass: register_full_backward_hook. See {@link registerForwardPreHook}. */
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

  /** Frees the model as soon as no call runs on it. Its hooks are gone. Safe to call again. */
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

/** The positional inputs of a model: an array is all of them, anything else the only one. */
export function toPositional(inputs: Value | readonly Value[]): readonly Value[] {
  return Array.isArray(inputs) ? (inputs as readonly Value[]) : [inputs]
}
