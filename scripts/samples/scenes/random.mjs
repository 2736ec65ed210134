import { itemAt } from '../../support/access.mjs'

/**
 * A small seeded generator: scenes must be the same on every machine and in every release of Node, which Math.random
 * cannot promise. A Weyl sequence goes through the 32-bit mixing function that Chris Wellons published as lowbias32.
 */
export class Random {
  #state

  /** @param {number} seed an integer; neighbouring seeds give unrelated sequences */
  constructor(seed) {
    this.#state = mix(seed >>> 0) ^ mix((seed / 2 ** 32) >>> 0)
  }

  /** A number in [low, high). */
  between(/** @type {number} */ low, /** @type {number} */ high) {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    return low + (mix(this.#state) / 2 ** 32) * (high - low)
  }

  /** An integer in [0, count). */
  below(/** @type {number} */ count) {
    return Math.floor(this.between(0, count))
  }

  chance(/** @type {number} */ probability) {
    return this.between(0, 1) < probability
  }

  /**
   * @template T
   * @param {readonly T[]} list
   */
  pick(list) {
    return itemAt(list, this.below(list.length))
  }
}

function mix(/** @type {number} */ x) {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}
