import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { keysOf } from '../support/access.mjs'
import { contestants, named } from './contestants.mjs'

export const workloads = {
  'gradcam-last': { method: 'grad_cam', title: 'Grad-CAM at the last layer' },
  'gradcam-early': { method: 'grad_cam', title: 'Grad-CAM at an early layer' },
  guided: { method: 'guided_backprop', title: 'Guided backprop (nn.ReLU modules)' },
}

const usage = `npm run bench -- [options]

  --models LIST        densenet121,resnet50 (also resnet18, animals: the bundled model)
  --workloads LIST     ${Object.keys(workloads).join(',')}
  --batches LIST       1,8,32
  --contestants LIST   ${contestants.map(({ name }) => name).join(',')}
  --rounds N           measured runs of each contestant (20 at batch 1, 6 up to 8, 3 beyond)
  --gap MS             idle time before each measured call (25; from 200 on the processor has dozed)
  --streak N           calls in a row of each contestant in its turn (1); of several, the first is not timed
  --threads N          intra-op threads of each contestant (as many as there are cores)
  --size N             width and height of the images (224)
  --device DEVICE      cpu, cuda or cuda:N
  --quick              densenet121, two workloads, batches 1 and 8, 3 rounds
  --against REF        also this package of another commit, or of the folder of a checkout that is built
  --json FILE          out/bench.json
  --write-docs         puts the table into docs/performance.md
`

const definitions = /** @satisfies {import('node:util').ParseArgsConfig['options']} */ ({
  models: { type: 'string' },
  workloads: { type: 'string' },
  batches: { type: 'string' },
  contestants: { type: 'string', default: contestants.map(({ name }) => name).join(',') },
  rounds: { type: 'string' },
  gap: { type: 'string', default: '25' },
  streak: { type: 'string', default: '1' },
  threads: { type: 'string', default: String(availableParallelism()) },
  size: { type: 'string', default: '224' },
  device: { type: 'string', default: 'cpu' },
  quick: { type: 'boolean', default: false },
  against: { type: 'string' },
  json: { type: 'string', default: 'out/bench.json' },
  'write-docs': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
})

/** What was asked for, or what is wrong with it. */
export function readOptions(/** @type {string[]} */ args) {
  const { values } = parseArgs({ args, options: definitions })
  if (values.help) return { help: usage }
  const quick = values.quick
  const batches = list(values.batches ?? (quick ? '1,8' : '1,8,32')).map((text) => count('--batches', text))
  const rounds = values.rounds === undefined ? undefined : count('--rounds', values.rounds)
  return {
    models: list(values.models ?? (quick ? 'densenet121' : 'densenet121,resnet50')),
    workloads: known(
      '--workloads',
      list(values.workloads ?? (quick ? 'gradcam-last,guided' : Object.keys(workloads).join(','))),
      keysOf(workloads),
    ),
    // Ascending: a process's peak memory after a batch is that batch's own only if larger ones follow.
    batches: batches.sort((a, b) => a - b),
    contestants: known(
      '--contestants',
      list(values.contestants),
      contestants.map(({ name }) => name),
    ).map(named),
    rounds: (/** @type {number} */ batch) => rounds ?? (quick ? 3 : batch === 1 ? 20 : batch <= 8 ? 6 : 3),
    gapMs: count('--gap', values.gap),
    streak: count('--streak', values.streak),
    // Gradients at the input take their fastest way from the third run on.
    warmups: (/** @type {number} */ batch) => (batch === 1 ? 3 : 2),
    threads: count('--threads', values.threads),
    size: count('--size', values.size),
    device: values.device,
    against: values.against,
    json: values.json,
    writeDocs: values['write-docs'],
  }
}

const list = (/** @type {string} */ text) => text.split(',').filter(Boolean)

function count(/** @type {string} */ option, /** @type {string} */ text) {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1)
    throw new Error(`${option}: '${text}' is not an integer of at least 1`)
  return number
}

/**
 * @template {string} Name
 * @param {string} option
 * @param {string[]} names
 * @param {readonly Name[]} all
 */
function known(option, names, all) {
  if (names.length === 0) throw new Error(`${option} is empty`)
  return names.map((name) => {
    const found = all.find((one) => one === name)
    if (found === undefined) throw new Error(`${option}: '${name}' is not one of ${all.join(', ')}`)
    return found
  })
}
