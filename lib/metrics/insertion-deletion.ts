import type { Model } from '../model/model.js'
import { PixelGame, type PixelGameOptions } from './pixel-game.js'

export interface InsertionDeletionOptions extends PixelGameOptions {}

/**
 * How fast the score falls when the most relevant pixels are removed first: less is better. With P pixels and n steps, step k
 * of 0..n exchanges the first round(k P / n) pixels of the stable descending order of the map with the baseline; the value is
 * the trapezoid sum over k of (s_k + s_(k+1)) / (2 n). Petsiuk et al. 2018, "RISE", arXiv:1806.07421.
 */
export class Deletion extends PixelGame {
  constructor(model: Model, options: InsertionDeletionOptions = {}) {
    super(model, options, false)
  }
}

/**
 * How fast the score rises when the most relevant pixels are put in first: more is better. The steps and the value are those of
 * {@link Deletion}. Petsiuk et al. 2018, "RISE", arXiv:1806.07421.
 */
export class Insertion extends PixelGame {
  constructor(model: Model, options: InsertionDeletionOptions = {}) {
    super(model, options, true, 'blurred')
  }
}
