/**
 * Evaluates every method of the package by every metric, on scenes that the bundled model has never seen. With --model vit these
 * are the methods for transformers, of the bundled transformer.
 *
 *     npm run build && node scripts/evaluate/evaluate-methods.mjs [--model densenet|vit] [--images N] [--only METHOD,...] [--metrics METRIC,...] [--write-docs] [--describe] [--draw]
 *
 * --write-docs puts the table into docs/metrics.md and draws docs/images/methods.png, one image by all methods. With --only the
 * rows of these methods are put among the others, which stay as they were measured: for a new method; with --metrics likewise
 * the columns of these metrics. --describe measures nothing, and only writes again what each metric means and which have no
 * figures. --draw only draws that image, which takes minutes.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { GradCamError, imagenet, loadImage, metrics, ScriptModule, Tensor } from 'libtorch-gradcam'
import { packageRoot } from '#internal'
import { readSection, writeSection } from '../docs/sections.mjs'
import { contactSheet, side } from './contact-sheet.mjs'
import { methodsOf } from './methods.mjs'
import { evaluationSection, meaningsSection, mergeRows } from './report.mjs'
import { toInput } from '../samples/scene-input.mjs'
import { heldOutSeeds, renderScene } from '../samples/scenes.mjs'
import { hasKey, keysOf } from '../support/access.mjs'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'densenet' },
    images: { type: 'string', default: '10' },
    only: { type: 'string' },
    metrics: { type: 'string' },
    'write-docs': { type: 'boolean', default: false },
    describe: { type: 'boolean', default: false },
    draw: { type: 'boolean', default: false },
  },
})
const steps = 16 // of integrated gradients
const masks = 500 // of RISE
const samples = 2 // of SS-CAM and IS-CAM: each takes the runs of Score-CAM as many times
const subjects = {
  densenet: {
    file: 'samples/animals-densenet.pt',
    kind: /** @type {const} */ ('convolutions'),
    layer: 'features',
    modules: ['classifier', 'features'],
    section: 'evaluation',
    settings: `methods of several steps take ${steps} of them, SS-CAM and IS-CAM ${samples} samples, RISE ${masks} masks`,
  },
  vit: {
    file: 'samples/animals-vit.pt',
    kind: /** @type {const} */ ('transformer'),
    layer: 'blocks.3.norm1',
    modules: ['head', 'norm', 'blocks', 'stem'],
    section: 'evaluation-vit',
    settings: `integrated gradients take ${steps} steps`,
  },
}
const scenes = Number(values.images)
const all = keysOf(metrics)
const asked = values.metrics?.split(',')
if (
  !hasKey(subjects, values.model) ||
  !Number.isSafeInteger(scenes) ||
  scenes < 1 ||
  asked?.some((name) => !all.some((known) => known === name))
) {
  console.error(
    'Usage: node scripts/evaluate/evaluate-methods.mjs [--model densenet|vit] [--images N] [--only METHOD,...] [--metrics METRIC,...] [--write-docs] [--describe] [--draw]\n' +
      `The metrics are ${all.join(', ')}.`,
  )
  process.exit(2)
}
if (values.draw && (values.only || values.model !== 'densenet')) {
  console.error('The image shows every method, by the network of convolutions: leave out --only and --model.')
  process.exit(2)
}

const subject = subjects[values.model]
/** @type {import('./report.mjs').Options} */
const options = {
  // Maps of different methods differ in scale, which says nothing of how good they are.
  infidelity: { score: 'logit', normalize: true, samples: 32 },
  'sensitivity-max': { samples: 4 },
  'sensitivity-avg': { samples: 4 },
  'parameter-randomization': { order: 'cascading', modules: subject.modules },
}

const file = (/** @type {string} */ path) => join(packageRoot, path)
const model = await ScriptModule.load(file(subject.file))
const requested = values.only?.split(',')
const known = methodsOf(subject.kind, { layer: subject.layer, steps, masks, samples })
const methods = known.filter(({ name }) => !values.describe && (!requested || requested.includes(name)))
/** Whether rows and columns that are not measured now stay as they were. */
const merges = Boolean(values.only ?? values.metrics) || values.describe

/**
 * A metric with its options, which it checks itself.
 *
 * @param {import('./report.mjs').MetricName} name
 * @param {import('libtorch-gradcam').ExplainMaps} explain
 */
function open(name, explain) {
  const { create, needs } = metrics[name]
  const make = /** @type {(model: ScriptModule, options: object) => import('libtorch-gradcam').Metric} */ (create)
  return make(model, { ...options[name], ...(needs === 'explain' ? { explain } : {}) })
}

/** @typedef {{ input: Tensor, boxes: readonly import('../samples/scenes.mjs').SceneBox[] }} Seen a scene, once for each animal */

/**
 * The means of all metrics over all scenes for one method.
 *
 * @param {import('libtorch-gradcam').ExplainMaps} explain
 * @param {Seen[]} seen
 */
async function evaluate(explain, seen) {
  const names = all.filter((name) => !asked || asked.includes(name))
  const opened = names.map((name) => open(name, explain))
  try {
    for (const { input, boxes } of seen) {
      const targets = boxes.map((box) => box.class)
      const maps = await explain(model, input, { target: targets, signal: undefined })
      for (const metric of opened) await metric.add(input, maps, { targets, boxes })
      maps.dispose()
    }
    return Object.fromEntries(opened.map((metric, i) => [names[i], metric.result().mean]))
  } finally {
    for (const metric of opened) metric.dispose()
  }
}

/** One image by these methods. */
async function draw(/** @type {typeof methods} */ shown) {
  const image = file('samples/cat_dog.png')
  const input = await loadImage(image, { size: [224, 224], normalize: imagenet })
  const maps = []
  for (const method of shown) {
    maps.push({ title: method.title, map: await method.explain(model, input, { target: 0, signal: undefined }) })
    method.close()
  }
  await contactSheet(await loadImage(image, { size: [side, side] }), maps, file('docs/images/methods.png'))
}

if (values.draw) {
  await draw(methods)
  process.exit(0)
}
/** @type {Seen[]} */
const seen = []
for (let seed = heldOutSeeds; seed < heldOutSeeds + scenes; seed++) {
  const { rgb, boxes } = await renderScene(seed)
  const one = toInput(rgb)
  seen.push({ input: Tensor.cat([one, one]), boxes }) // one for each of its animals
  one.dispose()
}
/** @type {import('./report.mjs').Row[]} */
const rows = []
/** @type {{ title: string, message: string }[]} */
const refused = []
for (const method of methods) {
  const start = performance.now()
  try {
    const means = await evaluate(method.explain, seen)
    rows.push({ title: method.title, baseline: method.name === 'noise', means })
    const figures = Object.entries(means).map(([name, value]) => `${name} ${value.toFixed(3)}`)
    console.log(`${method.title} (${((performance.now() - start) / 1000).toFixed(0)} s): ${figures.join(', ')}`)
  } catch (error) {
    if (!(error instanceof GradCamError)) throw error
    refused.push({ title: method.title, message: error.message })
    console.log(`${method.title}: ${error.message}`)
  } finally {
    method.close()
  }
}
if (rows.length === 0 && !values.describe) process.exit(1)
const page = file('docs/metrics.md')
const writes = values['write-docs'] || values.describe
const shown = merges && writes ? mergeRows(readSection(subject.section, page), rows, known) : rows
const table = evaluationSection({
  rows: shown,
  methods: merges ? known : methods,
  seed: heldOutSeeds,
  scenes,
  file: subject.file,
  settings: `maps of layers are of \`${subject.layer}\`; ${subject.settings}`,
  refused,
})
// The columns mean the same for both models.
const section = values.model === 'densenet' ? `${table}\n\n${meaningsSection(options)}` : table
if (!writes) console.log(`\n${section}`)
else {
  if (!merges && values.model === 'densenet')
    await draw(methods.filter(({ title }) => rows.some((row) => row.title === title)))
  await writeSection(subject.section, section, page)
}
