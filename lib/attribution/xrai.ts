import { cancellable, type CallOptions } from '../addon/abort.js'
import { native } from '../addon/native.js'
import { expect, invalid } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { felzenszwalbAtScales } from '../perturbation/felzenszwalb.js'
import { checkExpands } from '../perturbation/perturbation.js'
import { callOperatorAsync } from '../tensor/dispatch.js'
import { interpolateAsync } from '../tensor/interpolate.js'
import { operators } from '../tensor/operators.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import type { Path } from './baseline.js'
import { alongLine } from './integrated-gradients.js'
import type { Copied, ManyPassMethod } from './many-passes.js'

/** The size at which the authors' code segments images, and which its numbers of pixels are for. */
const side = 224
const dilation = 5
const leastPixels = 50
/** Of the authors' code for colours in [-1, 1], so that they count half in [0, 1]. */
const scales = [50, 100, 150, 250, 500, 1200].map((scale) => scale / 2)
const segmented = { sigma: 0.8, minSize: 150 }

/** @throws GradCamError ERR_INVALID_ARGUMENT, ERR_DTYPE */
export function checkRegions(regions: unknown): void {
  if (regions === undefined) return
  const isTensor = (one: unknown): one is Tensor => one instanceof Tensor
  const list = expect.list('regions', regions, isTensor, 'a list of Tensors of integers, each a segmentation')
  if (list.length === 0) throw invalid('regions', 'at least one segmentation', regions)
  for (const { dtype } of list)
    if (/float/.test(dtype)) throw invalid('regions', 'Tensors of integers', dtype, { code: 'ERR_DTYPE' })
}

/** The segmentations that the caller gave, [1 or copies N, S, H, W]. */
function givenRegions(regions: readonly Tensor[], { x, copies }: Copied): Tensor {
  const [rows = 1, , height = 1, width = 1] = x.shape
  const images = rows / copies
  for (const one of regions) checkExpands(one, [images, 1, height, width], 'tensor of `regions`')
  const isOwn = (one: Tensor): boolean => one.shape.length === 4 && one.shape[0] !== 1
  const each = regions.some(isOwn) ? images : 1
  return tidy(() => {
    const wide = regions.map((one) => one.to({ dtype: 'int64', device: 'cpu' }).expand([each, 1, height, width]))
    const labels = Tensor.cat(wide, 1)
    return each > 1 && copies > 1 ? Tensor.cat(Array.from({ length: copies }, () => labels)) : labels
  })
}

/** Segmentations from fine to coarse, [N, S, H, W]. */
async function ownRegions(x: Tensor, call: CallOptions): Promise<Tensor> {
  const [, , height = 1, width = 1] = x.shape
  const asItIs = height === side && width === side
  using exact = tidy(() => x.detach().to({ dtype: 'float64', device: 'cpu' }).contiguous())
  using resized = asItIs ? null : await interpolateAsync(exact, [side, side], { antialias: true, ...call })
  using labels = await felzenszwalbAtScales(resized ?? exact, scales, { ...segmented, ...call })
  if (asItIs) return labels.detach()
  using exactly = labels.to({ dtype: 'float64' }) // which can be resized
  using large = await interpolateAsync(exactly, [height, width], { mode: 'nearest', ...call })
  return large.to({ dtype: 'int64' })
}

/** The line to x from an image of one value, the least or the greatest of each. */
async function fromValue(x: Tensor, which: 'amin' | 'amax', call: CallOptions): Promise<Path> {
  using own = x.detach()
  using value = await callOperatorAsync(operators[which], [own, [1, 2, 3], true], call)
  const start = tidy(() => own.mul(0).add(value))
  const way = own.sub(start)
  const dispose = () => {
    start.dispose()
    way.dispose()
  }
  return { start, way, [Symbol.dispose]: dispose }
}

/**
 * XRAI: integrated gradients from a black and from a white image, averaged, the largest of the channels; then regions of the image
 * are chosen one by one, each time the one that adds the most by area, and a pixel has the gain of the region that brought it.
 * Kapishnikov et al. 2019, "XRAI: Better Attributions Through Regions", arXiv:1906.02825, algorithm 1; black and white, the
 * segmentations and the limits are those of PAIR's saliency.
 */
export const xrai: ManyPassMethod = {
  steps: 50,
  paths: 2,
  complete: false,
  async attribute(copied, passes, { steps, regions }) {
    const { x } = copied
    if (x.shape.length !== 4)
      throw new GradCamError('ERR_SHAPE', `XRAI takes images [N, C, H, W], but the input is [${x.shape.join(', ')}].`, {
        details: { shape: x.shape },
      })
    const call = { signal: passes.signal }
    const [, , height = 1, width = 1] = x.shape
    // Before the passes, which take longer: regions that do not fit are refused first.
    using labels = regions === undefined ? await ownRegions(x, call) : givenRegions(regions, copied)
    using black = await fromValue(x, 'amin', call)
    using fromBlack = await alongLine(copied, passes, steps, black)
    using white = await fromValue(x, 'amax', call)
    using fromWhite = await alongLine(copied, passes, steps, white)
    using values = tidy(() => fromBlack.add(fromWhite).div(2).to({ dtype: 'float64' }).amax(1, true))
    const share = (height * width) / side ** 2
    const radius = regions === undefined ? Math.round(dilation * Math.sqrt(share)) : 0
    const gains = await cancellable(
      passes.signal,
      (ticket) => native().regionGains(values.handle, labels.handle, radius, leastPixels * share, ticket),
      (late) => late.dispose(),
    )
    using found = Tensor.own(gains)
    return tidy(() => found.to({ dtype: x.dtype, device: x.device }).expand(x.shape).contiguous())
  },
}
