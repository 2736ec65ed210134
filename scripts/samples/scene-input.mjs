import { imagenet, standardize, Tensor } from 'libtorch-gradcam'
import { sceneSide } from './scenes.mjs'

/** A scene's pixels as the bundled model requires them, [1, 3, side, side]. */
export function toInput(/** @type {Uint8Array} */ rgb) {
  /** @type {Tensor[]} */
  const steps = []
  const keep = (/** @type {Tensor} */ tensor) => {
    steps.push(tensor)
    return tensor
  }
  const pixels = keep(Tensor.from(rgb, [1, sceneSide, sceneSide, 3]))
  const floats = keep(keep(pixels.permute([0, 3, 1, 2])).to({ dtype: 'float32' }))
  const input = standardize(keep(floats.div(255)), imagenet)
  for (const step of steps) step.dispose()
  return input
}
