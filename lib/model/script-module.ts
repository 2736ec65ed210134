import { cancellable, type CallOptions } from '../addon/abort.js'
import type { HookKind, ModelHandle } from '../addon/native-model.js'
import { native } from '../addon/native.js'
import { expect, invalid } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { checkByteLimit, checkThreads } from '../addon/runtime.js'
import type { DType } from '../tensor/dtype.js'
import type { Tensor } from '../tensor/tensor.js'
import { loadLibraries } from './load-libraries.js'
import { Loading } from './loading.js'
import type { ModelInput } from './model-input.js'
import type { LoadedWeights } from './open-plan.js'
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
import { checkTrial, refuseOperators, type TrialOptions } from './trial.js'

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
  /**
   * 'trusted' by default: a model file is a program, which LibTorch runs with the rights of this process. An 'untrusted' one is
   * refused where it calls an operator that reaches files or other processes, and is loaded and run once in a process of its
   * own first, with limits on memory and time. That does not make it harmless: see SECURITY.md.
   */
  trust?: 'trusted' | 'untrusted'
  /** How an untrusted model is tried. */
  trial?: TrialOptions
  /**
   * The weights of an architecture of this package, whose name is then given as the source: a state dict or checkpoint of
   * torch.save, safetensors, or the index (.json) of several; a path, or the bytes of the file. See `architectures`.
   */
  weights?: string | URL | Uint8Array
  /**
   * Shared libraries that register operators which the model uses: the paths of files, or the names of Python packages, such
   * as 'torchvision', whose library is found beside the torch package that is used, or where python3 finds it. They are loaded
   * for as long as the process lives, and their code runs. None is loaded that is not named here.
   */
  libraries?: readonly (string | URL)[]
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
  /** Where the model is an architecture with weights: what was found in them. Null for a model of one file. */
  readonly weights: LoadedWeights | null
  readonly #handle: ModelHandle
  #modules: readonly NamedModule[] | undefined
  #disposed = false

  /** True of real models alone: what merely has the prototype, such as a Proxy, cannot run. */
  static [Symbol.hasInstance](value: unknown): value is ScriptModule {
    return typeof value === 'object' && value !== null && #handle in value
  }

  private constructor(handle: ModelHandle, { inputs, weights }: Pick<ScriptModule, 'inputs' | 'weights'>) {
    const { device, dtype, hookable, splittable, differentiable } = handle.facts()
    this.#handle = handle
    this.device = device
    this.dtype = dtype as DType | null
    this.capabilities = { hookable, splittable, differentiable }
    this.inputs = inputs
    this.weights = weights
  }

  /**
   * Loads a TorchScript file, an exported program, or an architecture of this package with a file of weights.
   *
   * @param source the path of the file, or its bytes; with `weights` the name of an architecture
   * @throws GradCamError ERR_FILE_NOT_FOUND, ERR_FILE_UNREADABLE, ERR_MODEL_CORRUPT; for files that are something else
   *   ERR_MODEL_IS_STATE_DICT, ERR_MODEL_IS_EAGER_PICKLE, ERR_MODEL_NOT_TORCHSCRIPT, each with how to export it; for
   *   exported programs ERR_MODEL_UNSUPPORTED, ERR_MODEL_OPERATOR; for weights ERR_WEIGHTS; ERR_DEVICE; ERR_MODEL_UNTRUSTED
   */
  static async load(source: string | URL | Uint8Array, options: LoadOptions = {}): Promise<ScriptModule> {
    const { device = 'cpu' } = expect.options(options)
    expect.string('device', device)
    const [model] = await ScriptModule.loadEach(source, [device], options)
    return model as ScriptModule
  }

  /** @internal A model for each of these devices, of a file that is read, checked and tried once. */
  static async loadEach(
    source: string | URL | Uint8Array,
    devices: readonly string[],
    options: Omit<LoadOptions, 'device'>,
  ): Promise<ScriptModule[]> {
    const { weights, libraries, threads, splitMemory, signal, trust = 'trusted', trial } = expect.options(options)
    expect.strings('devices', devices, "['cpu']")
    if (splitMemory !== undefined) checkByteLimit(splitMemory)
    const placement = { threads: threads === undefined ? 0 : checkThreads(threads), splitMemory }
    expect.signal(signal)
    const untrusted = expect.oneOf('trust', trust, ['trusted', 'untrusted']) === 'untrusted'
    const limits = checkTrial(trial)
    const loading = new Loading(source, weights, untrusted ? limits : null, signal)
    await loadLibraries(libraries, signal)
    const models: ScriptModule[] = []
    try {
      for (const device of devices) {
        const loaded = await cancellable(
          signal,
          (ticket) => loading.load({ ...placement, device }, ticket),
          ({ handle }) => handle.dispose(),
        )
        models.push(new ScriptModule(loaded.handle, loaded))
        if (untrusted) refuseOperators(loaded.handle.operators())
      }
      return models
    } catch (error) {
      for (const model of models) model.dispose()
      throw error
    }
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
      (ticket) => handle.forward(toPositional(this, inputs).map(unwrapValue), ticket),
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
    return new ScriptModule(copy, this)
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
