import { cancellable, type CallOptions } from '../addon/abort.js'
import type { HookKind, ModelHandle, SubmoduleInfo } from '../addon/binding.js'
import { native } from '../addon/native.js'
import { expect, invalid, isInstance, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { checkThreads } from '../addon/runtime.js'
import type { Tensor } from '../tensor/tensor.js'
import { disposeValue, unwrapValue, wrapValue, type Value } from '../tensor/values.js'

/** One submodule of a model: its path, class, number of parameter elements, and whether the model calls it. */
export type NamedModule = Readonly<SubmoduleInfo>

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
  remove(): void
}

export interface LoadOptions extends CallOptions {
  /** 'cpu' (the default), 'cuda', 'cuda:N', or 'auto' for CUDA where LibTorch sees a device. */
  device?: string
  /**
   * The intra-op threads of this model's executor. By default those of {@link setNumThreads}. Models run side by side, so
   * for several replicas on the CPU: the cores divided by their number.
   */
  threads?: number
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

  /** True of real models alone: what merely has the prototype, such as a Proxy, cannot run. */
  static [Symbol.hasInstance](value: unknown): value is ScriptModule {
    return typeof value === 'object' && value !== null && #handle in value
  }

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
    const { device: where = 'cpu', threads, signal } = expect.options(options)
    if (typeof source !== 'string' && !isInstance(source, URL) && !isInstance(source, Uint8Array))
      throw invalid('source', 'a path, a file: URL, or a Buffer with the bytes of the file', source)
    if (source === '') throw new GradCamError('ERR_FILE_NOT_FOUND', 'The path of the model is empty.')
    const from = isInstance(source, Uint8Array) ? source : expect.path('source', source)
    const own = threads === undefined ? 0 : checkThreads(threads)
    expect.string('device', where)
    const { handle, device } = await cancellable(
      signal,
      (ticket) => native().loadModel(from, where, own, ticket),
      (late) => late.handle.dispose(),
    )
    return new ScriptModule(handle, device)
  }

  /** @internal The native model, for the explainers. */
  get handle(): ModelHandle {
    if (!(#handle in this)) throw invalid('this', 'a ScriptModule', this)
    if (this.#disposed)
      throw new GradCamError('ERR_DISPOSED', 'This ScriptModule was disposed.', { remedy: 'Load it again to use it.' })
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

  /**
   * A copy with random parameters, for the sanity check of Adebayo et al. 2018 (arXiv:1810.03292): does an explanation
   * change when what the model learned is destroyed? Each parameter is drawn from a normal distribution with its own mean
   * and standard deviation, so that activations stay of a size; one whose elements are all equal stays as it is, and so do
   * buffers, such as the statistics of batch norms. A parameter's new values depend on the seed and its position in the model
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
    const { seed = 0, modules = [''], signal } = expect.options(options)
    expect.seed('seed', seed)
    const paths = expect.strings('modules', modules, "['classifier']")
    const { handle } = this
    const copy = await cancellable(
      signal,
      (ticket) => native().randomizedModel(handle, paths, seed, ticket),
      (late) => late.dispose(),
    )
    return new ScriptModule(copy, this.device)
  }

  /**
   * Refuses a path that no hook can be put on.
   *
   * @throws GradCamError ERR_LAYER_NOT_FOUND, ERR_LAYER_NOT_HOOKABLE, ERR_MODEL_FROZEN, ERR_INVALID_ARGUMENT
   */
  checkLayer(path: string): void {
    this.handle.checkLayer(expect.string('path', path))
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

  /** Frees the model as soon as no call runs on it. Its hooks are gone. Safe to call again. */
  dispose(): void {
    this.#disposed = true
    this.#handle.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

type Hook = (module: HookedModule, ...values: Value[]) => Value | undefined

/** The positional inputs of a model: an array is all of them, anything else the only one. */
export function toPositional(inputs: Value | readonly Value[]): readonly Value[] {
  return (toList(inputs) as readonly Value[] | null) ?? [inputs]
}

/** @internal Refuses anything but a model. */
export function checkModel(model: unknown): ScriptModule {
  if (model instanceof ScriptModule) return model
  throw invalid('model', 'a ScriptModule', model)
}
