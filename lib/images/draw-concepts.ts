import { native } from '../addon/native.js'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { NodeBuffer } from '../base/platform-types.js'
import { checkTensorShape, Tensor } from '../tensor/tensor.js'
import { loadSharp } from './sharp.js'

/** How {@link drawConcepts} draws. */
export interface DrawConceptsOptions {
  /** How much of the colour is seen where a concept is at its most: 0 gives the image alone. 0.7 by default. */
  readonly alpha?: number
  /** A line for each concept, which is drawn below the image beside its colour. Without it there is no legend. */
  readonly legend?: readonly string[]
  /** The value of each concept that is drawn in its full colour, e.g. its greatest over a batch; by default that of these maps. */
  readonly most?: readonly number[]
}

/** Okabe and Ito's, which people who see few colours tell apart as well. */
const palette = ['#E69F00', '#56B4E9', '#009E73', '#F0E442', '#0072B2', '#D55E00', '#CC79A7']

/** The colour of a concept, as red, green and blue from 0 to 255: of a palette of seven, after which they go around the wheel. */
export function conceptColor(index: number): readonly [red: number, green: number, blue: number] {
  const hex = palette[expect.integer('index', index, { min: 0 })]
  if (hex !== undefined)
    return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as [number, number, number]
  const hue = (index * 0.618_034) % 1 // the golden ratio keeps any number of them apart
  return [0, 4, 2].map((shift) => {
    const k = (shift + hue * 6) % 6
    return Math.round(230 * (1 - 0.8 * Math.max(0, Math.min(k, 4 - k, 1))))
  }) as [number, number, number]
}

/**
 * Concepts over the image that shows them, as the bytes of a PNG file: each pixel has the colour of the concept that is nearest to
 * its own greatest value (`most`) there, as strong as it is near. Maps are upsampled to the image (bilinear).
 *
 * @param image [1, 3, H, W] in [0, 1]
 * @param maps [1, K, h, w], at least zero: one image of the maps of a `FactorizationExplanation`
 * @returns PNG bytes, as wide as the image or as the legend needs
 * @throws GradCamError ERR_SHAPE, ERR_INVALID_ARGUMENT, ERR_TOOL_MISSING
 */
export async function drawConcepts(
  image: Tensor,
  maps: Tensor,
  options: DrawConceptsOptions = {},
): Promise<NodeBuffer> {
  const { alpha = 0.7, legend, most } = expect.options(options)
  expect.number('alpha', alpha, { min: 0, max: 1 })
  checkTensorShape('image', image, '[1, 3, H, W]', (s) => s.length === 4 && s[0] === 1 && s[1] === 3 && !s.includes(0))
  checkTensorShape('maps', maps, '[1, K, h, w]', (s) => s.length === 4 && s[0] === 1 && !s.includes(0))
  const count = maps.shape[1] as number
  if (legend !== undefined) {
    expect.list('legend', legend, (line): line is string => typeof line === 'string', 'a line of text for each concept')
    if (legend.length !== count)
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        `There are ${count} concepts, but ${legend.length} lines of a legend.`,
      )
  }
  if (most !== undefined) {
    expect.list('most', most, isLevel, 'a number above 0 for each concept')
    if (most.length !== count)
      throw new GradCamError(
        'ERR_INVALID_ARGUMENT',
        `There are ${count} concepts, but ${most.length} values of \`most\`.`,
      )
  }
  const [, , height, width] = image.shape as [number, number, number, number]
  const painted = await paint(image, maps, { alpha, most })
  const sharp = await loadSharp()
  const base = sharp(painted, { raw: { width, height, channels: 3 }, limitInputPixels: false })
  if (legend === undefined) return await base.png().toBuffer()
  const drawn = legendSvg(legend, width)
  const right = Math.max(0, drawn.width - width)
  return await base
    .extend({ bottom: drawn.height, right, background: '#ffffff' })
    .composite([{ input: Buffer.from(drawn.svg), top: height, left: 0 }])
    .removeAlpha() // which the legend brings
    .png()
    .toBuffer()
}

const isLevel = (value: unknown): value is number => typeof value === 'number' && value > 0 && value < Infinity

/** Red, green and blue of each pixel, row by row. */
async function paint(
  image: Tensor,
  maps: Tensor,
  { alpha, most = [] }: { readonly alpha: number; readonly most: readonly number[] | undefined },
): Promise<Uint8Array> {
  const colors = Array.from({ length: maps.shape[1] as number }, (_, k) => conceptColor(k)).flat()
  const given = [Float64Array.from(most), Float64Array.from(colors)] as const
  using painted = Tensor.own(await native().paintConcepts(image.handle, maps.handle, ...given, alpha, 0))
  return painted.toTypedArray() as Uint8Array
}

const row = 22
/** Of a character, on average, at the size that is used: texts are cut where they would not fit. */
const letter = 7.5
const widest = 1000

function legendSvg(lines: readonly string[], least: number): { svg: string; width: number; height: number } {
  const longest = lines.reduce((length, line) => Math.max(length, line.length), 0)
  const width = Math.max(least, Math.min(widest, Math.ceil(36 + letter * longest)))
  const height = row * lines.length + 8
  const room = Math.floor((width - 36) / letter)
  const rows = lines.map((line, i) => {
    const text = line.length > room ? `${line.slice(0, room - 1)}…` : line
    const y = 4 + i * row
    return (
      `<rect x="8" y="${y + 3}" width="16" height="16" fill="rgb(${conceptColor(i).join(',')})"/>` +
      `<text x="32" y="${y + 16}" font-family="DejaVu Sans, Arial, Helvetica, sans-serif" font-size="13" fill="#111">${escaped(text)}</text>`
    )
  })
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#fff"/>${rows.join('')}</svg>`
  return { svg, width, height }
}

/** Text as XML has it, without characters that it does not have. */
const escaped = (text: string): string =>
  text
    .replaceAll(/\p{Cc}/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
