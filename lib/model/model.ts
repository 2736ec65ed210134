import type { CallOptions } from '../addon/abort.js'
import type { ModelHandle, NativeArgument } from '../addon/native-model.js'
import { invalid, isRecord, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { counted } from '../base/units.js'
import type { DType } from '../tensor/dtype.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'
import { describeModelInput, type ModelInput } from './model-input.js'

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

/** What the format of a model allows. A single layer or method may still be refused, with a reason of its own. */
export interface ModelCapabilities {
  /** It has submodules that it calls: they can be target layers, and hooks can be registered on them. */
  readonly hookable: boolean
  /** It can be cut at its layers: see `Execution`. */
  readonly splittable: boolean
  /** Its operators have gradients. */
  readonly differentiable: boolean
}

/** What a model keeps for explaining it without hooks. */
export interface SplitMemory {
  /** How many splits the model has. */
  readonly splits: number
  /** What they hold besides the model's own parameters, in bytes; on the CPU this is an estimate from above. */
  readonly bytes: number
  /** What they may hold: see `LoadOptions.splitMemory`. */
  readonly limit: number
  /** How many were made since the model was loaded, including those that were freed since. */
  readonly made: number
}

/** What {@link Model.randomized} takes. */
export interface RandomizedOptions extends CallOptions {
  /** An integer from 0 on, 0 by default. */
  readonly seed?: number
  /** The paths of modules whose parameters are drawn, with all below them; '' (the default) is the whole model. */
  readonly modules?: readonly string[]
}

/**
 * A loaded model in eval mode, whatever the format of its file: what explainers, metrics and batch jobs take. Its
 * parameters never require gradients. All that it runs, runs on an executor thread of its own, one call after another.
 */
export interface Model extends Disposable {
  /** Where the parameters are: 'cpu' or 'cuda:N'. */
  readonly device: string
  /** Of its first floating-point parameter; null where it has none, as a frozen model. */
  readonly dtype: DType | null
  readonly capabilities: ModelCapabilities
  /**
   * What each input may be, where the file says it, as an exported program does; null where it does not. Other inputs are
   * refused before the model runs.
   */
  readonly inputs?: readonly ModelInput[] | null

  /** @internal The native model, for the explainers. Refuses a model that was disposed. */
  readonly handle: ModelHandle

  /** All submodules in PyTorch's order, the model itself first, with the empty path. */
  namedModules(): readonly NamedModule[]

  /**
   * Runs the model. A graph is recorded where an input requires a gradient.
   *
   * @param inputs the input, or an array of all positional inputs, the last of which may be an object of those by name:
   *   `[x, { temperature: 2 }]`; tensors are moved to the model's device. A model that takes a list of images also takes them
   *   as one tensor [N, C, H, W]
   * @returns the output: a tensor, or arrays and objects of them (see {@link disposeValue})
   * @throws GradCamError ERR_INVALID_ARGUMENT for inputs that do not fit, ERR_TORCH, ERR_OUT_OF_MEMORY
   */
  forward<Output extends Value = Tensor>(inputs: Value | readonly Value[], options?: CallOptions): Promise<Output>

  /**
   * What the model keeps for explaining it without hooks. Its first run for some target layers cuts and freezes a copy of the
   * model, a split, which costs a fraction of a second and folds weights into others of its own. All explainers of the model
   * share its splits. It keeps at most 32, and no more than the limit; beyond either, those are freed that were not used for
   * the longest time, and made again when they are needed. {@link dispose} frees them all.
   */
  splitMemory(): SplitMemory

  /**
   * A copy with random parameters, for the sanity check of Adebayo et al. 2018 (arXiv:1810.03292): does an explanation
   * change when what the model learned is destroyed? Each parameter is drawn from a normal distribution with its own mean
   * and standard deviation, so that activations keep their order of magnitude; one whose elements are all equal stays as it is,
   * and so do buffers, such as the statistics of batch norms. A parameter's new values depend on the seed and its position in the
   * model alone, not on what else is drawn. This model stays as it is; the copy shares the parameters that are not drawn,
   * runs on the same executor thread, and has none of its hooks.
   *
   * @returns a model of the caller's own, to be disposed
   * @throws GradCamError ERR_LAYER_NOT_FOUND, ERR_INVALID_ARGUMENT where there is no parameter, ERR_MODEL_FROZEN
   */
  randomized(options?: RandomizedOptions): Promise<Model>

  /**
   * Throws where no hook can be registered on a path.
   *
   * @throws GradCamError ERR_LAYER_NOT_FOUND with the nearest paths, ERR_LAYER_NOT_HOOKABLE, ERR_MODEL_FROZEN
   */
  checkLayer(path: string): void

  /**
   * Calls `hook` before each call of the submodule, with the meaning of PyTorch's register_forward_pre_hook. A hook runs
   * on the JavaScript thread while the pass waits, so it must be synchronous; what it throws rejects the pass. The tensors
   * that it is given are its own, to keep or to dispose.
   *
   * @throws GradCamError ERR_LAYER_NOT_FOUND, ERR_LAYER_NOT_HOOKABLE, ERR_MODEL_FROZEN
   */
  registerForwardPreHook(path: string, hook: ForwardPreHook): HookHandle

  /** Calls `hook` after each call of the submodule: register_forward_hook. See {@link registerForwardPreHook}. */
  registerForwardHook(path: string, hook: ForwardHook): HookHandle

  /** Calls `hook` in each backward pass: register_full_backward_hook. See {@link registerForwardPreHook}. */
  registerFullBackwardHook(path: string, hook: FullBackwardHook): HookHandle

  /** Frees the model as soon as no call runs on it. Its hooks are gone. Safe to call again. */
  dispose(): void
}

/** Whether a value is a {@link Model}, disposed or not. */
export function isModel(value: unknown): value is Model {
  // `in` does not read the handle, which a disposed model refuses.
  return isRecord(value) && 'capabilities' in value && 'handle' in value
}

/** @internal Refuses anything but a model. */
export function checkModel(model: unknown): Model {
  if (isModel(model)) return model
  throw invalid('model', 'a loaded model, such as a ScriptModule', model)
}

/** What a model's `forward` takes, asked for once. */
const argumentsOf = new WeakMap<ModelHandle, readonly NativeArgument[]>()

/**
 * @internal The positional inputs of a model: an array is all of them, anything else the only one. A last object that is not
 * taken as such (by an argument that is a dict or a named tuple) holds inputs by their names.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT for a name that the model does not have, or that was given twice, and for another
 *   number of inputs than an exported program takes
 */
export function toPositional(model: Model, inputs: Value | readonly Value[]): readonly Value[] {
  const placed = placeInputs(model, inputs)
  const { inputs: taken } = model
  const count = placed.filter((value: Value | undefined) => value !== undefined).length
  if (!taken || (placed.length === taken.length && count === placed.length)) return placed
  const each = taken.map(describeModelInput).join(', ')
  throw new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `The model takes ${counted(taken.length, 'input')}, ${each}, but ${count === 1 ? '1 was' : `${count} were`} given.`,
    {
      remedy:
        count > taken.length
          ? 'Leave the others out.'
          : 'Give all of them: an array in that order, or an object with their names.',
      details: { inputs: taken.map(({ name }) => name), given: count },
    },
  )
}

function placeInputs(model: Model, inputs: Value | readonly Value[]): readonly Value[] {
  const given = (toList(inputs) as readonly Value[] | null) ?? [inputs]
  const last: unknown = given.at(-1)
  if (!isRecord(last) || last instanceof Tensor || ArrayBuffer.isView(last)) return given
  const { handle } = model
  let known = argumentsOf.get(handle)
  if (!known) argumentsOf.set(handle, (known = handle.arguments()))
  const position = given.length - 1
  if (position >= known.length || known[position]?.takesObject) return given
  const all: (Value | undefined)[] = given.slice(0, position)
  for (const [name, value] of Object.entries(last as Readonly<Record<string, Value | undefined>>)) {
    const at = known.findIndex((argument) => argument.name === name)
    if (at < 0 || at < position)
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        at < 0 ? `The model has no input '${name}'.` : `The model's input '${name}' was given twice.`,
        {
          remedy: `It takes ${known.map((argument) => `${argument.name}: ${argument.type}`).join(', ')}.`,
          details: { input: name, inputs: known.map((argument) => argument.name) },
        },
      )
    while (all.length < at) all.push(undefined)
    all[at] = value
  }
  return all as readonly Value[] // undefined stands for the default
}
