/**
 * Images that the sample model is trained and tested on: two animals of different kinds on a busy ground, 224 x 224.
 * A scene follows from one integer; the seeds of the three ranges below never meet.
 */
import sharp from 'sharp'

import { itemAt, keysOf } from '../support/access.mjs'
import { animals } from './scenes/animals.mjs'
import { background } from './scenes/backgrounds.mjs'
import { animalColours } from './scenes/colours.mjs'
import { Random } from './scenes/random.mjs'

/** @typedef {keyof typeof animals} Label */
/** @typedef {{ x: number, y: number, w: number, h: number }} Box the upper left corner and the size, in pixels */

/** The classes in the order of the model's logits; samples/labels.txt says the same. */
export const labels = Object.freeze(keysOf(animals))

export const sceneSide = 224

/** The first seed of each range. Look at validation scenes as often as you like; held-out ones only test. */
export const trainingSeeds = 0
export const validationSeeds = 10_000_000
export const heldOutSeeds = 20_000_000

/**
 * Where things stand, and the SVG, without painting it.
 *
 * @returns {import('./scenes.mjs').ComposedScene}
 */
export function composeScene(/** @type {number} */ seed) {
  const random = new Random(seed)
  const ground = background(sceneSide, random)
  const placed = placeTwo(random)
  const drawn = placed.map(({ label, cx, cy, size, turn, mirrored }) => {
    const move = `translate(${cx.toFixed(2)} ${cy.toFixed(2)}) rotate(${turn.toFixed(2)})`
    const scale = `scale(${((mirrored ? -size : size) / 100).toFixed(4)} ${(size / 100).toFixed(4)}) translate(-50 -50)`
    return `<g transform="${move} ${scale}">${animals[label].draw(animalColours(random), random)}</g>`
  })
  return {
    seed,
    svg: svgDocument(sceneSide, sceneSide, ground + drawn.join('')),
    boxes: [boxOf(placed[0]), boxOf(placed[1])],
  }
}

const boxOf = (/** @type {Placed} */ { label, box }) => ({ class: labels.indexOf(label), label, ...box })

/**
 * The scene with its pixels: `rgb` holds 224 rows of 224 RGB triples.
 *
 * @returns {Promise<import('./scenes.mjs').RenderedScene>}
 */
export async function renderScene(/** @type {number} */ seed) {
  const scene = composeScene(seed)
  const { data } = await sharp(Buffer.from(scene.svg)).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  return {
    ...scene,
    width: sceneSide,
    height: sceneSide,
    rgb: new Uint8Array(data.buffer, data.byteOffset, data.length),
  }
}

export function svgDocument(/** @type {number} */ width, /** @type {number} */ height, /** @type {string} */ markup) {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${markup}</svg>`
}

/** @returns {[Placed, Placed]} */
function placeTwo(/** @type {Random} */ random) {
  const first = random.below(labels.length)
  const second = (first + 1 + random.below(labels.length - 1)) % labels.length
  // Two of the largest, turned, do not always fit beside each other: then both are drawn again.
  for (;;) {
    const one = place(itemAt(labels, first), random)
    for (let tries = 0; tries < 12; tries++) {
      const other = place(itemAt(labels, second), random)
      if (!overlap(one.box, other.box)) return [one, other]
    }
  }
}

/** @typedef {ReturnType<typeof place>} Placed */

/** An animal somewhere wholly within the image. */
function place(/** @type {Label} */ label, /** @type {Random} */ random) {
  const size = random.between(70, 110)
  const turn = random.between(-25, 25)
  const mirrored = random.chance(0.5)
  const { x, y, w, h } = boxAtOrigin(animals[label].outline, size / 100, turn, mirrored)
  const [left, top] = [random.between(0, sceneSide - w), random.between(0, sceneSide - h)]
  return { label, size, turn, mirrored, cx: left - x, cy: top - y, box: { x: left, y: top, w, h } }
}

/**
 * The upright box of an outline whose middle, (50, 50), lies at (0, 0).
 *
 * @param {string} outline
 * @param {number} scale
 * @param {number} turn
 * @param {boolean} mirrored
 * @returns {Box}
 */
function boxAtOrigin(outline, scale, turn, mirrored) {
  const [cos, sin] = [Math.cos((turn * Math.PI) / 180), Math.sin((turn * Math.PI) / 180)]
  const xs = []
  const ys = []
  for (const point of outline.split(' ')) {
    const [px = NaN, py = NaN] = point.split(',').map(Number)
    const [dx, dy] = [(px - 50) * (mirrored ? -scale : scale), (py - 50) * scale]
    xs.push(dx * cos - dy * sin)
    ys.push(dx * sin + dy * cos)
  }
  const [x, y] = [Math.min(...xs), Math.min(...ys)]
  return { x, y, w: Math.max(...xs) - x, h: Math.max(...ys) - y }
}

const overlap = (/** @type {Box} */ a, /** @type {Box} */ b) =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
