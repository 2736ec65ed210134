import { availableParallelism } from 'node:os'
import { expect, invalid, isRecord, toList } from '../base/check.js'
import type { DecodeLimits } from '../images/decode.js'
import { checkDecodeLimits } from '../images/load-image.js'
import { methodNames, type MethodName } from '../methods/table.js'
import { isModel, type Model } from '../model/model.js'
import { readPreprocess, type Preprocess, type PreprocessInput } from '../preprocess/preprocess.js'
import type { Reshape } from '../cam/reshape.js'
import { toPath } from '../target/path.js'
import { readOtherInputs } from '../methods/other-inputs.js'
import type { Value } from '../tensor/values.js'

/** A model that a server offers. */
export interface ServedModelOptions {
  /** The model, or several replicas of it, loaded one by one: batches go to whichever is free. Not disposed by the server. */
  readonly model: Model | readonly Model[]
  /** The name of each class, from class 0: requests may name a class, and answers do. */
  readonly labels?: readonly string[] | null | undefined
  /** What is done to images: a preset's name or a description; 'imagenet' by default. */
  readonly preprocess?: PreprocessInput | undefined
  /** The layer of requests that name none; by default the one that `pickLayer` picks. */
  readonly layer?: string | undefined
  /** For a layer that does not return [N, C, h, w]. */
  readonly reshape?: Reshape | undefined
  /** Which tensor of that layer, where it returns several: see `CamOptions.part`. */
  readonly part?: string | number | readonly (string | number)[] | undefined
  /**
   * The model's other inputs, where it has several: all that it takes in order, with null where the image goes. Tensors of one row
   * are given to each image. Requests may give others in their place. Not disposed by the server.
   */
  readonly inputs?: readonly Value[] | undefined
  /** What the file of the model is called: the explorer shows it in the commands that give the same maps. Clients read it. */
  readonly file?: string | undefined
}

/** What {@link createServer} takes. */
export interface ServerOptions {
  /** The models by name. The first of them is that of requests that name none. */
  readonly models: Readonly<Record<string, ServedModelOptions | Model>>
  /** The methods that requests may ask for; all by default. Methods that run the model many times take seconds. */
  readonly methods?: readonly MethodName[] | undefined
  /** Milliseconds for which a request waits for others that fit into its batch, while there are any. 2 by default. */
  readonly batchWindow?: number | undefined
  /** The most images in a batch. 8 by default; 1 turns batching off. */
  readonly maxBatch?: number | undefined
  /** The most requests in progress, from their headers to their answers; more are answered 503. 128 by default. */
  readonly maxQueue?: number | undefined
  /** Milliseconds that a request may take from its headers to its answer; then it is answered 504. 30,000 by default. */
  readonly deadline?: number | undefined
  /** The most bytes of a body. 16 MiB by default. */
  readonly maxBody?: number | undefined
  /** Images with more pixels than this are refused. 50 million by default. */
  readonly maxPixels?: number | undefined
  /** Images that take longer to decode are refused. 10 by default. */
  readonly decodeSeconds?: number | undefined
  /** The most bytes of decoded images in memory at once; a single image may be larger. 512 MiB by default. */
  readonly memory?: number | undefined
  /** The most bytes of uploaded images that are kept; those go first that were not used for the longest. 64 MiB by default. */
  readonly uploads?: number | undefined
  /** How many images are decoded, and how many answers drawn, at a time. One per core by default, 4 at most. */
  readonly concurrency?: number | undefined
  /** Milliseconds in which a request has to arrive, headers and body. 15,000 by default. For `listen` and `handler` only. */
  readonly requestTimeout?: number | undefined
  /**
   * A request requires `Authorization: Bearer TOKEN` then, but for the files of the page, `/healthz` and `/readyz`. The page
   * asks for the token.
   */
  readonly token?: string | undefined
  /**
   * Names of hosts that requests may be addressed to, besides IP addresses and localhost: a page that an attacker's name
   * leads to this server (DNS rebinding) has a name of its own. The plugin and the handler check it only where this is given.
   */
  readonly allowedHosts?: readonly string[] | undefined
  /** Origins, e.g. 'https://app.example', whose pages may send requests (CORS). None by default. */
  readonly corsOrigins?: readonly string[] | undefined
  /** Whether `/metrics` has those of the process, too: memory, CPU, event loop. False by default. */
  readonly processMetrics?: boolean | undefined
  /** Called with every error that is answered by a status from 500 on, but for those of load. By default nothing is. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** One model with all defaults filled in. */
export interface ServedModelSettings {
  readonly name: string
  readonly models: readonly Model[]
  readonly labels: readonly string[] | null
  readonly preprocess: Preprocess
  readonly layer: string | null
  readonly reshape: Reshape | undefined
  readonly part: readonly (string | number)[] | undefined
  readonly inputs: readonly Value[] | undefined
  readonly file: string | null
}

/** How requests become batches. */
export interface BatchSettings {
  readonly batchWindow: number
  readonly maxBatch: number
}

/** The same with all defaults filled in. */
export interface ServerSettings extends BatchSettings {
  readonly models: readonly ServedModelSettings[]
  readonly methods: readonly MethodName[]
  readonly maxQueue: number
  readonly deadline: number
  readonly maxBody: number
  readonly limits: DecodeLimits
  readonly memory: number
  readonly uploads: number
  readonly concurrency: number
  readonly requestTimeout: number
  readonly token: string | null
  readonly allowedHosts: readonly string[] | null
  readonly corsOrigins: readonly string[]
  readonly processMetrics: boolean
  readonly onError: (error: unknown) => void
}

const known: readonly string[] = [
  'models',
  'methods',
  'batchWindow',
  'maxBatch',
  'maxQueue',
  'deadline',
  'maxBody',
  'maxPixels',
  'decodeSeconds',
  'memory',
  'uploads',
  'concurrency',
  'requestTimeout',
  'token',
  'allowedHosts',
  'corsOrigins',
  'processMetrics',
  'onError',
] satisfies readonly (keyof ServerOptions)[]

/** Checks the options and fills in the defaults. */
export function readServerOptions(options: ServerOptions): ServerSettings {
  const given = expect.options(options)
  const unknown = Object.keys(given).find((key) => !known.includes(key))
  if (unknown !== undefined) throw invalid('options', `an object with ${known.join(', ')}`, { [unknown]: '…' })
  const { token, onError = () => {} } = given
  const { maxPixels = 50_000_000, decodeSeconds = 10 } = given
  return {
    models: readModels(given.models),
    methods: given.methods === undefined ? methodNames : readMethods(given.methods),
    batchWindow: expect.number('batchWindow', given.batchWindow ?? 2, { min: 0, max: 10_000 }),
    maxBatch: expect.count('maxBatch', given.maxBatch ?? 8),
    maxQueue: expect.count('maxQueue', given.maxQueue ?? 128),
    deadline: expect.number('deadline', given.deadline ?? 30_000, { min: 1, max: longestTimer }),
    maxBody: expect.count('maxBody', given.maxBody ?? 16 * 2 ** 20),
    limits: checkDecodeLimits({ maxPixels, decodeSeconds, svg: false }),
    memory: expect.count('memory', given.memory ?? 512 * 2 ** 20),
    uploads: expect.count('uploads', given.uploads ?? 64 * 2 ** 20),
    concurrency: expect.count('concurrency', given.concurrency ?? Math.min(4, availableParallelism())),
    requestTimeout: expect.number('requestTimeout', given.requestTimeout ?? 15_000, { min: 1, max: longestTimer }),
    token: token === undefined ? null : checkToken(token),
    allowedHosts: given.allowedHosts === undefined ? null : readHosts(given.allowedHosts),
    corsOrigins: readOrigins(given.corsOrigins ?? []),
    processMetrics: expect.boolean('processMetrics', given.processMetrics ?? false),
    onError: expect.function('onError', onError),
  }
}

/** What a timer of Node can count. */
const longestTimer = 2 ** 31 - 1

const isMethod = (value: unknown): value is MethodName => methodNames.some((name) => name === value)

function readMethods(given: unknown): MethodName[] {
  const list = expect.list('methods', given, isMethod, 'names of methods')
  if (list.length === 0) throw invalid('methods', 'an array of at least one name of a method', given)
  return list
}

const isString = (value: unknown): value is string => typeof value === 'string'

function readModels(given: ServerOptions['models']): ServedModelSettings[] {
  const entries = Object.entries(expect.options(given, 'models'))
  if (entries.length === 0) throw invalid('models', 'an object with at least one model', given)
  return entries.map(([name, one]) => readModel(name, one))
}

function readModel(name: string, given: ServedModelOptions | Model): ServedModelSettings {
  if (!/^[\w.-]{1,100}$/.test(name))
    throw invalid('models', 'an object whose keys have letters, digits, dots, hyphens and underscores', name)
  const options: ServedModelOptions = isModel(given) ? { model: given } : expect.options(given, `models.${name}`)
  const { model, labels = null, preprocess = 'imagenet', layer, reshape, part, inputs, file } = options
  const models: readonly unknown[] = toList(model) ?? [model]
  if (part !== undefined && layer === undefined)
    throw invalid(`models.${name}.part`, 'left out where no layer is named: it is a part of that layer', part)
  if (models.length === 0 || !models.every(isModel))
    throw invalid(`models.${name}.model`, 'a loaded model, such as a ScriptModule, or an array of at least one', model)
  return {
    name,
    models,
    labels: labels === null ? null : expect.list(`models.${name}.labels`, labels, isString, 'strings'),
    preprocess: readPreprocess(preprocess),
    layer: layer === undefined ? null : expect.string(`models.${name}.layer`, layer),
    reshape,
    part: toPath(part, `models.${name}.part`, 'ERR_INVALID_ARGUMENT'),
    inputs: inputs === undefined ? undefined : readOtherInputs(inputs).values,
    file: file === undefined ? null : expect.string(`models.${name}.file`, file),
  }
}

function checkToken(token: unknown): string {
  // What a header can carry, and no one guesses.
  if (typeof token === 'string' && /^[\x21-\x7e]{16,1000}$/.test(token)) return token
  throw invalid('token', 'at least 16 characters without spaces', isRecord(token) ? token : '…')
}

function readHosts(hosts: unknown): string[] {
  return expect.list('allowedHosts', hosts, isString, 'names of hosts').map((host) => host.toLowerCase())
}

function readOrigins(origins: unknown): string[] {
  return expect.list('corsOrigins', origins, isOrigin, "origins such as 'https://app.example'")
}

function isOrigin(value: unknown): value is string {
  return typeof value === 'string' && URL.canParse(value) && new URL(value).origin === value
}
