import sharp from 'sharp'
import { encodeImage, interpolate, overlay } from 'libtorch-gradcam'
import { svgDocument } from '../samples/scenes.mjs'

/** @typedef {import('libtorch-gradcam').Tensor} Tensor */

export const side = 192
const gap = 12
const label = 24
const columns = 6

const escape = (/** @type {string} */ text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/**
 * One image by all methods, side by side, a label under each; the image itself comes first.
 *
 * @param {Tensor} image [1, 3, side, side] in [0, 1]
 * @param {{ title: string, map: Tensor }[]} maps each [1, 1, h, w]
 * @param {string} file where the sheet is written
 */
export async function contactSheet(image, maps, file) {
  const cells = [{ title: 'The image', tile: await encodeImage(image, 'png') }]
  for (const { title, map } of maps) cells.push({ title, tile: await drawn(image, map) })
  const rows = Math.ceil(cells.length / columns)
  const [width, height] = [columns * (side + gap) + gap, rows * (side + label + gap) + gap]
  const place = (/** @type {number} */ i) => ({
    left: gap + (i % columns) * (side + gap),
    top: gap + Math.floor(i / columns) * (side + label + gap),
  })
  const texts = cells.map(({ title }, i) => {
    const { left, top } = place(i)
    return `<text x="${left + side / 2}" y="${top + side + 17}" text-anchor="middle">${escape(title)}</text>`
  })
  const words = svgDocument(
    width,
    height,
    `<g font-family="sans-serif" font-size="15" fill="#222">${texts.join('')}</g>`,
  )
  const layers = cells.map(({ tile }, i) => ({ input: tile, ...place(i) }))
  await sharp({ create: { width, height, channels: 3, background: '#fff' } })
    .composite([...layers, { input: Buffer.from(words), left: 0, top: 0 }])
    .png({ compressionLevel: 9, palette: true, colours: 256 })
    .toFile(file)
}

/**
 * The map's colours over the image. The highest hundredth is one colour, or a lone pixel would leave all others dark.
 *
 * @param {Tensor} image
 * @param {Tensor} map
 */
async function drawn(image, map) {
  const large = interpolate(map, [side, side])
  const sorted = Float32Array.from(large.toTypedArray(), Number).sort()
  const cut = large.clamp(null, sorted[Math.floor(0.99 * (sorted.length - 1))])
  const painted = overlay(image, cut)
  const tile = await encodeImage(painted, 'png')
  for (const tensor of [large, cut, painted]) tensor.dispose()
  return tile
}
