// Writes assets/architectures: torchvision's architectures as plans without weights, for ScriptModule.load(name, { weights }).
//
//   node scripts/architectures/write.mjs [NAME ...]      all by default; Python needs torch and torchvision
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import { packageRoot, readPlan } from '#internal'

const names = [
  'alexnet',
  ...['121', '161', '169', '201'].map((n) => `densenet${n}`),
  ...['18', '34', '50', '101', '152'].map((n) => `resnet${n}`),
  'resnext50_32x4d',
  'resnext101_32x8d',
  'wide_resnet50_2',
  'wide_resnet101_2',
  ...['11', '13', '16', '19'].flatMap((n) => [`vgg${n}`, `vgg${n}_bn`]),
  'squeezenet1_0',
  'squeezenet1_1',
  'mobilenet_v2',
  'mobilenet_v3_small',
  'mobilenet_v3_large',
  'mnasnet1_0',
  'shufflenet_v2_x1_0',
  ...['b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7', 'v2_s', 'v2_m', 'v2_l'].map((n) => `efficientnet_${n}`),
  ...['tiny', 'small', 'base', 'large'].map((n) => `convnext_${n}`),
  ...['400mf', '800mf', '1_6gf', '3_2gf', '8gf', '16gf'].flatMap((n) => [`regnet_x_${n}`, `regnet_y_${n}`]),
  ...['b_16', 'b_32', 'l_16', 'l_32'].map((n) => `vit_${n}`),
  ...['t', 's', 'b', 'v2_t', 'v2_s', 'v2_b'].map((n) => `swin_${n}`),
  'googlenet',
  'inception_v3',
  'fcn_resnet50',
  'fcn_resnet101',
  'deeplabv3_resnet50',
  'deeplabv3_resnet101',
  'deeplabv3_mobilenet_v3_large',
]

/** @typedef {{ byClass: string[], state: string[], unused: string[], name: string }} Facts of export.py */

const out = join(packageRoot, 'assets', 'architectures')

/** The text of a plan without the values of its weights. */
function skeleton(/** @type {string} */ file, /** @type {Facts} */ facts) {
  const plan = readPlan(file, 'cpu')
  if (!plan) throw new Error(`${file} is not an exported program`)
  const { modules, tensors, ...rest } = plan
  const weights = tensors.map(({ module, name, isParameter, tensor }) => {
    const { path } = modules[module] ?? { path: '' }
    const full = path === '' ? name : `${path}.${name}`
    const { dtype, sizes, storage, offset } = tensor
    const entry = { module, name, isParameter, dtype, sizes }
    if (facts.byClass.includes(full)) return { ...entry, byClass: true }
    if (facts.state.includes(full)) return entry
    if (offset !== 0) throw new Error(`${facts.name}: the constant ${full} is a view`)
    const bytes = readFileSync(file).subarray(storage.position, storage.position + storage.length)
    return { ...entry, data: bytes.toString('base64') }
  })
  return JSON.stringify({ modules, tensors: weights, ...rest, unused: facts.unused })
}

mkdirSync(out, { recursive: true })
const wanted = process.argv.length > 2 ? process.argv.slice(2) : names
for (const name of wanted) {
  const folder = mkdtempSync(join(tmpdir(), 'architectures-'))
  try {
    const script = join(import.meta.dirname, 'export.py')
    const { status } = spawnSync('python3', ['-W', 'ignore', script, folder, name], { stdio: 'inherit' })
    if (status !== 0) throw new Error(`${name} was not exported`)
    const facts = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))
    const text = skeleton(join(folder, `${name}.pt2`), facts)
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 }
    writeFileSync(join(out, `${name}.json.br`), brotliCompressSync(text, { params }))
    const { byClass: _, state: _state, unused: _unused, ...entry } = facts
    writeIndex(entry)
    writeFileSync(join(out, 'imagenet-labels.json'), readFileSync(join(folder, 'imagenet-labels.json')))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
console.log(`${readdirSync(out).length} files in ${out}`)

/** Puts an entry into the index, which stays in the order of the list above. */
function writeIndex(/** @type {{ name: string }} */ entry) {
  const file = join(out, 'index.json')
  /** @type {{ name: string }[]} */
  const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
  const entries = [...before.filter(({ name }) => name !== entry.name), entry]
  entries.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name))
  writeFileSync(file, `[\n${entries.map((each) => JSON.stringify(each)).join(',\n')}\n]\n`)
}
