// Loads models of torchvision and timm in every form that they can be given in, compares them with eager PyTorch, and writes
// docs/models.md. `npm run zoo` runs all, which takes an hour; names after it are models to run, whose rows are replaced.
//
// Python needs torch, torchvision and timm.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import * as prettier from 'prettier'
import { architectures, defaultLayer, GradCam, ScriptModule, Tensor } from 'libtorch-gradcam'
import { packageRoot } from '#internal'

const file = join(packageRoot, 'docs', 'models.md')
const timm =
  'vit_tiny_patch16_224 deit_tiny_patch16_224 swin_tiny_patch4_window7_224 resnet18 resnet50 resnext50_32x4d seresnet50 ' +
  'convnext_tiny convnextv2_nano efficientnet_b0 efficientnet_lite0 tf_efficientnetv2_b0 mobilenetv3_large_100 mobilevit_s ' +
  'regnety_004 densenet121 vgg11_bn xception41 nfnet_l0 ghostnet_100 hrnet_w18_small mnasnet_100 dla34 res2net50_26w_4s ' +
  'resnest14d rexnet_100 repvgg_a0 edgenext_small poolformer_s12 crossvit_tiny_240 coat_tiny cait_xxs24_224 pit_ti_224 ' +
  'mixer_s32_224 levit_128s maxvit_tiny_tf_224 beit_base_patch16_224 eva02_tiny_patch14_224 fastvit_t8 inception_v4'
const torchvision = [...architectures().map(({ name }) => name), 'maxvit_t', 'lraspp_mobilenet_v3_large']
const all = [...torchvision, ...timm.split(' ').map((name) => `timm:${name}`)]

const forms = /** @type {const} */ ({
  scripted: 'scripted.pt',
  traced: 'traced.pt',
  exported: 'exported.pt2',
  weights: 'weights.pth',
})

const read = (/** @type {string} */ path) => {
  const bytes = readFileSync(path)
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

/** ||a - b|| / ||b|| */
function distance(/** @type {ArrayLike<number | bigint>} */ actual, /** @type {Float32Array} */ expected) {
  let [error, size] = [0, 0]
  for (const [i, value] of expected.entries()) {
    error += (Number(actual[i]) - value) ** 2
    size += value ** 2
  }
  return size === 0 ? Math.sqrt(error) : Math.sqrt(error / size)
}

const shown = (/** @type {number} */ error) => (error === 0 ? 'exact' : error.toExponential(0))

/** @typedef {{ size: number, failures: Record<string, string | null>, part: string | null }} Written by model.py */

/** The rows of a table for one model. */
async function rowsOf(/** @type {string} */ name, /** @type {string} */ folder) {
  const python = spawn('python3', [join(import.meta.dirname, 'model.py'), folder, name], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const lines = createInterface(python.stdout)[Symbol.asyncIterator]()
  const first = await lines.next()
  if (first.done) return `| ${name} | | PyTorch cannot build it | | | | |\n`
  const written = /** @type {Written} */ (JSON.parse(first.value))
  const input = Tensor.from(read(join(folder, 'input.bin')), [2, 3, written.size, written.size])
  /** @type {string | null} */
  let layer = null
  /** @type {Map<string, string>} */
  const cells = new Map()
  /** @type {{ form: string, model: ScriptModule, output: number }[]} */
  const loaded = []
  for (const form of /** @type {(keyof typeof forms)[]} */ (Object.keys(forms))) {
    const failed = written.failures[form]
    const path = join(folder, forms[form])
    if (failed !== null || !existsSync(path)) {
      cells.set(form, 'PyTorch refuses')
      continue
    }
    if (form === 'weights' && !architectures().some((each) => each.name === name)) {
      cells.set(form, '')
      continue
    }
    try {
      const model =
        form === 'weights' ? await ScriptModule.load(name, { weights: path }) : await ScriptModule.load(path)
      const result = await model.forward(input)
      const scores = written.part === null ? result : /** @type {any} */ (result)[written.part]
      loaded.push({ form, model, output: distance(scores?.toTypedArray() ?? [], read(join(folder, 'output.bin'))) })
      layer ??= (await defaultLayer(model, [1, 3, written.size, written.size]).catch(() => null))?.path ?? null
    } catch (error) {
      cells.set(form, /** @type {{ code?: string }} */ (error).code ?? String(error))
    }
  }
  python.stdin.write(`${layer ?? ''}\n`)
  const second = layer === null ? null : await lines.next()
  python.stdin.end()
  let execution = ''
  for (const { form, model, output } of loaded) {
    let cam = ''
    if (layer !== null && second && !second.done) {
      try {
        const gradCam = new GradCam(model, [layer])
        await gradCam.forward(input)
        await gradCam.backward((/** @type {never} */ returned) => {
          const scores = /** @type {Tensor} */ (written.part === null ? returned : returned[written.part])
          return scores.select(1, 1).sum()
        })
        cam = `, map ${shown(distance(gradCam.get(layer).toTypedArray(), read(join(folder, 'cam.bin'))))}`
        execution = gradCam.execution.path === 'split' ? 'split' : `hooked: ${gradCam.execution.why}`
        gradCam.dispose()
      } catch (error) {
        cam = `, ${/** @type {{ code?: string }} */ (error).code ?? String(error)}`
      }
    }
    cells.set(form, `${shown(output)}${cam}`)
    model.dispose()
  }
  const columns = Object.keys(forms).map((form) => cells.get(form) ?? '')
  return `| ${[name, layer ?? 'none is spatial', ...columns, execution].join(' | ')} |\n`
}

const intro = `# Models

Written by \`npm run zoo\`. Each model of torchvision and timm, with random weights, in the forms that it can be given in: a scripted and
a traced TorchScript file, an exported program (.pt2, with a dynamic batch), and its weights in an architecture of this package. Each
form has the distance of its outputs from eager PyTorch, and that of its Grad-CAM map at the layer that is suggested, relative to their
own size; PyTorch's own convolutions differ by about 1e-6 from run to run of another memory layout. The last column says how the pass
ran.

`
const head =
  '| model | suggested layer | scripted | traced | exported | weights | pass |\n| --- | --- | --- | --- | --- | --- | --- |\n'

const wanted = process.argv.length > 2 ? process.argv.slice(2) : all
const before = existsSync(file)
  ? readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => /^\| [a-z]/.test(line))
  : []
const rows = new Map(before.map((line) => [line.split('|')[1]?.trim() ?? '', `${line}\n`]))
rows.delete('model')
for (const name of wanted) {
  const folder = mkdtempSync(join(tmpdir(), 'zoo-'))
  try {
    const row = await rowsOf(name, folder)
    rows.set(name, row)
    process.stdout.write(row)
  } finally {
    rmSync(folder, { recursive: true })
  }
  const sorted = [...rows].sort(([a], [b]) => all.indexOf(a) - all.indexOf(b)).map(([, row]) => row)
  const options = { ...(await prettier.resolveConfig(file)), parser: 'markdown' }
  writeFileSync(file, await prettier.format(intro + head + sorted.join(''), options))
}
