import { doctor, type Check, type DoctorReport } from '../../setup/doctor.js'
import {
  parseSizes,
  parseReshape,
  readTrust,
  readShape,
  reshapeOption,
  several,
  shapeOption,
  single,
  trustOption,
  usageError,
} from '../arguments.js'
import { checkModel, type ModelQuestion } from '../check-model.js'
import type { Command, Values } from '../command.js'
import { layerFlags, readLayerSettings } from '../method-settings.js'
import { inputFlags, readInputs, readPath, readTarget, trialShape } from '../model-inputs.js'
import { modelFlags, chooseModel } from '../model-options.js'
import { paint } from '../paint.js'

export const command: Command = {
  usage:
    '[MODEL --size HxW|--shape NxCxHxW [--layer PATH]… [--reshape HOW] [--target T] [--of PART]] [--device D] [--untrusted] [--json]',
  description: [
    'Prints what was found on this machine and is used, and for everything that is missing how to fix it. With a model file it',
    'also prints whether the model loads and runs, and how explanations run at its layers: split, which is faster than a',
    'plain forward pass, or hooked, and then why.',
  ].join('\n'),
  options: {
    size: {
      type: 'string',
      value: 'HxW',
      help: "of the model's input; DxHxW for volumes, L for signals; if the model does not say how many channels it takes, put them first: CxHxW",
    },
    shape: shapeOption,
    target: { type: 'string', value: 'N|JSON', help: 'what explanations are tried for; the top class by default' },
    ...inputFlags,
    ...modelFlags,
    layer: { type: 'string', multiple: true, value: 'PATH', help: 'instead of the layers that are suggested' },
    reshape: reshapeOption,
    ...layerFlags,
    device: { type: 'string', value: 'D', help: 'for the model: cpu (the default), cuda, cuda:N, or auto' },
    ...trustOption,
    json: { type: 'boolean', help: 'print it as JSON' },
  },
  positionals: true,
  run: async (values, positionals) => {
    const question = await readQuestion(values, positionals)
    const machine = await doctor()
    const checks = [...machine.checks, ...(question && machine.ok ? await checkModel(question) : [])]
    const report: DoctorReport = { ok: checks.every(({ status }) => status !== 'missing'), checks }
    process.stdout.write(values['json'] ? `${JSON.stringify(report, null, 2)}\n` : print(report))
    return report.ok ? 0 : 1
  },
}

async function readQuestion(values: Values, [file, ...more]: readonly string[]): Promise<ModelQuestion | null> {
  const size = single(values, 'size')
  const layers = several(values, 'layer')
  const device = single(values, 'device')
  if (more.length > 0) throw usageError(`doctor takes one model file, not ${more.length + 1}.`)
  if (file === undefined) {
    for (const [name, value] of Object.entries({
      size,
      shape: single(values, 'shape'),
      layer: layers[0],
      device,
      untrusted: values['untrusted'],
      target: single(values, 'target'),
      of: single(values, 'of'),
    }))
      if (value !== undefined) throw usageError(`--${name} is for a model file, and none was given.`)
    return null
  }
  const sizes = size === undefined ? null : parseSizes(size)
  // The size may be in the file, or in what the weights were published for.
  const shape = readShape(values)
  if (sizes === null && shape === null && !file.endsWith('.pt2') && single(values, 'weights') === undefined)
    throw usageError(`Give the size of the input that ${file} takes, e.g. --size 224x224.`)
  const reshape = parseReshape(single(values, 'reshape'))
  const which = readLayerSettings(values)
  for (const [name, value] of Object.entries({ reshape, part: which.part, call: which.call }))
    if (value !== null && value !== undefined && layers.length === 0)
      throw usageError(`--${name} goes with --layer: the suggested layers need none, or have their own.`)
  const loading = { device: device ?? 'cpu', ...readTrust(values, shape ?? (sizes && trialShape(sizes))) }
  const of = readPath(values, 'of')
  const text = single(values, 'target')
  const target = text === undefined && of === null ? null : readTarget(text ?? 'argmax', null, of)
  const inputs = readInputs(values)
  return { ...(await chooseModel(file, values)), ...which, sizes, shape, layers, reshape, loading, target, inputs }
}

function print({ ok, checks }: DoctorReport): string {
  const width = Math.max(...checks.map(({ name }) => name.length))
  const lines = checks.flatMap((check) => describe(check, width))
  const end = ok ? 'Everything needed is there.' : 'Not ready: see above.'
  return [...lines, '', paint(ok ? 'green' : 'red', end), ''].join('\n')
}

function describe({ name, status, found, remedy }: Check, width: number): string[] {
  const mark = { ok: paint('green', '✓'), note: paint('yellow', '·'), missing: paint('red', '✗') }[status]
  const line = `${mark} ${name.padEnd(width)}  ${found}`
  return remedy ? [line, `  ${' '.repeat(width)}  → ${remedy}`] : [line]
}
