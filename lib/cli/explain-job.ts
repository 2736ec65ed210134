import { imagenet, type Normalization } from '../pictures/index.js'
import { choice, parseSize, several, single, usageError } from './arguments.js'
import type { Values } from './command.js'
import { methods, type Method } from './explain-picture.js'
import { parseTarget, readLabels, type TargetChoice } from './labels.js'

export const defaultSize: readonly [number, number] = [224, 224]

/** What `gradcam explain` was asked for. */
export interface ExplainJob {
  readonly images: readonly string[]
  readonly model: string
  /** None where explain is to pick one. */
  readonly layers: readonly string[]
  /** By what was typed, which is what files are named after. */
  readonly targets: ReadonlyMap<string, TargetChoice>
  readonly labels: readonly string[] | null
  readonly method: Method
  readonly size: readonly [number, number]
  readonly sizeGiven: boolean
  readonly normalization: Normalization | false
  readonly device: string
  readonly out: string
  readonly json: boolean
  readonly verbose: boolean
}

/** Checks all that can be checked before any work starts. */
export async function readJob(values: Values, images: readonly string[]): Promise<ExplainJob> {
  const see = 'See: gradcam explain --help'
  const model = single(values, 'model')
  const out = single(values, 'out')
  if (images.length === 0) throw usageError(`explain wants at least one picture. ${see}`)
  if (!model) throw usageError(`explain wants --model FILE, a TorchScript model. ${see}`)
  if (!out) throw usageError(`explain wants --out DIR, the folder to write to. ${see}`)
  const method = choice(values, 'method', methods)
  const layers = several(values, 'layer')
  if (method === 'guided-backprop' && layers.length > 0)
    throw usageError('guided-backprop looks at the input and takes no --layer. Leave it out, or use guided-gradcam.')
  const size = single(values, 'size')
  const labelsFile = single(values, 'labels')
  // What is a wrong number is said before a file is looked for, a name only when the labels are read.
  const parsedSize = size === undefined ? defaultSize : parseSize(size)
  const normalization = choice(values, 'normalize', ['imagenet', 'none'] as const) === 'imagenet' && imagenet
  const labels = labelsFile === undefined ? null : await readLabels(labelsFile)
  return {
    images,
    model,
    layers,
    targets: readTargets(several(values, 'target'), labels),
    labels,
    method,
    size: parsedSize,
    sizeGiven: size !== undefined,
    normalization,
    device: single(values, 'device') ?? 'cpu',
    out,
    json: values['json'] === true,
    verbose: values['verbose'] === true,
  }
}

function readTargets(given: readonly string[], labels: readonly string[] | null): Map<string, TargetChoice> {
  const targets = new Map<string, TargetChoice>()
  for (const name of given.length > 0 ? given : ['argmax']) {
    const target = parseTarget(name, labels)
    // A class may be given by number and by name: it is explained once.
    if (![...targets.values()].includes(target)) targets.set(name, target)
  }
  return targets
}
