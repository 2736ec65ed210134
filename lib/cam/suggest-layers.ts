import { Cam } from './cam.js'
import { native } from '../addon/native.js'
import type { CallOptions } from '../addon/abort.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { isReached, mostTried, withoutAside, withoutOutput, type TrialPass } from './reached-layers.js'
import type { Reshape } from './reshape.js'
import { checkModel, type Model } from '../model/model.js'
import { lastSpatialLayer } from '../model/default-layer.js'
import { hasChannelsLast } from '../model/expected-input.js'
import { runAtOnce } from '../model/learn-images-at-once.js'
import { isFloating, observeGiven, type LayerOutput } from '../model/observe-layers.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import type { Target } from '../target/target.js'
import { disposeValue, type Value } from '../tensor/values.js'

/** A layer to explain, and why. */
export interface LayerSuggestion {
  readonly layer: string
  readonly typeName: string
  /** The shape of its output for the inputs given. */
  readonly shape: readonly number[]
  /** What {@link CamOptions.reshape} has to be for it; undefined where its output is [N, C, h, w]. */
  readonly reshape: Reshape | undefined
  /** One sentence. */
  readonly reason: string
}

/** The most tokens before those of spatial positions: a class token, a distillation token, registers. */
const mostSkipped = 8

/**
 * The layers that are worth a class activation map, best first: the last one with spatial positions, then the last of each
 * finer resolution, for LayerCAM and for maps of several layers. For a transformer, whose last block often passes on only its
 * class token, it is the last layer whose spatial positions have a gradient. It runs the model once, and a transformer, or a
 * model that returns several tensors, once more for each layer that is tried. `pickLayer` is the first of them.
 *
 * @param inputs as `model.forward` takes them; sizes matter, values hardly do
 * @returns an empty list for a model without spatial outputs. There is nothing to dispose.
 * @throws GradCamError ERR_INVALID_ARGUMENT; what `model.forward` throws
 */
export async function suggestLayers(
  model: Model,
  inputs: Value | readonly Value[],
  options: SuggestOptions = {},
): Promise<LayerSuggestion[]> {
  checkModel(model)
  return (await observeAndSuggest(model, inputs, options)).suggestions
}

/** @internal The same with what the layers returned. */
export async function observeAndSuggest(
  model: Model,
  inputs: Value | readonly Value[],
  options: SuggestOptions,
): Promise<{ readonly observed: readonly LayerOutput[]; readonly suggestions: LayerSuggestion[] }> {
  const { input = 0 } = expect.options(options)
  expect.integer('input', input, { min: 0 })
  return await runAtOnce(model, inputs, (values) => observeAndSuggestFor(model, values, options))
}

/** @param values inputs with as many images as the model takes at a time */
async function observeAndSuggestFor(
  model: Model,
  values: readonly Value[],
  { input: at = 0, target, ...call }: SuggestOptions,
): Promise<{ readonly observed: readonly LayerOutput[]; readonly suggestions: LayerSuggestion[] }> {
  const input = values[at]
  const given = input instanceof Tensor ? input.shape : []
  const [n = 1, h = 1, w = 1, c = 1] = given
  const shape = hasChannelsLast(model, at, given) ? [n, c, h, w] : given
  const observed = await observeGiven(model, values, call)
  return { observed, suggestions: await suggestFrom({ model, inputs: values, target, options: call }, observed, shape) }
}

/** @internal The spatial sizes of an input: those after the channels; of numbers without channels [N, L] their length. */
export const spatialSizes = (shape: readonly number[]): readonly number[] => shape.slice(shape.length === 2 ? 1 : 2)

/** What {@link suggestLayers} may be told. */
export interface SuggestOptions extends CallOptions {
  /** Which of the model's inputs holds the images, from 0; the first by default. */
  readonly input?: number
  /**
   * What is to be explained, the top class by default: of a model that returns several tensors a layer is suggested that it
   * depends on.
   */
  readonly target?: Target<Value> | undefined
}

/** @internal The same, where the outputs of one pass are known. `shape` is that of the input of the images. */
export async function suggestFrom(
  pass: TrialPass,
  observed: readonly LayerOutput[],
  shape: readonly number[],
): Promise<LayerSuggestion[]> {
  const outputs = observed.filter((output) => output.path === '' || isFloating(output))
  const suggested = await suggestAmong(pass, withRowPerImage(outputs, shape[0]), spatialSizes(shape))
  // Where each layer sees several parts of each image, the error of one says so.
  return suggested.length > 0 ? suggested : await suggestAmong(pass, outputs, spatialSizes(shape))
}

/** Without layers that see windows or crops as images of their own, which one map cannot show. */
const withRowPerImage = (observed: readonly LayerOutput[], images: number | undefined): readonly LayerOutput[] =>
  observed.filter(({ path, shape }) => path === '' || images === undefined || !shape || shape[0] === images)

async function suggestAmong(
  pass: TrialPass,
  observed: readonly LayerOutput[],
  sizes: readonly number[],
): Promise<LayerSuggestion[]> {
  if (sizes.length === 3) return lastOf(pass, await withoutOutput(pass, observed), 3)
  if (sizes.length === 1) {
    const inner = await withoutOutput(pass, observed)
    const found = lastOf(pass, inner, 1)
    // Signals may also run through layers of images, as one row or one column.
    return found.length > 0 ? found : lastOf(pass, inner, 2)
  }
  const [height = 0, width = 0] = sizes
  const inputSize = [height, width] as const
  const inner = await withoutOutput(pass, observed)
  const hasParts = observed.some(({ path, shape }) => path === '' && shape === null)
  const reached = hasParts ? await withoutAside(pass, inner) : inner
  const outputs = withoutAttention(reached)
  const position = (suggested: LayerSuggestion): number => outputs.findIndex(({ path }) => path === suggested.layer)
  const tokens = await lastTokens(pass, outputs, inputSize)
  const lastStage = channelsLast(pass, outputs, inputSize)
  // Windows of a stage are tokens, too: what comes last is nearest to the class.
  if (lastStage && (!tokens || position(lastStage) > position(tokens))) return [lastStage]
  const last = lastSpatialLayer(outputs.filter((output) => isChannelsFirst(pass, output, inputSize)))
  if (tokens) {
    // A hybrid, such as edgenext, goes on with [N, C, h, w] after its tokens. Convolutions inside attention do not.
    const goesOn =
      last && outputs.indexOf(last) > lastOfTokens(outputs, inputSize) && (await isReached(pass, last.path))
    if (!goesOn) return [tokens]
  }
  if (!last) return []
  const size = (output: LayerOutput) => (output.shape as readonly number[]).slice(2)
  const suggestions = [
    suggestion(
      last,
      undefined,
      `The last layer with spatial positions (${size(last).join(' x ')}): its features are nearest to the class.`,
    ),
  ]
  const before = outputs.slice(0, outputs.indexOf(last))
  for (let finest = area(last); ;) {
    const isFiner = (output: LayerOutput): boolean => isChannelsFirst(pass, output, inputSize) && area(output) > finest
    const finer = lastSpatialLayer(before.filter(isFiner))
    if (!finer) return suggestions
    finest = area(finer)
    const reason = `The last layer of ${size(finer).join(' x ')}: a finer grid, earlier features; for LayerCAM, or beside other layers.`
    suggestions.push(suggestion(finer, undefined, reason))
  }
}

/** The last layer of volumes or signals; of those whose features come last, with the permutation that they require. */
function lastOf(pass: TrialPass, outputs: readonly LayerOutput[], dimensions: number): LayerSuggestion[] {
  const featuresSecond = outputs.map((output) =>
    output.shape?.length === dimensions + 2 && layoutOf(pass, output, []) !== 'channels-first'
      ? { ...output, shape: lastSecond(output.shape) }
      : output,
  )
  const last = lastSpatialLayer(featuresSecond, dimensions)
  if (!last) return []
  const returned = outputs[featuresSecond.indexOf(last)] as LayerOutput
  const positions = `${(last.shape as readonly number[]).slice(2).join(' x ')}${returned === last ? '' : ', before the features'}`
  return [
    suggestion(
      returned,
      returned === last ? undefined : { permute: lastSecond(Array.from({ length: dimensions + 2 }, (_, i) => i)) },
      `The last layer with spatial positions (${positions}): its features are nearest to the class.`,
    ),
  ]
}

/** The sizes with the last one moved to the second position. */
const lastSecond = (sizes: readonly number[]): number[] => [
  ...sizes.slice(0, 1),
  ...sizes.slice(-1),
  ...sizes.slice(1, -1),
]

const layoutOf = ({ model }: TrialPass, { path, shape }: LayerOutput, inputSize: readonly number[]) =>
  native().layoutOf(shape as readonly number[], inputSize, model.handle, path)

const isChannelsFirst = (pass: TrialPass, output: LayerOutput, inputSize: readonly number[]): boolean =>
  output.shape?.length === 4 && layoutOf(pass, output, inputSize) === 'channels-first'

/**
 * Without the weights of attention, [N, heads, T, T], which have the form of a map: outputs of a softmax, and squares of as
 * many rows as a layer has tokens [N, T, C].
 */
function withoutAttention(outputs: readonly LayerOutput[]): LayerOutput[] {
  const tokens = new Set(outputs.map(({ shape }) => (shape?.length === 3 ? shape[1] : undefined)))
  return outputs.filter(({ shape, typeName }) => {
    const [, , rows, columns] = shape ?? []
    return shape?.length !== 4 || !(/softmax/i.test(typeName) || (rows === columns && tokens.has(rows)))
  })
}

function suggestion(output: LayerOutput, reshape: Reshape | undefined, reason: string): LayerSuggestion {
  return { layer: output.path, typeName: output.typeName, shape: output.shape as readonly number[], reshape, reason }
}

function area({ shape }: LayerOutput): number {
  return (shape?.[2] ?? 0) * (shape?.[3] ?? 0)
}

/** Whether rows and columns have the proportions of the input. */
function isInProportion(rows: number, columns: number, [height, width]: readonly [number, number]): boolean {
  return rows * columns > 1 && rows * width === columns * height
}

/** How many tokens come before a grid in the proportions of the input; null where there is no such grid. */
function skippedTokens(tokens: number, input: readonly [number, number]): number | null {
  for (let skip = 0; skip <= mostSkipped; skip++) {
    const rows = Math.round(Math.sqrt(((tokens - skip) * input[0]) / input[1]))
    if (rows > 0 && (tokens - skip) % rows === 0 && isInProportion(rows, (tokens - skip) / rows, input)) return skip
  }
  return null
}

/** After which layer no other returned tokens, of whatever kind. */
const lastOfTokens = (outputs: readonly LayerOutput[], input: readonly [number, number]): number =>
  outputs.findLastIndex(({ shape }) => shape?.length === 3 && skippedTokens(shape[1] ?? 0, input) !== null)

/** The last normalisation (or any layer, where there is none) with outputs [N, T, C] whose spatial positions have a gradient. */
async function lastTokens(
  pass: TrialPass,
  outputs: readonly LayerOutput[],
  input: readonly [number, number],
): Promise<LayerSuggestion | null> {
  const all = outputs.filter(({ shape }) => shape?.length === 3 && skippedTokens(shape[1] ?? 0, input) !== null)
  // A layer with others inside, such as a linear one and its normalisation, is a branch beside the tokens or does more.
  const isLeaf = ({ path }: LayerOutput): boolean => !outputs.some((other) => other.path.startsWith(`${path}.`))
  const norms = all.filter((output) => /norm/i.test(output.typeName) && isLeaf(output))
  for (const output of (norms.length > 0 ? norms : all).slice(-mostTried).reverse()) {
    const skip = skippedTokens(output.shape?.[1] ?? 0, input) as number
    if (!(await positionsMatter(pass, output.path, skip))) continue
    const reshape: Reshape = skip === 1 ? 'vit' : { tokens: 'input', skip }
    const reason = `The last layer of tokens whose ${(output.shape?.[1] ?? 0) - skip} spatial positions affect the score.`
    return suggestion(output, reshape, reason)
  }
  return null
}

/** Whether the score depends on the tokens of spatial positions. */
async function positionsMatter(
  { model, inputs, target = 'argmax', options }: TrialPass,
  layer: string,
  skip: number,
): Promise<boolean> {
  using cam = new Cam(model, { layers: [layer], reshape: { tokens: 'input', skip } })
  try {
    disposeValue(await cam.forward<Value>(inputs, options))
    // Where the output is not one of classes, all of it: positions matter to it or do not.
    await cam.backward<Value>(target, options).catch(async (error: unknown) => {
      if (!(error instanceof GradCamError) || error.code !== 'ERR_TARGET') throw error
      await cam.backward<Value>({ kind: 'element', at: [] }, options)
    })
    using gradient = cam.gradient(layer)
    using strongest = tidy(() => gradient.slice(1, skip).abs().max())
    return strongest.item() > 0
  } catch {
    options.signal?.throwIfAborted()
    return false // no gradient reaches it, or the output is not a tensor of logits
  }
}

/** The last layer that returns [N, h, w, C], where the last spatial one is such. */
function channelsLast(
  pass: TrialPass,
  outputs: readonly LayerOutput[],
  input: readonly [number, number],
): LayerSuggestion | null {
  const last = outputs.findLast(({ shape }) => shape?.length === 4 && isEitherWay(shape, input))
  const [, first = 0, second = 0] = last?.shape ?? []
  if (!last || layoutOf(pass, last, input) !== 'channels-last') return null
  return suggestion(
    last,
    'swin',
    `The last layer with spatial positions (${first} x ${second}), in channels-last order.`,
  )
}

function isEitherWay(
  [, first = 0, second = 0, third = 0]: readonly number[],
  input: readonly [number, number],
): boolean {
  return isInProportion(second, third, input) || isInProportion(first, second, input)
}
