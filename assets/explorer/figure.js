// Draws an image with a map over it, as far as it is seen.
import { paintCells } from '../report/heat.js'
import { palettes } from '../report/palettes.js'

/** The values that the ends of the colours stand for, and the value below which a map is clear. */
export function scaleOf(map, { colours, gradients, threshold, fine }) {
  const { table, diverging } = palettes[fine ? gradients : colours]
  const ends = fine ? [map.mostLow, map.mostHigh] : [map.low, map.high]
  const reach = Math.max(...ends.map(Math.abs))
  const [low, high] = diverging ? [-reach, reach] : ends
  const from = diverging ? 0 : low
  const isCut = threshold > 0 && !fine
  const isOver = map.low < low || map.high > high
  return { low, high, table, isOver, threshold: isCut ? from + (threshold / 100) * (high - from) : -Infinity }
}

/** The map that was last painted for a canvas: it stays while only the view or the opacity changes. */
const painted = new WeakMap()

function paint(canvas, map, how, [width, height]) {
  const key = [width, height, how.fine ? how.gradients : how.colours, how.fine ? 0 : how.threshold].join()
  let last = painted.get(canvas)
  if (last?.map !== map || last.key !== key) {
    const { height: rows, width: columns, cells } = map
    last = { map, key, image: paintCells({ height: rows, width: columns, cells }, width, height, scaleOf(map, how)) }
    painted.set(canvas, last)
  }
  return last.image
}

/** Pixels a side that a map is painted with at most. */
const mostPainted = 1024

/**
 * Draws into a canvas.
 *
 * @param {HTMLCanvasElement} canvas
 * @param what `image`, an ImageBitmap; `map`, null while there is none; `how`: opacity, colours, gradients, threshold, and `fine`,
 *   whether the map differs from pixel to pixel and is drawn alone; `view`: { zoom, x, y }, the corner in pixels of the image;
 *   `cursor`: { x, y } in pixels of the image, whose cell is outlined
 */
export function drawFigure(canvas, { image, map, how, view = { zoom: 1, x: 0, y: 0 }, cursor = null }) {
  const context = canvas.getContext('2d')
  // The map's own size is that of the image as the server read it.
  const [height, width] = map?.size ?? [image.height, image.width]
  const fit = Math.min(canvas.width / width, canvas.height / height)
  const scale = fit * view.zoom
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.clearRect(0, 0, canvas.width, canvas.height)
  const left = (canvas.width - width * fit) / 2
  const top = (canvas.height - height * fit) / 2
  context.setTransform(scale, 0, 0, scale, left - view.x * scale, top - view.y * scale)
  context.save()
  context.beginPath()
  context.rect(0, 0, width, height)
  context.clip()
  context.imageSmoothingEnabled = scale < 3
  context.drawImage(image, 0, 0, width, height)
  if (map) drawMap(canvas, context, { map, how, fit })
  context.restore()
  if (map && cursor) outline(context, map, cursor, scale)
}

function drawMap(canvas, context, { map, how, fit }) {
  const { window: at } = map
  const [x, y, width, height] = [at.left, at.top, at.right - at.left, at.bottom - at.top]
  const size = [width, height].map((side) => Math.max(1, Math.min(mostPainted, Math.round(side * fit))))
  // A fine map is painted cell by cell: between them there is nothing to interpolate.
  const own = how.fine ? [map.width, map.height] : size
  context.globalAlpha = how.fine ? 1 : how.opacity / 100
  context.drawImage(paint(canvas, map, how, own), x, y, width, height)
  context.globalAlpha = 1
}

/** The cell of a map at a pixel of the image; null outside it. */
export function cellAt({ window: at, height, width, cells, size }, { x, y }) {
  if (x < 0 || y < 0 || x >= size[1] || y >= size[0]) return null
  const column = Math.floor(((x - at.left) / (at.right - at.left)) * width)
  const row = Math.floor(((y - at.top) / (at.bottom - at.top)) * height)
  if (column < 0 || row < 0 || column >= width || row >= height) return null
  return { row, column, value: cells[row * width + column] }
}

/** The middle of a cell in pixels of the image. */
export function middleOf({ window: at, height, width }, { row, column }) {
  return {
    x: at.left + ((column + 0.5) / width) * (at.right - at.left),
    y: at.top + ((row + 0.5) / height) * (at.bottom - at.top),
  }
}

function outline(context, map, cursor, scale) {
  const cell = cellAt(map, cursor)
  if (!cell) return
  const { window: at, height, width } = map
  const [cellWidth, cellHeight] = [(at.right - at.left) / width, (at.bottom - at.top) / height]
  const box = [at.left + cell.column * cellWidth, at.top + cell.row * cellHeight, cellWidth, cellHeight]
  // Seen on every ground: dark, and light inside it.
  for (const [style, line] of [
    ['#000', 4],
    ['#fff', 2],
  ]) {
    context.strokeStyle = style
    context.lineWidth = line / scale
    context.strokeRect(...box)
  }
}

/** Where a map is highest, in words. */
export function peakOf(map) {
  const { cells, low, high, size } = map
  if (low === high) return 'the map has one value everywhere'
  const at = cells.indexOf(high)
  const { x, y } = middleOf(map, { row: Math.floor(at / map.width), column: at % map.width })
  const share = (part, whole) => Math.round((100 * part) / whole)
  return `it is highest at ${share(x, size[1])} % from the left and ${share(y, size[0])} % from the top`
}
