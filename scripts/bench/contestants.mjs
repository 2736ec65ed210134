// Who takes part: a row each. A row of `ours` may be there several times, with other options of this package.
import { join } from 'node:path'
import { itemAt } from '../support/access.mjs'

/** @typedef {import('./types.d.mts').Contestant} Contestant */
/** @typedef {import('./types.d.mts').Contestant['start']} Start gives the command line and environment of a contestant's process for a job */

const workers = join(import.meta.dirname, 'workers')

/** @type {Contestant[]} */
export const contestants = [
  { name: 'ours', label: 'libtorch-gradcam', start: ours, make: {}, explain: {} },
  {
    name: 'ours-bf16',
    label: 'libtorch-gradcam, bfloat16',
    start: ours,
    make: { precision: 'bfloat16' },
    explain: {},
    methods: ['grad_cam'],
  },
  {
    name: 'ours-split',
    label: "libtorch-gradcam, execution 'split'",
    start: ours,
    make: { execution: 'split', scope: 'all' },
    explain: {},
    methods: ['guided_backprop'],
  },
  { name: 'document', label: 'reference document', start: eager, module: 'reference_document' },
  { name: 'pytorch-grad-cam', label: 'pytorch-grad-cam', start: eager, module: 'grad_cam_peer', peer: true },
  { name: 'captum', label: 'Captum', start: eager, module: 'captum_peer', peer: true },
  { name: 'floor', label: 'forward alone, C++', start: floor, isFloor: true, scoresAlone: true },
  { name: 'openvino', label: 'forward alone, OpenVINO', start: inEngine, engine: 'openvino', scoresAlone: true },
  {
    name: 'onnxruntime',
    label: 'forward alone, ONNX Runtime',
    start: inEngine,
    engine: 'onnxruntime',
    scoresAlone: true,
  },
]

export const named = (/** @type {string} */ name) =>
  itemAt(
    contestants.filter((one) => one.name === name),
    0,
  )

/**
 * `root`: another checkout, whose own worker and addon run.
 *
 * @type {Start}
 */
export function ours({ make, explain, method, root }, job) {
  const worker = root ? join(root, 'scripts', 'bench', 'workers', 'ours.mjs') : join(workers, 'ours.mjs')
  const args = [worker, JSON.stringify({ ...job, method: method ?? job.method, make, explain })]
  return { command: process.execPath, args, env: process.env }
}

/** @type {Start} */
function eager({ module, className }, job, { python }) {
  if (module === undefined) throw new Error('a contestant in Python has a module')
  const args = [join(workers, 'eager.py'), module, JSON.stringify({ ...job, class: className })]
  return { command: python.command, args, env: { ...python.env, PYTHONDONTWRITEBYTECODE: '' } }
}

/** @type {Start} */
function floor(_row, job, { floorProgram }) {
  if (floorProgram === null) throw new Error('the program of the floor was not compiled')
  const { file, input, images, size, target, threads, device } = job
  return {
    command: floorProgram,
    args: [file, input, images, size, target, threads, device].map(String),
    env: process.env,
  }
}

/** @type {Start} */
function inEngine({ engine }, job, { python, engines }) {
  if (engines === null || engine === undefined) throw new Error('the serving engines were not installed')
  const { model, input, images, size, target, threads, device } = job
  if (device !== 'cpu') throw new Error('it is run on the CPU alone')
  const asked = { onnx: join(engines.files, `${model}.onnx`), input, images, size, target, threads }
  return {
    command: python.command,
    args: [join(workers, 'engine.py'), engine, JSON.stringify(asked)],
    env: { ...process.env, PYTHONPATH: engines.packages },
  }
}
