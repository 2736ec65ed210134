// Draws images with their maps over them.
import { colourAt, palettes } from './palettes.js'

const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0))

/**
 * A map as a canvas of the given size, interpolated bilinearly between its cells.
 *
 * @param {{ height: number, width: number, cells: ArrayLike<number> }} map row by row
 * @param how `low` and `high`, the values that get the first and the last colour; `table`, see palettes.js; and `threshold`:
 *   what lies below it is left clear
 */
export function paintCells({ height, width, cells }, toWidth, toHeight, { low, high, table, threshold = -Infinity }) {
  const canvas = document.createElement('canvas')
  canvas.width = Math.max(1, toWidth)
  canvas.height = Math.max(1, toHeight)
  const context = canvas.getContext('2d')
  const image = context.createImageData(canvas.width, canvas.height)
  const axis = (size, count) =>
    Array.from({ length: size }, (_, i) => {
      const at = Math.min(count - 1, Math.max(0, ((i + 0.5) * count) / size - 0.5))
      const cell = Math.floor(at)
      return [cell, Math.min(count - 1, cell + 1), at - cell]
    })
  const columns = axis(canvas.width, width)
  const line = new Float32Array(width)
  // One value everywhere is painted in the first colour, and not as the rounding errors of float32.
  const varies = high - low > 32 * 2 ** -23 * Math.max(Math.abs(low), Math.abs(high))
  const range = varies ? high - low : Infinity
  let out = 0
  for (const [above, below, down] of axis(canvas.height, height)) {
    for (let x = 0; x < width; x++) line[x] = cells[above * width + x] * (1 - down) + cells[below * width + x] * down
    for (const [left, right, along] of columns) {
      const value = line[left] * (1 - along) + line[right] * along
      const color = colourAt((value - low) / range) * 3
      image.data[out++] = table[color]
      image.data[out++] = table[color + 1]
      image.data[out++] = table[color + 2]
      image.data[out++] = value < threshold ? 0 : 255
    }
  }
  context.putImageData(image, 0, 0)
  return canvas
}

/**
 * The same of a small map, in the colours of jet.
 *
 * @param {{ height: number, width: number, levels: string }} map one byte a cell, row by row, in base64
 */
export function paintMap({ height, width, levels }, toWidth, toHeight) {
  const map = { height, width, cells: fromBase64(levels) }
  return paintCells(map, toWidth, toHeight, { low: 0, high: 255, table: palettes.jet.table })
}

/** The map that was last painted for a canvas: it stays the same while only the opacity changes. */
const painted = new WeakMap()

/**
 * Draws an item into a canvas: its image in the size of the canvas, or grey without one, and its map over the part that the
 * model saw.
 *
 * @param {HTMLCanvasElement} canvas
 * @param item its `size` [height, width], `region` { top, left, bottom, right } and `map`, as in a line of manifest.jsonl
 * @param {CanvasImageSource | null} image
 * @param {number} opacity of the map, 0 to 1
 */
export function drawItem(canvas, item, image, opacity) {
  const context = canvas.getContext('2d')
  context.fillStyle = '#888'
  context.fillRect(0, 0, canvas.width, canvas.height)
  if (image) context.drawImage(image, 0, 0, canvas.width, canvas.height)
  if (!item.map || opacity === 0) return
  const [height, width] = item.size
  const { top, left, bottom, right } = item.region
  const x = Math.round((left / width) * canvas.width)
  const y = Math.round((top / height) * canvas.height)
  const toWidth = Math.round((right / width) * canvas.width) - x
  const toHeight = Math.round((bottom / height) * canvas.height) - y
  const key = `${toWidth}x${toHeight}`
  let last = painted.get(canvas)
  if (last?.item !== item || last.key !== key) {
    last = { item, key, map: paintMap(item.map, toWidth, toHeight) }
    painted.set(canvas, last)
  }
  context.globalAlpha = opacity
  context.drawImage(last.map, x, y)
  context.globalAlpha = 1
}
