import type { CallOptions } from '../addon/abort.js'
import { GradCamError } from '../base/errors.js'
import { counted } from '../base/units.js'
import { ScorePass } from '../explain/score-pass.js'
import type { Model } from '../model/model.js'
import { describeValue, type LayerOutput } from '../model/observe-layers.js'
import { toPath } from '../target/path.js'
import type { Target, TargetData } from '../target/target.js'
import { outputPart } from '../target/top-classes.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { Cam } from './cam.js'

/** The most layers that are tried. */
export const mostTried = 12

/** A model and what it is run on to find out what matters. */
export interface TrialPass {
  readonly model: Model
  readonly inputs: Value | readonly Value[]
  readonly target?: Target<Value> | undefined
  readonly options: CallOptions
}

/**
 * Without layers that return what is explained, as the last one of a segmentation, also before it is enlarged to the size of the
 * image: they have no evidence but the output itself. Where only such layers have spatial positions they are kept.
 */
export async function withoutOutput(
  pass: TrialPass,
  observed: readonly LayerOutput[],
): Promise<readonly LayerOutput[]> {
  const inner = observed.filter(({ path }) => path !== '')
  const whole = observed.find(({ path }) => path === '')
  const part = whole?.shape === null ? await explainedPart(pass) : null
  const returned = new Set(part === null ? whole?.description.match(/\[[\d, ]*\]/g) : [part])
  const sizes = [...returned].map((text) => text.slice(1, -1).split(', ').map(Number))
  const isReturned = ({ shape, description }: LayerOutput): boolean =>
    (shape?.length ?? 0) > 2 && (returned.has(description) || sizes.some((output) => isEnlarged(shape ?? [], output)))
  const left = inner.filter((output) => !isReturned(output))
  return left.some(({ shape }) => (shape?.length ?? 0) > 2) ? left : inner
}

/** Whether an output of that shape may be a layer's [N, C, ...] with more positions in every dimension. */
const isEnlarged = (layer: readonly number[], output: readonly number[]): boolean =>
  layer.length >= 4 &&
  layer.length === output.length &&
  layer.every((size, at) => (at < 2 ? size === output[at] : size < (output[at] as number)))

/** The shape of the part of several that the target takes, in words; null where that is not known. */
async function explainedPart({ model, inputs, target = 'argmax', options }: TrialPass): Promise<string | null> {
  if (typeof target === 'function') return null
  using scores = new ScorePass(model, 'hooked')
  try {
    const { output, of } = await scores.look<Value>(inputs, { target, ...options })
    const part = outputPart(output, of ?? toPath((target as TargetData).of) ?? [])
    const description = describeValue(part)
    disposeValue(output)
    return description
  } catch {
    options.signal?.throwIfAborted()
    return null // the target fits no part
  }
}

/**
 * Of a model that returns several tensors: without layers that only others of them depend on. The last of those that are left
 * is on the way to what is explained; those before it are not tried.
 */
export async function withoutAside(pass: TrialPass, outputs: readonly LayerOutput[]): Promise<readonly LayerOutput[]> {
  const left = [...outputs]
  for (let tried = 0; tried < mostTried; tried++) {
    const last = left.findLast(({ shape }) => shape !== null && shape.length > 2)
    if (!last || (await isReached(pass, last.path))) return left
    left.splice(left.indexOf(last), 1)
  }
  return outputs
}

/** Whether the score has a gradient at a layer; also where the target fits no output. */
export async function isReached(
  { model, inputs, target = 'argmax', options }: TrialPass,
  layer: string,
): Promise<boolean> {
  using cam = new Cam(model, { layers: [layer], reshape: (tensor) => tensor })
  try {
    disposeValue(await cam.forward<Value>(inputs, options))
    await cam.backward<Value>(target, options)
    return true
  } catch (error) {
    options.signal?.throwIfAborted()
    return !(error instanceof GradCamError) || error.code !== 'ERR_NO_GRADIENT'
  }
}

/**
 * Why no layer is suggested, and what to do: none returned several positions, or those that did are not known to be maps of the
 * input.
 */
export function whyNone(observed: readonly LayerOutput[]): { readonly reason: string; readonly remedy: string } {
  const inner = observed.filter(({ path }) => path !== '')
  const several = inner.filter(({ description }) => [...description.matchAll(/\[([\d, ]*)\]/g)].some(hasPositions))
  if (several.length === 0)
    return {
      reason: `none of ${counted(inner.length, 'layer')} returned more than one spatial position`,
      remedy: 'Try a larger input, or a method that requires no layer, e.g. guided-backprop.',
    }
  const shown = several.slice(-mostShown).map(({ path, description }) => `'${path}' ${description}`)
  const last = several.length > mostShown ? 'the last that did are' : 'those that did are'
  return {
    reason: `of the layers that returned several positions none is known to be a map of the input; ${last} ${shown.join(', ')}`,
    remedy: 'Name a layer, with `reshape` or `part` where it requires one, or use a method that requires no layer.',
  }
}

const mostShown = 3

/** Of a shape in words: whether two sizes after the first are more than 1. */
const hasPositions = ([, sizes = '']: readonly string[]): boolean =>
  sizes.split(', ').length > 2 &&
  sizes
    .split(', ')
    .slice(1)
    .filter((size) => Number(size) > 1).length > 1
