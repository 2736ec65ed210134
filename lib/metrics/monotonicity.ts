import type { Model } from '../model/model.js'
import type { Tensor } from '../tensor/tensor.js'
import { ranksOf } from './maps.js'
import { PixelGame, type PixelGameOptions } from './pixel-game.js'

export interface MonotonicityOptions extends PixelGameOptions {}

/** Two scores of float32 that differ by less, relative to the larger one, differ by rounding. */
const rounding = 1e-6

/**
 * 1 where the score never falls while pixels are put into the baseline, the least relevant first, else 0; its mean is the share
 * of such images: more is better. With P pixels and n steps, step k of 1..n has put in the first round(k P / n) pixels of the
 * stable ascending order of the map; a fall by less than a millionth is rounding, and none. The curve also has step 0, the
 * baseline alone, which is not compared. Arya et al. 2019, "One Explanation Does Not Fit All", arXiv:1909.03012.
 */
export class Monotonicity extends PixelGame {
  constructor(model: Model, options: MonotonicityOptions = {}) {
    super(model, options, true)
  }

  protected override async order(maps: Tensor, signal: AbortSignal | undefined) {
    const [, , height = 0, width = 0] = maps.shape
    return { ranks: await ranksOf(maps, signal, false), count: height * width }
  }

  protected override summary([, ...scores]: readonly number[]): number {
    const falls = scores.slice(1).some((score, k) => {
      const before = scores[k] as number
      return before - score > rounding * Math.max(Math.abs(before), Math.abs(score))
    })
    return falls ? 0 : 1
  }
}
