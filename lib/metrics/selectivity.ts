import { expect } from '../base/check.js'
import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { on } from './executor.js'
import { ranksOf } from './maps.js'
import { PixelGame, type PixelGameOptions } from './pixel-game.js'

export interface SelectivityOptions extends PixelGameOptions {
  /** The side of a patch in pixels of the input; 8 by default, as Quantus's. */
  readonly patch?: number
}

/**
 * How fast the score falls when the most relevant patches are removed first: less is better. The image is divided into square
 * patches from its upper left corner on; those at the right and lower border have what is left. The relevance of a patch is the
 * sum of the map over it. With P patches and n steps, step k of 0..n exchanges the first round(k P / n) patches of the stable
 * descending order with the baseline; the value is the area under the scores, as that of {@link Deletion}. Montavon et al. 2018,
 * "Methods for Interpreting and Understanding Deep Neural Networks", arXiv:1706.07979, section 5.2.
 */
export class Selectivity extends PixelGame {
  readonly patch: number

  constructor(model: Model, options: SelectivityOptions = {}) {
    super(model, options, false)
    const { patch = 8 } = expect.options(options)
    this.patch = expect.count('patch', patch)
  }

  protected override async order(maps: Tensor, signal: AbortSignal | undefined) {
    const [images = 0, , height = 0, width = 0] = maps.shape
    // A patch larger than the image is the image.
    const [tall, wide] = [Math.min(this.patch, height), Math.min(this.patch, width)]
    const [rows, columns] = [Math.ceil(height / tall), Math.ceil(width / wide)]
    using exact = await on(signal).to(maps, maps.device, 'float64')
    // Means of patches that zeros make whole have the order of sums.
    using whole = await on(signal).pad(exact, [0, columns * wide - width, 0, rows * tall - height], 'constant', 0)
    using means = await on(signal).avgPool2d(whole, [tall, wide], [tall, wide])
    using ranks = await ranksOf(means, signal)
    using apart = await on(signal).reshape(ranks, [images, 1, rows, 1, columns, 1])
    using repeated = await on(signal).expand(apart, [images, 1, rows, tall, columns, wide])
    using large = await on(signal).reshape(repeated, [images, 1, rows * tall, columns * wide])
    using lower = await on(signal).narrow(large, 2, 0, height)
    return { ranks: await on(signal).narrow(lower, 3, 0, width), count: rows * columns }
  }
}
