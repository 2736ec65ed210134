// Each method beside its peer, in one run: the same weights, inputs and threads, in turns.
//
//   npm run build && node scripts/bench/methods.mjs [--methods LIST] [--model resnet18] [--size 224] [--rounds 7]
//     [--json out/methods.json] [--write-docs]
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { methods as table } from 'libtorch-gradcam'
import { formatTable } from '#internal'
import { markdownTable, readSection, tableCells, writeSection } from '../docs/sections.mjs'
import { hasKey, valueOf } from '../support/access.mjs'
import { named } from './contestants.mjs'
import { machine } from './machine.mjs'
import { measure } from './measure.mjs'
import { prepare } from './prepare.mjs'
import { median, ratio } from './statistics.mjs'

const pgc = 'pytorch-grad-cam'
const captum = 'captum'
const another = 'another'

/**
 * How ours is asked for a method where that is not its name alone, and in how many rounds it is steady. SmoothGrad has no
 * noise here, which takes as long as any and lets results be compared; DeepLIFT is Captum's on nets alone that use no
 * module twice, and zennit's LRP on nets alone that add without a function. Both sides draw their own numbers where a method is
 * `drawn`: the time alone is compared.
 *
 * @typedef {{ peers: string[], rounds?: number, method?: string, make?: object, model?: string, at?: string, drawn?: boolean, target?: (of: number) => object }} Row
 * @type {Record<string, Omit<Row, 'peers'>>}
 */
const ways = {
  ablationcam: { rounds: 2 },
  scorecam: { rounds: 2 },
  'finer-cam': { method: 'gradcam', target: (of) => ({ kind: 'finer', class: of }) },
  smoothgrad: { rounds: 9, method: 'saliency', make: { smooth: { samples: 5, sigma: 0 } } },
  deeplift: { rounds: 5, model: 'vgg11' },
  'deeplift-shap': { rounds: 2, model: 'vgg11' },
  // At the last layer the gradient is the same for all spatial positions, and the map without differences.
  'internal-influence': { rounds: 2, at: 'gradcam-early' },
  'layer-conductance': { rounds: 2 },
  'layer-integrated-gradients': { rounds: 2 },
  'layer-deeplift': { rounds: 5, model: 'vgg11' },
  'integrated-gradients': { rounds: 2 },
  occlusion: { rounds: 2 },
  'feature-ablation': { rounds: 2 },
  lime: { rounds: 2, drawn: true, make: { samples: 100 } },
  'kernel-shap': { rounds: 2, drawn: true, make: { samples: 100 } },
  'shapley-sampling': { rounds: 2, drawn: true, make: { samples: 2 } },
  'gradient-shap': { drawn: true, make: { steps: 5 } },
  'smoothgradcam++': { drawn: true },
  sscam: { rounds: 2, drawn: true, make: { samples: 2 } },
  iscam: { rounds: 2, make: { samples: 2 } },
  'blur-ig': { rounds: 2, make: { steps: 50 } },
  'guided-ig': { rounds: 2, make: { steps: 50 } },
  xrai: { rounds: 2, make: { steps: 50 } },
  lrp: { rounds: 5, model: 'vgg11' },
}

/** What neither of the two libraries has. */
const saliencyOfPair = "PAIR's saliency"
/** @type {Record<string, string>} */
const elsewhere = { 'blur-ig': saliencyOfPair, 'guided-ig': saliencyOfPair, xrai: saliencyOfPair, lrp: 'zennit' }
for (const [name, { peers }] of Object.entries(table)) if (peers['torch-cam']) elsewhere[name] = 'torch-cam'

/**
 * Who has a method: maps of layers are compared with each library that has them, all else with Captum. The gradient itself
 * is saliency's but for the sign; random maps differ by definition, and Captum's LRP has other rules and refuses residual networks.
 *
 * @param {string} name
 * @param {import('libtorch-gradcam').MethodInfo} method
 * @returns {string[]}
 */
function peersOf(name, { by, peers }) {
  if (hasKey(elsewhere, name)) return [another]
  const layered = by === 'Cam' || by === 'FullGrad'
  return [...(layered && peers[pgc] ? [pgc] : []), ...(peers.Captum ? [captum] : [])]
}

/** @type {Map<string, string[]>} */
const librariesOf = new Map(Object.entries(table).map(([name, info]) => [name, peersOf(name, info)]))
librariesOf.set('finer-cam', [pgc]).set('smoothgrad', [captum])
for (const name of ['gradient', 'randomcam']) librariesOf.delete(name)

/** @type {Record<string, Row>} */
const methods = {}
for (const [name, libraries] of librariesOf)
  if (libraries.length > 0) methods[name] = { peers: libraries, ...ways[name] }

/** @type {Record<string, string>} */
const modules = { [pgc]: 'grad_cam_methods', [captum]: 'captum_methods', [another]: 'other_methods' }

const { values } = parseArgs({
  options: {
    methods: { type: 'string', default: Object.keys(methods).join(',') },
    model: { type: 'string', default: 'resnet18' },
    size: { type: 'string', default: '224' },
    rounds: { type: 'string', default: '7' },
    json: { type: 'string', default: 'out/methods.json' },
    'write-docs': { type: 'boolean', default: false },
  },
})
const asked = values.methods.split(',')
const unknown = asked.filter((name) => !Object.hasOwn(methods, name))
const size = Number(values.size)
const threads = availableParallelism()
const device = 'cpu'
const say = (/** @type {string} */ text) => console.error(text)
if (unknown.length > 0 || !(size > 0) || !(Number(values.rounds) > 0)) {
  console.error(`methods: --methods are of ${Object.keys(methods).join(', ')}; sizes and rounds are numbers from 1 on`)
  process.exit(2)
}

const ownRow = named('ours')
const peerRows = [pgc, captum, another].map((name) => ({
  ...named(name === another ? captum : name),
  name,
  module: valueOf(modules, name),
}))
const { model } = values
const models = [...new Set([model, ...asked.map((method) => valueOf(methods, method).model ?? model)])]
const { libtorch, tools, files, index } = await prepare(
  { contestants: [ownRow, ...peerRows], models, size, images: 1 },
  say,
)
const scratch = mkdtempSync(join(tmpdir(), 'gradcam-bench-'))
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }))

function asOurs(/** @type {string} */ name, /** @type {number} */ target) {
  const { method = name, make = {}, target: asTarget } = valueOf(methods, name)
  return { method, make, explain: asTarget ? { target: asTarget(target) } : {} }
}

/** With the model and the layer, where they are not those of the others. */
function titleOf(/** @type {string} */ method, /** @type {string} */ net, /** @type {string | undefined} */ layer) {
  const other = [...(net === model ? [] : [net]), ...(layer === undefined ? [] : [layer])]
  return other.length === 0 ? method : `${method} (${other.join(', ')})`
}

/**
 * @typedef {{ name: string, ratio: number, ms: number, peakRss: number, difference: number | null }} Compared
 * @typedef {{ method: string, library: string | undefined, drawn: boolean, ms: number, peakRss: number, peers: Compared[], failures: Record<string, string> }} Result
 */

/** @type {Result[]} */
const results = []
for (const method of asked) {
  const {
    peers,
    rounds = Number(values.rounds),
    model: net = model,
    drawn = false,
    at = 'gradcam-last',
  } = valueOf(methods, method)
  const { layers, target } = valueOf(index.models, net)
  const className = hasKey(table, method) ? table[method].peers[pgc] : undefined
  const job = {
    size,
    images: 1,
    threads,
    device,
    target,
    method,
    model: net,
    layer: valueOf(layers, at),
    file: join(files, `${net}.pt`),
    state: join(files, `${net}.state.pt`),
    input: join(files, 'input.bin'),
  }
  const { measured, failures } = await measure({
    contestants: [
      { ...ownRow, ...asOurs(method, target) },
      ...peerRows.filter(({ name }) => peers.includes(name)).map((row) => ({ ...row, className })),
    ],
    batches: [1],
    rounds: () => rounds,
    warmups: () => (rounds > 2 ? 2 : 0),
    gapMs: 25,
    streak: 1,
    job,
    tools,
    folder: scratch,
    say: () => say(method),
  })
  const [ours, ...others] = measured[0]?.rows ?? []
  if (ours?.name !== 'ours') throw new Error(`${method}: ${JSON.stringify(failures)}`)
  const compared = others.map(({ name, times, difference, peakRss }) => ({
    name,
    // How many times as long the peer takes.
    ratio: ratio(times, ours.times),
    ms: median(times),
    peakRss,
    difference,
  }))
  results.push({
    method: titleOf(method, net, at === 'gradcam-last' ? undefined : valueOf(layers, at)),
    library: elsewhere[method],
    drawn,
    ms: median(ours.times),
    peakRss: ours.peakRss,
    peers: compared,
    failures,
  })
}

const number = (/** @type {number | undefined} */ value, /** @type {number} */ digits) =>
  value === undefined ? '–' : value.toFixed(digits)
const of = (/** @type {Result} */ result, /** @type {string} */ name) => result.peers.find((peer) => peer.name === name)
const times = (/** @type {number | undefined} */ value) => number(value, value !== undefined && value >= 10 ? 0 : 2)
const columns = [
  { name: pgc, title: pgc, which: () => '' },
  { name: captum, title: 'Captum', which: () => '' },
  {
    name: another,
    title: 'another',
    which: (/** @type {Result} */ result) => (result.library === undefined ? '' : ` (${result.library})`),
  },
]
const rows = [
  [
    'method',
    ...columns.map((column) => `× ${column.title}`),
    'ours, ms',
    ...columns.map((column) => `${column.title}, ms`),
    'largest difference',
  ],
  ...results.map((result) => [
    result.method,
    ...columns.map((column) => times(of(result, column.name)?.ratio) + column.which(result)),
    number(result.ms, 1),
    ...columns.map((column) => number(of(result, column.name)?.ms, 1)),
    result.drawn ? '–' : Math.max(...result.peers.map(({ difference }) => difference ?? NaN)).toExponential(0),
  ]),
]
for (const line of formatTable(rows.map((row) => row.map((text, at) => ({ text, alignRight: at > 0 })))))
  console.log(line)

const facts = machine(libtorch, { threads, device })
mkdirSync(dirname(resolve(values.json)), { recursive: true })
writeFileSync(values.json, `${JSON.stringify({ machine: facts, model, size, results }, null, 2)}\n`)
const intro =
  `${model} at \`${valueOf(valueOf(index.models, model).layers, 'gradcam-last')}\`, ${size}x${size}, batch 1, on ${facts.cpu}, ${threads} threads, LibTorch ${libtorch.version}. ` +
  'A × is how many times as long the peer takes: above 1 we are faster.'

/**
 * The table with the rows of earlier runs of other methods, in the order of the methods. Each row was measured side by side with its
 * peers, so that rows of several runs go together where the machine is the same.
 */
function withEarlier() {
  const earlier = readSection('methods')
  if (!earlier.includes(intro)) {
    say('The table is of another machine or version: only what was measured now is in it.')
    return rows
  }
  const byName = new Map(
    earlier
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .slice(1) // the head
      .map(tableCells)
      .filter((cells) => !cells[0]?.startsWith('---'))
      .map((cells) => [cells[0] ?? '', cells]),
  )
  for (const row of rows.slice(1)) byName.set(row[0] ?? '', row)
  const order = Object.keys(methods)
  const rankOf = (/** @type {string} */ name) => order.indexOf(name.replace(/ \(.*/, ''))
  return [rows[0] ?? [], ...[...byName.values()].sort(([a = ''], [b = '']) => rankOf(a) - rankOf(b))]
}

if (values['write-docs']) await writeSection('methods', `${intro}\n\n${markdownTable(withEarlier())}`)
