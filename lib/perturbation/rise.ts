import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { expect, invalid } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { resizeSpatial } from '../tensor/interpolate.js'
import { functions, operators } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import { disposeValue } from '../tensor/values.js'
import type { Perturbation } from './perturbation.js'
import { WeightedMasks } from './weighted-masks.js'
import { uniforms } from './uniforms.js'

/** The settings of RISE. */
export interface RiseOptions {
  /** How many masks; 1000 by default. The paper takes 4000 to 8000: the noise of the map falls with the root of it. */
  readonly masks?: number
  /** The cells of a mask in each direction, 7 by default. */
  readonly grid?: number
  /** The probability that a cell is kept, 0.5 by default. */
  readonly probability?: number
  /** An integer from 0 on, 0 by default. The same seed gives the same masks, whatever the batch size. */
  readonly seed?: number
}

/** More cells in a direction than images have pixels. */
const mostCells = 65_535

/** As many cells as are made in one piece: 512 MB. */
const mostAtOnce = 2 ** 27

const isLength = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0

function checkRise(options: RiseOptions): Required<RiseOptions> {
  const { masks = 1000, grid = 7, probability = 0.5, seed = 0 } = options
  return {
    masks: expect.count('masks', masks),
    grid: expect.integer('grid', grid, { min: 1, max: mostCells }),
    probability: expect.number('probability', probability, { above: 0, max: 1 }),
    seed: expect.seed('seed', seed),
  }
}

/** The masks `from` up to `to`, each of a stream of random numbers of its own: [to - from, 1, ...size] float32. */
async function makeMasks(
  size: readonly number[],
  from: number,
  to: number,
  { grid, probability, seed }: Required<RiseOptions>,
  device: string,
  call: CallOptions,
): Promise<Tensor> {
  const dims = size.length
  const perMask = grid ** dims
  const count = (to - from) * perMask
  if (count > mostAtOnce)
    throw new GradCamError('ERR_OUT_OF_MEMORY', `${to - from} masks of ${perMask} cells are too many at once.`, {
      remedy: 'Make fewer masks, or masks of fewer cells.',
    })
  const cells = new Float32Array(count)
  const shifts: number[][] = []
  const lengths = size.map((length) => Math.ceil(length / grid))
  for (let i = from; i < to; i++) {
    const drawn = uniforms(seed, i, perMask + dims)
    for (let c = 0; c < perMask; c++) cells[(i - from) * perMask + c] = (drawn[c] as number) < probability ? 1 : 0
    shifts.push(lengths.map((length, d) => Math.floor((drawn[perMask + d] as number) * length)))
  }
  using small = Tensor.from(cells, [to - from, 1, ...size.map(() => grid)], { device })
  using large = await resizeSpatial(
    small,
    lengths.map((length) => (grid + 1) * length),
    'linear',
    call,
  )
  const crops: Tensor[] = []
  try {
    for (const [i, shift] of shifts.entries())
      crops.push(
        tidy(() => {
          const mask = large.narrow(0, i, 1)
          return size.reduce((crop, length, d) => crop.narrow(d + 2, shift[d] as number, length), mask)
        }),
      )
    return await callOperatorAsync(functions.cat, [crops, 0], call)
  } finally {
    disposeValue(crops)
  }
}

/**
 * The masks that `method: 'rise'` multiplies images with: grids of cells, kept with `probability`, upsampled linearly in each
 * direction (align_corners false) to one cell more than the image, and cropped at a random position.
 *
 * @param size [height, width] of the image, or the spatial sizes of another input: one to three
 * @returns [masks, 1, ...size] float32 in [0, 1] on the CPU, for the caller to dispose
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export async function riseMasks(size: readonly number[], options: RiseOptions & CallOptions = {}): Promise<Tensor> {
  const to = expect.list('size', size, isLength, 'one to three integers from 1 on, [height, width] for an image')
  if (to.length < 1 || to.length > 3) throw invalid('size', 'one to three integers from 1 on', size)
  const { signal, ...chosen } = expect.options(options)
  const checked = checkRise(chosen)
  return await makeMasks(to, 0, checked.masks, checked, 'cpu', { signal })
}

/**
 * sum_i f(x m_i) m_i / (N p) over N random masks m_i that keep a share p: where the score is high when a position is kept.
 * Petsiuk et al. 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models", arXiv:1806.07421, equation 6.
 * As in the authors' code the divisor is the expected coverage N p, not the sum of the masks.
 */
export function rise(x: Tensor, options: RiseOptions): Perturbation {
  const checked = checkRise(options)
  const size = x.shape.slice(2)
  if (size.length < 1 || size.length > 3 || !/float/.test(x.dtype))
    throw new GradCamError(
      'ERR_SHAPE',
      'RISE requires an input of floating-point numbers with one to three spatial dimensions, such as [N, C, H, W], but it is ' +
        `[${x.shape.join(', ')}] ${x.dtype}.`,
      { details: { shape: x.shape, dtype: x.dtype } },
    )
  return {
    count: checked.masks,
    accumulate: () =>
      new WeightedMasks({ divisor: checked.masks * checked.probability, weight: (_, masked) => masked }),
    masks: async (from, to, call) => {
      using masks = await makeMasks(size, from, to, checked, x.device, call)
      return masks.unsqueeze(1)
    },
    apply: async (input, masks, call) => {
      using factors = masks.to({ dtype: x.dtype })
      return await callOperatorAsync(operators.mul, [input, factors], call)
    },
  }
}
