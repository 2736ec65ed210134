// The images of docs/methods: the sample image by every method, for its cat and for its dog.
import { existsSync, mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import {
  Cam,
  drawConcepts,
  encodeImage,
  FeatureFactorization,
  imagenet,
  InputAttribution,
  interpolate,
  loadImage,
  methods,
  normalize,
  overlay,
  ScriptModule,
} from 'libtorch-gradcam'
import { makeMapExplainers } from '#internal'
import { hasKey, itemAt, keysOf } from '../../support/access.mjs'
import { slopes, slugOf } from './text.mjs'

/** @typedef {import('libtorch-gradcam').Tensor} Tensor */

const root = fileURLToPath(new URL('../../..', import.meta.url))
const side = 224
const gap = 8
const layer = 'features'
/** Of the pixels; what lies beyond is drawn as if it lay there, or one lone pixel would leave all others dark. */
const share = 0.995
const smooth = { samples: 20, sigma: 0.2 }

/**
 * Fewer runs than by default, for what takes minutes otherwise.
 *
 * @type {Record<string, import('libtorch-gradcam').MethodSettings>}
 */
const fewer = {
  sscam: { samples: 2 },
  iscam: { samples: 2 },
  'blur-ig': { steps: 50 },
  'guided-ig': { steps: 50 },
  'shapley-sampling': { samples: 5 },
}

/** The facts of a method; null for what goes with methods. */
const factsOf = (/** @type {string} */ name) => (hasKey(methods, name) ? methods[name] : null)
const isFine = (/** @type {string} */ name) =>
  ['neuron-attribution', 'smoothgrad'].includes(name) ||
  (name !== 'xrai' && ['InputAttribution', 'GuidedGradCam'].includes(factsOf(name)?.by ?? ''))
/** Whether the sample models and the sample image can show it: there is one image. */
export const isDrawn = (/** @type {string} */ name) => name !== 'feature-permutation'
/** The sample model that shows a method: only a transformer has attention. */
const modelOf = (/** @type {string} */ name) =>
  factsOf(name)?.by === 'AttentionMap' ? 'animals-vit.pt' : 'animals-densenet.pt'
const isSigned = (/** @type {string} */ name) => factsOf(name)?.signed ?? false

const signs = (/** @type {string} */ name) =>
  slopes.includes(name)
    ? 'where it is white, brighter pixels raise the score, where black, darker ones'
    : 'white speaks for the class, black against it'

/** What an image shows, in words. */
export function captionOf(/** @type {string} */ name) {
  if (name === 'feature-permutation') return 'No image: it compares several images, and there is one sample.'
  const model = factsOf(name)?.by === 'AttentionMap' ? ` The model is \`samples/${modelOf(name)}\`.` : ''
  const settings = Object.entries(fewer[name] ?? {}).map(([key, value]) => ` With \`${key}: ${value}\`.`)
  return plainCaption(name) + model + settings.join('')
}

function plainCaption(/** @type {string} */ name) {
  const scale = 'each scaled to its own greatest value'
  if (name === 'neuron-attribution')
    return `For the unit of \`features\` that adds most to "cat", and for that of "dog": the saliency of ${smooth.samples} copies with noise of ${smooth.sigma}, mean over the channels, ${scale}.`
  if (name === 'feature-factorization')
    return 'Four concepts of `features` in this one image, each with the classes that the model finds in it alone.'
  if (name === 'smoothgrad')
    return `For "cat", and for "dog": the saliency of ${smooth.samples} copies with noise of ${smooth.sigma}, mean over the channels, ${scale}.`
  if (isFine(name))
    return isSigned(name)
      ? `For "cat", and for "dog": the mean over the channels; ${signs(name)}, grey is zero, ${scale}.`
      : `For "cat", and for "dog": the mean over the channels, white is much, ${scale}.`
  if (isSigned(name))
    return `For "cat", and for "dog": what speaks for the class, from blue for nothing to red, ${scale}; what speaks against it is left out.`
  return `For "cat", and for "dog", from blue for the least to red for the most, ${scale}.`
}

/**
 * Draws docs/methods/images: image.webp, and NAME.webp for every method.
 *
 * @param {string} folder
 * @param {{ again: boolean }} options `again`: those that are there, too
 */
export async function drawImages(folder, { again }) {
  mkdirSync(folder, { recursive: true })
  const requested = (/** @type {string} */ name) =>
    isDrawn(name) && (again || !existsSync(join(folder, `${slugOf(name)}.webp`)))
  const others = ['image', 'feature-factorization', 'finer-cam', 'neuron-attribution', 'refinecam', 'smoothgrad']
  if (![...others, ...Object.keys(methods)].some(requested)) return
  const file = join(root, 'samples', 'cat_dog.png')
  const labels = (await readFile(join(root, 'samples', 'labels.txt'), 'utf8')).trim().split('\n')
  const targets = ['cat', 'dog'].map((label) => labels.indexOf(label))
  const load = (/** @type {string} */ model) => ScriptModule.load(join(root, 'samples', model))
  const model = await load('animals-densenet.pt')
  const transformer = await load('animals-vit.pt')
  const input = await loadImage(file, { size: [side, side], normalize: imagenet })
  const image = await loadImage(file, { size: [side, side] })
  if (requested('image'))
    await sharp(await encodeImage(image, 'png'))
      .webp({ quality: 80 })
      .toFile(join(folder, 'image.webp'))
  /** @type {(name: string, mapOf: (target: number) => Promise<Tensor>) => Promise<void>} */
  const drawAll = async (name, mapOf) => {
    const tiles = []
    for (const target of targets) {
      const map = interpolate(await mapOf(target), [side, side])
      tiles.push(await encodeImage(drawn(name, map, image), 'png'))
    }
    await strip(tiles, join(folder, `${slugOf(name)}.webp`))
  }
  for (const name of keysOf(methods)) {
    if (!requested(name)) continue
    const explained = modelOf(name) === 'animals-vit.pt' ? transformer : model
    const explainer = itemAt(makeMapExplainers(explained, [name], methods[name].layered ? [layer] : [], fewer[name]), 0)
    await drawAll(name, async (target) => itemAt((await explainer.explain(input, { target })).maps, 0).map)
    explainer[Symbol.dispose]()
  }
  const finer = new Cam(model, { layers: [layer] })
  if (requested('finer-cam'))
    await drawAll('finer-cam', async (of) => (await finer.explain(input, { target: { kind: 'finer', class: of } })).cam)
  const early = 'features.denseblock2'
  const product = {
    layers: [early, layer],
    methods: /** @type {const} */ (['gradcam++']),
    aggregate: /** @type {const} */ ('product'),
  }
  const refined = new Cam(model, product)
  if (requested('refinecam'))
    await drawAll('refinecam', async (target) => (await refined.explain(input, { target })).cam)
  const saliency = new InputAttribution(model, { method: 'saliency', smooth })
  if (requested('smoothgrad'))
    await drawAll('smoothgrad', async (target) => (await saliency.explain(input, { target })).attribution.mean(1, true))
  if (requested('neuron-attribution'))
    await drawAll('neuron-attribution', async (target) => {
      const at = await strongestUnit(model, input, target)
      const explainer = new InputAttribution(model, { method: 'saliency', smooth, scoreLayer: layer })
      return (await explainer.explain(input, { target: { kind: 'element', at } })).attribution.mean(1, true)
    })
  if (requested('feature-factorization')) {
    const found = await new FeatureFactorization(model, { layer, concepts: 4 }).explain(input)
    const legend = legendOf(found.conceptScores(), labels)
    await sharp(await drawConcepts(image, found.maps, { legend }))
      .webp({ quality: 85 })
      .toFile(join(folder, 'feature-factorization.webp'))
  }
}

/**
 * The unit of the layer that adds most to a class: its channel, row and column.
 *
 * @param {ScriptModule} model
 * @param {Tensor} input
 * @param {number} target
 */
async function strongestUnit(model, input, target) {
  const cam = new Cam(model, { layers: [layer], methods: ['layer-gradient-x-activation'], contributions: true })
  const added = (await cam.explain(input, { target })).contribution()
  const values = Array.from(/** @type {Float32Array} */ (added.toTypedArray()))
  const [, , rows = 1, columns = 1] = added.shape
  const at = values.indexOf(values.reduce((most, value) => Math.max(most, value), -Infinity))
  return [Math.floor(at / (rows * columns)), Math.floor(at / columns) % rows, at % columns]
}

/**
 * A line for each concept: its most probable classes.
 *
 * @param {Tensor} scores
 * @param {string[]} labels
 */
function legendOf(scores, labels) {
  const rows = /** @type {number[][]} */ (scores.softmax(1).tolist())
  return rows.map((row, k) => {
    const ranked = row.map((part, index) => ({ part, label: labels[index] })).sort((a, b) => b.part - a.part)
    const best = ranked.slice(0, 2).map(({ part, label }) => `${label} ${part.toFixed(2)}`)
    return `concept ${k + 1}: ${best.join(', ')}`
  })
}

/**
 * A map [1, 1, side, side] as an image in [0, 1]: see captionOf.
 *
 * @param {string} name
 * @param {Tensor} map
 * @param {Tensor} image
 */
function drawn(name, map, image) {
  if (!isFine(name)) return overlay(image, isSigned(name) ? map.clamp(0, null) : map)
  const sizes = Float32Array.from(map.abs().toTypedArray(), Number).sort()
  const most = sizes[Math.floor(share * (sizes.length - 1))] || 1
  const scaled = map.div(most).clamp(-1, 1)
  return isSigned(name) ? scaled.mul(0.5).add(0.5) : normalize(scaled)
}

async function strip(/** @type {Buffer[]} */ tiles, /** @type {string} */ file) {
  const width = tiles.length * (side + gap) - gap
  await sharp({ create: { width, height: side, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
    .composite(tiles.map((input, i) => ({ input, left: i * (side + gap), top: 0 })))
    .webp({ quality: 80 })
    .toFile(file)
}
