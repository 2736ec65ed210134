import { GradCamError } from '../base/errors.js'
import { batchFiles, type BatchFile } from '../batch/encode.js'
import { defaultMaxPixels } from '../images/index.js'
import type { JobSpecOptions } from '../jobs/job-spec.js'
import { methodNames, methods } from '../methods/table.js'
import { fixedImageSize, toModelInput } from '../model/model-input.js'
import { readPlan } from '../model/open-plan.js'
import { readLabels } from '../target/labels.js'
import {
  choice,
  parseReshape,
  readTrust,
  reshapeOption,
  single,
  svgOption,
  trustOption,
  usageError,
  wholeNumber,
} from './arguments.js'
import type { Option, Values } from './command.js'
import { inputFlags, readInputs, readPath, readTarget, targetHelp, type InputFlag } from './model-inputs.js'
import { methodFlags, parseMethodSettings } from './method-settings.js'
import { labelsOf, modelFlags, chooseModel, sayWhereFound, weightsOf, type ModelChoice } from './model-options.js'
import { largestChunk } from '../queue/task.js'
import { queueUrl } from './queue-options.js'
import { preprocessOption, readPreprocessing, usualPreprocess } from './preprocess-option.js'

/** What `gradcam batch` was asked for. */
export interface BatchCall {
  readonly sources: readonly string[]
  readonly out: string
  /** What decides what the results are. */
  readonly job: Required<Omit<JobSpecOptions, 'sources' | 'base' | 'inputs' | 'modelCache'>> &
    Pick<JobSpecOptions, 'modelCache'>
  /** The model's other inputs. */
  readonly inputs: readonly InputFlag[]
  /** How `--preprocess` was given. */
  readonly preprocessName: string
  readonly devices: readonly string[]
  readonly batchSize: number | null
  /** Null for the default. */
  readonly maxPixels: number | null
  /** Whether images may be SVG. */
  readonly svg: boolean
  readonly trust: 'trusted' | 'untrusted'
  /** The model as files of this machine, for what this process itself reads of it. */
  readonly choice: ModelChoice
  readonly resume: boolean
  readonly retryFailed: boolean
  readonly verify: boolean
  readonly json: boolean
  /** The address of the queue, and how many inputs a chunk has; null for a job of this process. */
  readonly queue: { readonly url: string; readonly chunk: number } | null
}

export const batchOptions: Readonly<Record<string, Option>> = {
  model: {
    type: 'string',
    value: 'FILE',
    help: 'the model: a .pt file that torch.jit saved, a .pt2 file of torch.export.save, s3://bucket/key, or an architecture by name',
  },
  ...modelFlags,
  out: { type: 'string', value: 'DIR', help: 'the folder to write to; made if necessary; or s3://bucket/prefix' },
  layer: {
    type: 'string',
    value: 'PATH',
    help: 'the layer to explain, see gradcam layers; by default the one that `gradcam layers --size` marks',
  },
  target: {
    type: 'string',
    value: 'N|argmax|JSON',
    help: targetHelp,
  },
  ...inputFlags,
  method: { type: 'string', value: 'NAME', help: `${methodNames.join(', ')}; gradcam by default` },
  reshape: reshapeOption,
  ...methodFlags,
  precision: {
    type: 'string',
    value: 'TYPE',
    help: 'bfloat16 or float16 for what comes before the layer: slightly other maps; on some processors faster, on others slower. auto measures it at the first images, and takes what is fastest within --precision-error',
  },
  'precision-error': {
    type: 'string',
    value: 'E',
    help: 'with --precision auto: how much an element of a map, normalised to [0, 1], may move; 0.05 by default',
  },
  ...preprocessOption,
  write: {
    type: 'string',
    value: 'KINDS',
    help: `what to write, with commas between: ${batchFiles.join(', ')}, or none; overlay by default`,
  },
  alpha: { type: 'string', value: 'A', help: 'how much of the map an overlay shows, 0 to 1; 0.5 by default' },
  labels: {
    type: 'string',
    value: 'FILE',
    help: 'names of the classes, one a line, class 0 first, or JSON: an array, or an object with a name for each number',
  },
  device: {
    type: 'string',
    value: 'D',
    help: 'cpu (the default), cuda, cuda:N or auto; several with commas, or cpu:2, load the model once for each',
  },
  batch: {
    type: 'string',
    value: 'N',
    help: 'images explained in one pass; by default 8, or as many as fill the batches of a model whose batch has a fixed size',
  },
  'max-pixels': {
    type: 'string',
    value: 'N',
    help: `larger images are refused; ${defaultMaxPixels} by default (the limit of Pillow), which takes 2 GB of memory`,
  },
  ...trustOption,
  ...svgOption,
  resume: {
    type: 'boolean',
    help: 'continue the job in DIR: inputs that have a result, and have not changed since, are left as they are',
  },
  'retry-failed': { type: 'boolean', help: 'with --resume: try again what failed' },
  verify: {
    type: 'boolean',
    help: 'with --resume: read every result and every input, and compare its SHA-256 with the manifest, not its size and time',
  },
  queue: {
    type: 'string',
    value: 'URL',
    help: 'have workers explain the images, see gradcam worker: redis://, rediss:// or postgres://; the same job, on any number of machines',
  },
  chunk: { type: 'string', value: 'N', help: 'with --queue: images that a worker takes at a time; 64 by default' },
  json: { type: 'boolean', help: 'print the lines of the manifest as they are written, and a summary, as JSON' },
}

/** Checks everything that can be checked before any work starts. */
export async function readBatchCall(values: Values, sources: readonly string[]): Promise<BatchCall> {
  const see = 'See: gradcam batch --help'
  const model = single(values, 'model')
  const out = single(values, 'out')
  if (sources.length === 0) throw usageError(`batch requires at least one file, folder, glob or list. ${see}`)
  if (!model) throw usageError(`batch requires --model FILE, or the name of an architecture. ${see}`)
  if (!out) throw usageError(`batch requires --out DIR, the folder to write to. ${see}`)
  if (values['retry-failed'] === true && values['resume'] !== true)
    throw usageError('--retry-failed requires --resume: a new job has nothing that failed yet.')
  if (values['verify'] === true && values['resume'] !== true)
    throw usageError('--verify requires --resume: a new job has nothing to compare with yet.')
  const queue = readQueue(values)
  const method = choice(values, 'method', methodNames)
  const layer = single(values, 'layer') ?? null
  if (layer && !methods[method].layered) throw usageError(`${method} takes no --layer. Leave it out.`)
  const reshape = parseReshape(single(values, 'reshape'))
  for (const name of ['reshape', 'part', 'call'])
    if (values[name] !== undefined && !methods[method].layered)
      throw usageError(`${method} takes no --${name}. Leave it out.`)
  const { part = null, call = null, ...settings } = parseMethodSettings(values, [method])
  const named = single(values, 'preprocess')
  const alpha = readAlpha(single(values, 'alpha') ?? '0.5')
  const write = readWrite(single(values, 'write') ?? 'overlay')
  const devices = readDevices(single(values, 'device') ?? 'cpu')
  const labelsFile = single(values, 'labels')
  const choiceOfModel = await chooseModel(model, values)
  const weights = weightsOf(choiceOfModel)
  sayWhereFound(weights)
  const labels = labelsFile === undefined ? labelsOf(weights) : await readLabels(labelsFile)
  const target = readTarget(single(values, 'target') ?? 'argmax', labels)
  const of = readPath(values, 'of')
  const modelCache = single(values, 'model-cache')
  const precision =
    values['precision'] === undefined ? null : choice(values, 'precision', ['bfloat16', 'float16', 'auto'] as const)
  const precisionError = readPrecisionError(single(values, 'precision-error'), precision)
  const preprocess =
    named === undefined
      ? usualPreprocess(weights, () => fixedSizeOf(choiceOfModel.file))
      : await readPreprocessing(named)
  return {
    sources,
    out,
    job: {
      model,
      weights: single(values, 'weights') ?? null,
      ...(modelCache !== undefined && { modelCache }),
      method,
      precision,
      precisionError,
      settings,
      layer,
      reshape,
      part,
      call,
      target,
      of,
      preprocess,
      write,
      alpha,
      labels,
    },
    inputs: readInputs(values),
    preprocessName: named ?? (weights?.preprocess ? 'its weights were published' : 'imagenet'),
    devices,
    batchSize: readCount(values, 'batch'),
    maxPixels: readCount(values, 'max-pixels'),
    svg: values['svg'] === true,
    trust: readTrust(values).trust,
    choice: choiceOfModel,
    resume: values['resume'] === true,
    retryFailed: values['retry-failed'] === true,
    verify: values['verify'] === true,
    json: values['json'] === true,
    queue,
  }
}

/** Options of `gradcam batch` that are about how a model runs, which is up to the workers. */
const workerOptions = ['device', 'batch', 'max-pixels', 'svg', 'untrusted', 'library']

function readQueue(values: Values): BatchCall['queue'] {
  const url = queueUrl(values)
  const chunk = wholeNumber(values, 'chunk', 1)
  if (url === null) {
    if (chunk !== undefined) throw usageError('--chunk requires --queue: a job of this process has no chunks.')
    return null
  }
  const other = workerOptions.find((name) => values[name] !== undefined)
  if (other !== undefined) throw usageError(`--${other} is an option of gradcam worker. Leave it out with --queue.`)
  if (chunk !== undefined && chunk > largestChunk) throw usageError(`--chunk is at most ${largestChunk}.`)
  return { url, chunk: chunk ?? 64 }
}

/** A file that cannot be read is refused later. */
export function fixedSizeOf(model: string): readonly [number, number] | null {
  try {
    return fixedImageSize(readPlan(model, 'cpu')?.inputs.map(toModelInput) ?? null)
  } catch (error) {
    if (error instanceof GradCamError) return null
    throw error
  }
}

function readAlpha(text: string): number {
  const alpha = Number(text)
  if (text.trim() !== '' && alpha >= 0 && alpha <= 1) return alpha
  throw usageError(`--alpha requires a number from 0 to 1, not "${text}".`)
}

function readPrecisionError(text: string | undefined, precision: string | null): number | null {
  if (text === undefined) return null
  if (precision !== 'auto') throw usageError('--precision-error goes with --precision auto.')
  const most = Number(text)
  if (text.trim() !== '' && most >= 0 && most < Infinity) return most
  throw usageError(`--precision-error requires a number from 0 on, not "${text}".`)
}

/** Unlike wholeNumber also '1e9'. */
function readCount(values: Values, name: string): number | null {
  const text = single(values, name)
  if (text === undefined) return null
  const number = Number(text)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw usageError(`--${name} requires a whole number of at least 1, not "${text}".`)
}

function readWrite(text: string): BatchFile[] {
  const kinds = new Set(text.split(',').filter((kind) => kind !== '' && kind !== 'none'))
  for (const kind of kinds)
    if (!(batchFiles as readonly string[]).includes(kind))
      throw usageError(`--write requires ${batchFiles.join(', ')} or none; "${kind}" is none of them.`)
  return batchFiles.filter((kind) => kinds.has(kind))
}

/** 'cpu:2' is two replicas on the CPU; 'cuda:1' is the second GPU. */
export function readDevices(text: string): string[] {
  const devices = text.split(',').flatMap((device) => {
    const replicas = /^cpu:(\d{1,3})$/.exec(device.trim())?.[1]
    return replicas === undefined ? [device.trim()] : Array<string>(Number(replicas)).fill('cpu')
  })
  const wrong = devices.find((device) => !/^(cpu|auto|cuda(:\d{1,3})?)$/.test(device))
  if (wrong !== undefined || devices.length === 0)
    throw usageError(`--device requires cpu, cuda, cuda:N, auto or cpu:REPLICAS, with commas between; not "${text}".`)
  return devices
}
