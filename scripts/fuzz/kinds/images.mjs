// Image files with something wrong in them: they are refused, or explained as any image is.
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { inspect } from 'node:util'
import { explainAll, GradCamError, loadImage, ScriptModule } from 'libtorch-gradcam'
import sharp from 'sharp'
import { corpusOf } from '../corpus.mjs'
import { hostileImages } from '../hostile-images.mjs'
import { mutateBytes, randomOf } from '../random.mjs'

/** As a service would set it: what is decoded fits into the memory that a case may take. */
const maxPixels = 2 ** 24

const codeOf = (/** @type {unknown} */ error) =>
  error === undefined ? 'ok' : error instanceof GradCamError ? error.code : inspect(error)

/** A small image in every format that is read, and in those of their variants that other code of a decoder reads. */
async function wholeImages() {
  const [width, height] = [64, 48]
  const data = Buffer.from(Array.from({ length: width * height * 3 }, (_, i) => (i * 7) & 255))
  const image = () => sharp(data, { raw: { width, height, channels: 3 } })
  const pages = sharp(Buffer.concat(Array.from({ length: 20 }, () => data)), {
    raw: { width, height: 20 * height, channels: 3, pageHeight: height },
  })
  const made = {
    jpeg: image().jpeg(),
    'progressive jpeg': image().jpeg({ progressive: true }),
    'jpeg with EXIF': image()
      .withExif({ IFD0: { Orientation: '6', Copyright: 'x'.repeat(60_000) } })
      .jpeg(),
    'jpeg with a profile': image().withIccProfile('p3').jpeg(),
    'CMYK jpeg': image().toColourspace('cmyk').jpeg(),
    png: image().png(),
    'png with a palette': image().png({ palette: true }),
    webp: image().webp(),
    'lossless webp': image().webp({ lossless: true }),
    gif: image().gif(),
    'animated gif': pages.gif(),
    tiff: image().tiff(),
    'deflated tiff': image().tiff({ compression: 'deflate', tile: true }),
    avif: image().avif({ effort: 1 }),
  }
  const all = Object.entries(made).map(async ([name, one]) => ({ name, bytes: await one.toBuffer() }))
  return await Promise.all(all)
}

/** @returns {Promise<import('../types.d.mts').Kind>} */
export async function prepare(/** @type {string} */ folder) {
  const model = await ScriptModule.load(new URL('../bases/tiny-script.pt', import.meta.url))
  const whole = await wholeImages()
  const file = join(folder, 'image')

  /** Reads it as bytes and as a file; both have to come to the same. */
  async function use(/** @type {Buffer} */ bytes) {
    /** @type {unknown} */
    let refused
    try {
      const image = await loadImage(bytes, { size: [32, 32], maxPixels })
      image.dispose()
    } catch (error) {
      refused = error
    }
    writeFileSync(file, bytes)
    const finish = async (/** @type {import('libtorch-gradcam').BatchExplanation<unknown>} */ result) =>
      void (await result.encode('overlay'))
    const results = explainAll([file], { model, layer: 'conv', maxPixels, finish })
    for await (const result of results) {
      result.dispose()
      if (result.ok !== (refused === undefined))
        return [`loadImage: ${codeOf(refused)}, explainAll: ${result.ok ? 'ok' : codeOf(result.error)}`]
    }
    if (refused) throw refused
    return []
  }

  return {
    run: async (id, begin) => {
      const corpus = corpusOf('images', id)
      if (corpus) {
        begin(basename(corpus))
        return await use(readFileSync(corpus))
      }
      const seed = Number(id)
      const hostile = hostileImages[seed]
      if (hostile) {
        begin(hostile.name)
        return await use(hostile.make())
      }
      const random = randomOf(seed)
      const { name, bytes } = random.pick(whole)
      const { bytes: mutated, what } = mutateBytes(bytes, random)
      begin(`${name}, ${what}`)
      return await use(mutated)
    },
  }
}
