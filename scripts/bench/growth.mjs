// What an explanation is made of, and how its cost grows with batch, image size and depth of the layer, beside a plain
// forward of the same model in the same process; in turns, so that a busy moment counts for all.
//
//   npm run build && node scripts/bench/growth.mjs [--write-docs]
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  GradCam,
  ScriptModule,
  Tensor,
  colorize,
  imagenet,
  interpolate,
  loadImage,
  manualSeed,
  normalize,
  overlay,
  saveImage,
  setNumThreads,
} from 'libtorch-gradcam'
import { packageRoot } from '#internal'
import { markdownTable, writeSection } from '../docs/sections.mjs'
import { testPython } from '#test-support/python.js'
import { valueOf } from '../support/access.mjs'
import { modelFiles } from './models.mjs'
import { median, ratio } from './statistics.mjs'

const target = 10
const rounds = 7
const threads = availableParallelism()
setNumThreads(threads)
manualSeed(0)
const file = join(await modelFiles(await testPython(), ['densenet121'], 224, 1), 'densenet121.pt')
const model = await ScriptModule.load(file)

/**
 * Times of each step, in turns; the first two rounds warm up.
 *
 * @typedef {() => unknown} Step gives what is to be disposed, or a promise of that
 * @param {Record<string, Step>} steps
 */
async function inTurns(steps) {
  const measured = Object.entries(steps).map(([name, step]) => ({ name, step, times: /** @type {number[]} */ ([]) }))
  for (let round = -2; round < rounds; round++)
    for (const { step, times } of measured) {
      const start = performance.now()
      const result = await step()
      const ms = performance.now() - start
      for (const tensor of [result].flat()) if (isDisposable(tensor)) tensor.dispose()
      if (round >= 0) times.push(ms)
    }
  return Object.fromEntries(measured.map(({ name, times }) => [name, times]))
}

/** @returns {value is { dispose(): void }} */
const isDisposable = (/** @type {unknown} */ value) => typeof value === 'object' && value !== null && 'dispose' in value

const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(0)} %`
const milliseconds = (/** @type {number} */ ms) => ms.toFixed(ms < 10 ? 1 : 0)

async function profile() {
  const folder = mkdtempSync(join(tmpdir(), 'gradcam-profile-'))
  const image = join(packageRoot, 'samples', 'cat_dog.png')
  const load = () => loadImage(image, { size: [224, 224], normalize: imagenet })
  const input = await load()
  const shown = await loadImage(image, { size: [224, 224] })
  const gradCam = new GradCam(model, ['features'])
  const hooked = new GradCam(model, ['features'], { execution: 'hooked' })
  const found = await gradCam.explain(input, { target })
  const large = interpolate(found.cam, [224, 224])
  const map = normalize(large)
  await gradCam.forward(input)
  const times = await inTurns({
    'a plain forward, for comparison': () => model.forward(input),
    'decoding, resizing and normalising a PNG': load,
    'forward to the layer and on, split': () => gradCam.forward(input),
    'backward to the layer, and the map': () => gradCam.backward(target).then(() => undefined),
    'both in one call, `explain`': () => gradCam.explain(input, { target }),
    'the same, hooked': () => hooked.explain(input, { target }),
    'enlarging and normalising the map': () => {
      const enlarged = interpolate(found.cam, [224, 224])
      return [enlarged, normalize(enlarged)]
    },
    'colouring it': () => colorize(map),
    'overlaying it on the image': () => overlay(shown, map),
    'encoding and writing a PNG': () => saveImage(map, join(folder, 'map.png')),
  })
  rmSync(folder, { recursive: true })
  const plain = valueOf(times, 'a plain forward, for comparison')
  const rows = Object.entries(times).map(([name, all]) => [name, milliseconds(median(all)), percent(ratio(all, plain))])
  return [['step', 'ms', 'of a plain forward'], ...rows]
}

/** @typedef {{ title: string, batch?: number, size?: number, layer?: string }} Case */

async function growth(/** @type {string[]} */ titles, /** @type {Case[]} */ cases) {
  const rows = []
  for (const { title, batch = 1, size = 224, layer = 'features' } of cases) {
    const input = Tensor.rand([batch, 3, size, size])
    const gradCam = new GradCam(model, [layer])
    const times = await inTurns({
      plain: () => model.forward(input),
      ours: () => gradCam.explain(input, { target }),
    })
    input.dispose()
    gradCam.dispose()
    const [ours, plain] = [valueOf(times, 'ours'), valueOf(times, 'plain')]
    rows.push([title, milliseconds(median(ours) / batch), ratio(ours, plain).toFixed(2)])
  }
  return [titles, ...rows]
}

const head = (/** @type {string} */ what) => [what, 'ms per image', '× a plain forward']
const of = (/** @type {keyof Case} */ key, /** @type {(string | number)[]} */ values) =>
  values.map((value) => ({ title: String(value), [key]: value }))
/** @type {[string, string[][]][]} */
const tables = [
  ['### What one explanation is made of', await profile()],
  ['### By batch', await growth(head('batch'), of('batch', [1, 2, 4, 8, 16, 32]))],
  ['### By image size', await growth(head('width and height'), of('size', [112, 224, 320, 448]))],
  [
    '### By depth of the layer',
    await growth(
      head('layer'),
      of('layer', ['features', ...[4, 3, 2, 1].map((block) => `features.denseblock${block}`), 'features.conv0']),
    ),
  ],
]
const parts = tables.map(([title, table]) => `${title}\n\n${markdownTable(table)}`)
const section = `densenet121, Grad-CAM, LibTorch's CPU kernels on ${threads} threads.\n\n${parts.join('\n\n')}`
console.log(section)

if (process.argv.includes('--write-docs')) await writeSection('growth', section)
