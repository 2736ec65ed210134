import { invalid, show, toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { Tensor } from '../tensor/tensor.js'
import { checkExpands, replaceWhere, type Baseline, type Perturbation } from './perturbation.js'
import { eighths, isLength, lengthsOf } from './lengths.js'
import { WeightedMasks } from './weighted-masks.js'

/** The settings of occlusion. */
export interface OcclusionOptions {
  /**
   * The size of the part that is covered at a time, for the last dimensions of the input; those before them are covered whole.
   * A number is for every dimension after the channels. By default an eighth of each of those, rounded up.
   */
  readonly window?: number | readonly number[]
  /** How far the window moves, for the dimensions of `window`, or a number for all of them; half of it by default, rounded up. */
  readonly stride?: number | readonly number[]
  /** The value of covered elements: a number (0 by default), or a tensor that can be expanded to the input. */
  readonly baseline?: Baseline
}

/** The positions of the window along one dimension: from each of `starts`, `window` long, the last one cropped. */
interface Track {
  readonly size: number
  readonly window: number
  readonly starts: readonly number[]
}

function track(size: number, window: number, stride: number): Track {
  const count = Math.ceil((size - window) / stride) + 1
  return { size, window, starts: Array.from({ length: count }, (_, i) => i * stride) }
}

function tracksOf(shape: readonly number[], { window, stride }: OcclusionOptions): Track[] {
  const refuse = (text: string) => new GradCamError('ERR_INVALID_ARGUMENT', text)
  const sizes = shape.slice(1)
  const afterChannels = sizes.length > 1 ? sizes.slice(1) : sizes
  for (const [name, lengths] of Object.entries({ window, stride }))
    if (lengths !== undefined && !(toList(lengths) ?? [lengths]).every(isLength))
      throw invalid(name, 'an integer from 1 on, or an array of them', lengths)
  const chosen = lengthsOf(window, eighths(afterChannels))
  const steps = lengthsOf(
    stride,
    chosen.map((length) => Math.ceil(length / 2)),
  )
  const whole = sizes.length - chosen.length
  if (whole < 0 || chosen.length === 0 || steps.length !== chosen.length)
    throw refuse(
      `For an input [${shape.join(', ')}] \`window\` must have 1 to ${sizes.length} dimensions and \`stride\` as many, but ` +
        `they are ${show(chosen)} and ${show(steps)}.`,
    )
  return sizes.map((size, d) => {
    const [length, step] = d < whole ? [size, size] : [chosen[d - whole] as number, steps[d - whole] as number]
    if (length > size) throw refuse(`A \`window\` of ${length} does not fit into a dimension of ${size}.`)
    if (step > length && length < size)
      throw refuse(`A \`stride\` of ${step} leaves gaps between windows of ${length}: it must be at most ${length}.`)
    return track(size, length, step)
  })
}

/** Fills one window of a row-major mask, dimension by dimension. */
function fill(
  mask: Uint8Array,
  tracks: readonly Track[],
  position: readonly number[],
  depth: number,
  offset: number,
): void {
  const { size, window, starts } = tracks[depth] as Track
  const start = starts[position[depth] as number] as number
  const end = Math.min(start + window, size)
  if (depth === tracks.length - 1) mask.fill(1, offset + start, offset + end)
  else {
    const inner = tracks.slice(depth + 1).reduce((product, t) => product * t.size, 1)
    for (let i = start; i < end; i++) fill(mask, tracks, position, depth + 1, (offset / inner + i) * inner)
  }
}

/**
 * sum_w (f(x) - f(x_w)) 1_w / sum_w 1_w over windows w, where x_w is x with w covered: the loss of the score. Zeiler and
 * Fergus 2014, arXiv:1311.2901, section 4.2, averaged where windows overlap as Captum's Occlusion does.
 */
export function occlusion(x: Tensor, options: OcclusionOptions): Perturbation {
  const { baseline = 0 } = options
  if (baseline instanceof Tensor) checkExpands(baseline, x.shape, 'baseline')
  // A dimension that is always covered whole has the same mask everywhere.
  const tracks = tracksOf(x.shape, options).map((t) => (t.window === t.size ? track(1, 1, 1) : t))
  const sizes = tracks.map(({ size }) => size)
  const elements = sizes.reduce((product, size) => product * size, 1)
  return {
    count: tracks.reduce((product, { starts }) => product * starts.length, 1),
    accumulate: () => new WeightedMasks({ divisor: 'coverage', weight: (score, covered) => score - covered }),
    masks: async (from, to) => {
      const bytes = new Uint8Array((to - from) * elements)
      for (let i = from; i < to; i++) {
        const position: number[] = []
        for (let d = tracks.length - 1, rest = i; d >= 0; d--) {
          const { length } = (tracks[d] as Track).starts
          position.unshift(rest % length)
          rest = Math.floor(rest / length)
        }
        fill(bytes.subarray((i - from) * elements, (i - from + 1) * elements), tracks, position, 0, 0)
      }
      using masks = Tensor.from(bytes, [to - from, 1, ...sizes], { device: x.device })
      return masks.to({ dtype: 'bool' })
    },
    apply: (input, masks, call) => replaceWhere(input, masks, baseline, call),
  }
}
