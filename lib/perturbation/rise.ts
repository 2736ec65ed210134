import type { CallOptions } from '../addon/abort.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { functions, operators } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue } from '../tensor/values.js'
import type { Perturbation } from './perturbation.js'
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

function checkRise(options: RiseOptions): Required<RiseOptions> {
  const { masks = 1000, grid = 7, probability = 0.5, seed = 0 } = options
  return {
    masks: expect.count('masks', masks),
    grid: expect.integer('grid', grid, { min: 1, max: mostCells }),
    probability: expect.number('probability', probability, { above: 0, max: 1 }),
    seed: expect.seed('seed', seed),
  }
}

/** The masks `from` up to `to`, each of a stream of random numbers of its own: [to - from, 1, height, width] float32. */
async function makeMasks(
  [height, width]: readonly [number, number],
  from: number,
  to: number,
  { grid, probability, seed }: Required<RiseOptions>,
  device: string,
  call: CallOptions,
): Promise<Tensor> {
  const count = (to - from) * grid * grid
  if (count > mostAtOnce)
    throw new GradCamError('ERR_OUT_OF_MEMORY', `${to - from} masks of ${grid} x ${grid} cells are too many at once.`, {
      remedy: 'Make fewer masks, or masks of fewer cells.',
    })
  const cells = new Float32Array(count)
  const shifts: (readonly [number, number])[] = []
  const [cellHeight, cellWidth] = [Math.ceil(height / grid), Math.ceil(width / grid)]
  for (let i = from; i < to; i++) {
    const drawn = uniforms(seed, i, grid * grid + 2)
    for (let c = 0; c < grid * grid; c++)
      cells[(i - from) * grid * grid + c] = (drawn[c] as number) < probability ? 1 : 0
    const [down, right] = drawn.subarray(grid * grid)
    shifts.push([Math.floor((down as number) * cellHeight), Math.floor((right as number) * cellWidth)])
  }
  using small = Tensor.from(cells, [to - from, 1, grid, grid], { device })
  const size = [(grid + 1) * cellHeight, (grid + 1) * cellWidth]
  using large = await callOperatorAsync(functions.bilinear, [small, size, false, null], call)
  const crops: Tensor[] = []
  try {
    for (const [i, [down, right]] of shifts.entries()) {
      using mask = large.narrow(0, i, 1)
      using rows = mask.narrow(2, down, height)
      crops.push(rows.narrow(3, right, width))
    }
    return await callOperatorAsync(functions.cat, [crops, 0], call)
  } finally {
    disposeValue(crops)
  }
}

/**
 * The masks that `method: 'rise'` multiplies images with: grids of cells, kept with `probability`, upsampled bilinearly
 * (align_corners false) to one cell more than the image in each direction, and cropped at a random position.
 *
 * @param size [height, width] of the image
 * @returns [masks, 1, height, width] float32 in [0, 1] on the CPU, for the caller to dispose
 * @throws GradCamError ERR_INVALID_ARGUMENT
 */
export async function riseMasks(
  size: readonly [height: number, width: number],
  options: RiseOptions & CallOptions = {},
): Promise<Tensor> {
  const to = expect.size('size', size)
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
  const [height, width] = x.shape.slice(2)
  if (x.shape.length !== 4 || !height || !width || !/float/.test(x.dtype))
    throw new GradCamError(
      'ERR_SHAPE',
      `RISE requires an input [N, C, H, W] of floating-point numbers, but it is [${x.shape.join(', ')}] ${x.dtype}.`,
      { details: { shape: x.shape, dtype: x.dtype } },
    )
  return {
    count: checked.masks,
    divisor: checked.masks * checked.probability,
    weight: (_, masked) => masked,
    masks: async (from, to, call) => {
      using masks = await makeMasks([height, width], from, to, checked, x.device, call)
      return masks.unsqueeze(1)
    },
    apply: async (input, masks, call) => {
      using factors = masks.to({ dtype: x.dtype })
      return await callOperatorAsync(operators.mul, [input, factors], call)
    },
  }
}
