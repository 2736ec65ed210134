import { readFile } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { GradCamError } from '../base/errors.js'
import { packageRoot } from '../base/paths.js'
import { methodNames } from '../methods/table.js'
import type { Preprocess } from '../preprocess/preprocess.js'
import type { ListenOptions } from '../server/create-server.js'
import type { ServerOptions } from '../server/options.js'
import { readLabels } from '../target/labels.js'
import {
  choiceOfSeveral,
  parseReshape,
  readTrust,
  reshapeOption,
  several,
  single,
  trustOption,
  usageError,
  wholeNumber,
} from './arguments.js'
import { fixedSizeOf, readDevices } from './batch-options.js'
import type { Option, Values } from './command.js'
import { inputFlags, readInputs, readPath, type InputFlag } from './model-inputs.js'
import { chooseModel, labelsOf, modelFlags, weightsOf, type ModelChoice } from './model-options.js'
import { readPreprocessing, usualPreprocess } from './preprocess-option.js'

/** A model that `gradcam serve` was asked to serve. */
export interface ModelCall {
  readonly name: string
  readonly choice: ModelChoice
  readonly labels: readonly string[] | null
  readonly preprocess: Preprocess
  readonly layer: string | undefined
  readonly reshape: NonNullable<ReturnType<typeof parseReshape>> | undefined
  readonly part: readonly (string | number)[] | undefined
  readonly inputs: readonly InputFlag[]
}

/** What `gradcam serve` was asked for. */
export interface ServeCall {
  readonly models: readonly ModelCall[]
  readonly devices: readonly string[]
  readonly trust: 'trusted' | 'untrusted'
  readonly listen: ListenOptions
  readonly server: Omit<ServerOptions, 'models'>
}

const forOne = 'NAME=… for one of several models'

export const serveOptions: Readonly<Record<string, Option>> = {
  model: {
    type: 'string',
    multiple: true,
    value: '[NAME=]FILE',
    help: 'a model, .pt or .pt2, and its name in requests, by default that of the file; may be repeated; the sample model by default',
  },
  weights: {
    type: 'string',
    multiple: true,
    value: 'FILE',
    help: `the weights where a model is an architecture by name: see gradcam architectures; ${forOne}`,
  },
  'model-cache': modelFlags['model-cache'],
  library: {
    type: 'string',
    multiple: true,
    value: 'FILE',
    help: 'a shared library with operators that the models use; its code runs in this process; may be repeated',
  },
  labels: { type: 'string', multiple: true, value: 'FILE', help: `names of the classes, as for explain; ${forOne}` },
  preprocess: {
    type: 'string',
    multiple: true,
    value: 'NAME|JSON',
    help: `how images are prepared, as for batch; ${forOne}`,
  },
  layer: {
    type: 'string',
    multiple: true,
    value: 'PATH',
    help: `the layer of requests that name none, by default the one that gradcam layers marks; ${forOne}`,
  },
  reshape: reshapeOption,
  part: {
    type: 'string',
    value: 'NAME|N',
    help: 'which tensor of --layer, where that returns several, as for explain',
  },
  input: {
    ...inputFlags.input,
    help: 'another input of the model, as for explain, which requests may replace: only where one model is served',
  },
  device: {
    type: 'string',
    value: 'D',
    help: 'cpu (the default), cuda, cuda:N or auto; several load the model once for each',
  },
  method: {
    type: 'string',
    multiple: true,
    value: 'NAME,…',
    help: 'the methods that requests may ask for; all by default',
  },
  host: {
    type: 'string',
    value: 'H',
    help: 'where to listen; 127.0.0.1 by default, which other machines cannot reach',
  },
  port: { type: 'string', value: 'N', help: '8080 by default; 0 takes a free port' },
  'token-file': { type: 'string', value: 'FILE', help: 'a file with the token that requests must have' },
  insecure: { type: 'boolean', help: 'listen where others can reach the server, without a token' },
  'allow-host': {
    type: 'string',
    multiple: true,
    value: 'NAME',
    help: 'a name by which requests may address the server, besides localhost and IP addresses; may be repeated',
  },
  'cors-origin': {
    type: 'string',
    multiple: true,
    value: 'ORIGIN',
    help: 'an origin, such as https://app.example, whose pages may send requests; may be repeated',
  },
  'batch-window': {
    type: 'string',
    value: 'MS',
    help: 'how long a request waits for others of its batch; 2 by default',
  },
  'max-batch': { type: 'string', value: 'N', help: 'images in a batch; 8 by default, 1 turns batching off' },
  'max-queue': {
    type: 'string',
    value: 'N',
    help: 'requests in progress, beyond which others are answered 503; 128 by default',
  },
  deadline: { type: 'string', value: 'S', help: 'seconds that a request may take; 30 by default' },
  'max-body': { type: 'string', value: 'MIB', help: 'mebibytes of a request; 16 by default' },
  'max-pixels': { type: 'string', value: 'N', help: 'larger images are refused; 50 million by default' },
  ...trustOption,
}

const samples = join(packageRoot, 'samples')

/** Checks everything that can be checked before a model is loaded. */
export async function readServeCall(values: Values): Promise<ServeCall> {
  const files = readModels(several(values, 'model'))
  const names = [...files.keys()]
  const labels = perModel(values, 'labels', names)
  const layers = perModel(values, 'layer', names)
  const preprocessings = perModel(values, 'preprocess', names)
  const reshape = parseReshape(single(values, 'reshape')) ?? undefined
  const part = readPath(values, 'part') ?? undefined
  if (part !== undefined && names.some((name) => layers(name) === undefined))
    throw usageError('--part goes with --layer, for each model: a layer that is chosen by itself returns one tensor.')
  const inputs = readInputs(values)
  if (inputs.length > 0 && names.length > 1)
    throw usageError('--input goes with one model: serve a model with several inputs by itself.')
  const weights = perModel(values, 'weights', names)
  const models: ModelCall[] = []
  for (const [name, file] of files) {
    const choice = await chooseModel(file, values, weights(name))
    const described = weightsOf(choice)
    const named = {
      labels: labels(name) ?? sampleOption(file, 'labels'),
      preprocess: preprocessings(name) ?? sampleOption(file, 'preprocess'),
    }
    models.push({
      name,
      choice,
      labels: named.labels === undefined ? labelsOf(described) : await readLabels(named.labels),
      preprocess:
        named.preprocess === undefined
          ? usualPreprocess(described, () => fixedSizeOf(choice.file))
          : await readPreprocessing(named.preprocess),
      layer: layers(name),
      reshape,
      part,
      inputs,
    })
  }
  const seconds = wholeNumber(values, 'deadline', 1)
  const mebibytes = wholeNumber(values, 'max-body', 1)
  const given = {
    batchWindow: wholeNumber(values, 'batch-window', 0),
    maxBatch: wholeNumber(values, 'max-batch', 1),
    maxQueue: wholeNumber(values, 'max-queue', 1),
    deadline: seconds === undefined ? undefined : seconds * 1000,
    maxBody: mebibytes === undefined ? undefined : mebibytes * 2 ** 20,
    maxPixels: wholeNumber(values, 'max-pixels', 1),
    methods: several(values, 'method').length > 0 ? choiceOfSeveral(values, 'method', methodNames) : undefined,
    token: await readToken(single(values, 'token-file')),
    allowedHosts: several(values, 'allow-host'),
    corsOrigins: several(values, 'cors-origin'),
  }
  return {
    models,
    devices: readDevices(single(values, 'device') ?? 'cpu'),
    trust: readTrust(values).trust,
    listen: {
      host: single(values, 'host'),
      port: wholeNumber(values, 'port', 0),
      insecure: values['insecure'] === true,
    },
    server: { ...given, processMetrics: true },
  }
}

/** The files of the models by their names. */
function readModels(given: readonly string[]): Map<string, string> {
  if (given.length === 0) return new Map([['sample', sampleFile]])
  const files = new Map<string, string>()
  for (const text of given) {
    const [, named, file = text] = namedValue(text) ?? []
    const name = named ?? nameOf(file)
    if (files.has(name)) throw usageError(`--model: two models have the name "${name}". Give names: --model NAME=FILE.`)
    files.set(name, file)
  }
  return files
}

const sampleFile = join(samples, 'animals-densenet.pt')

const namedValue = (text: string): RegExpExecArray | null => /^([\w.-]{1,100})=(.+)$/s.exec(text)

function nameOf(file: string): string {
  const name = basename(file, extname(file))
    .replaceAll(/[^\w.-]+/g, '-')
    .slice(0, 100)
  return name === '' ? 'model' : name
}

/** An option that is given for one model, as NAME=VALUE, or for all. */
function perModel(values: Values, option: string, names: readonly string[]): (name: string) => string | undefined {
  const all: string[] = []
  const one = new Map<string, string>()
  for (const text of several(values, option)) {
    const [, name = '', value = ''] = namedValue(text) ?? []
    if (names.includes(name)) one.set(name, value)
    else all.push(text)
  }
  if (all.length > 1)
    throw usageError(
      `--${option} is given ${all.length} times. Say for which model: --${option} NAME=… (${names.join(', ')}).`,
    )
  return (name) => one.get(name) ?? all[0]
}

/** What the sample model requires, which was trained on whole images. */
function sampleOption(file: string, option: 'labels' | 'preprocess'): string | undefined {
  if (file !== sampleFile) return undefined
  return option === 'labels' ? join(samples, 'labels.txt') : 'squash'
}

async function readToken(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === 'ENOENT'
    throw new GradCamError(
      missing ? 'ERR_FILE_NOT_FOUND' : 'ERR_FILE_UNREADABLE',
      `The file of the token, '${file}', ${missing ? 'does not exist' : `cannot be read (${cause.code})`}. Check --token-file.`,
      { cause },
    )
  })
  const token = text.trim()
  if (!/^[\x21-\x7e]{16,1000}$/.test(token))
    throw usageError(`--token-file: "${file}" must hold one token of at least 16 characters without spaces.`)
  return token
}
