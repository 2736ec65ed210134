// Draws images with their maps over them.

const segments = [
  [0, 0, 0.35, 0, 0.66, 1, 0.89, 1, 1, 0.5],
  [0, 0, 0.125, 0, 0.375, 1, 0.64, 1, 0.91, 0, 1, 0],
  [0, 0.5, 0.11, 1, 0.34, 1, 0.65, 0, 1, 0],
]

/** matplotlib's jet: 256 colours of red, green and blue bytes. */
const jet = new Uint8ClampedArray(768)
for (let color = 0; color < 256; color++)
  segments.forEach((points, channel) => {
    const at = color / 255
    let k = 2
    while (points[k] < at) k += 2
    const share = (at - points[k - 2]) / (points[k] - points[k - 2])
    jet[color * 3 + channel] = 255 * (points[k - 1] + share * (points[k + 1] - points[k - 1]))
  })

const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0))

/**
 * A map as a canvas of the given size, in the colours of jet, interpolated bilinearly between its cells.
 *
 * @param {{ height: number, width: number, levels: string }} map one byte a cell, row by row, in base64
 */
export function paintMap({ height, width, levels }, toWidth, toHeight) {
  const cells = fromBase64(levels)
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
  let out = 0
  for (const [above, below, down] of axis(canvas.height, height)) {
    for (let x = 0; x < width; x++) line[x] = cells[above * width + x] * (1 - down) + cells[below * width + x] * down
    for (const [left, right, along] of columns) {
      const color = Math.round(line[left] * (1 - along) + line[right] * along) * 3
      image.data[out++] = jet[color]
      image.data[out++] = jet[color + 1]
      image.data[out++] = jet[color + 2]
      image.data[out++] = 255
    }
  }
  context.putImageData(image, 0, 0)
  return canvas
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
