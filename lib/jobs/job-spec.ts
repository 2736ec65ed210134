import { normalize } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { findArchitecture } from '../architectures/architecture.js'
import { batchFiles, type BatchFile } from '../batch/encode.js'
import { checkBatchSettings } from '../batch/methods.js'
import { checkBatchTarget, type BatchTarget } from '../batch/target.js'
import { either, expect, invalid } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { checkPrecision, precisionLimit } from '../explain/execution.js'
import type { ReducedPrecision } from '../explain/precision-choice.js'
import { toNativeReshape, type PlainReshape } from '../cam/reshape.js'
import type { BatchMethodSettings } from '../methods/options.js'
import { methodNames, methods, type MethodName } from '../methods/table.js'
import { toPath } from '../target/path.js'
import { digestOfFile } from './local-file.js'
import { readPreprocess, type Preprocess, type PreprocessInput } from '../preprocess/preprocess.js'

/**
 * The specification of a job: everything that decides what its results are and what its inputs are called. It is plain
 * data, and is what job.json holds. Where and how fast a job runs is not part of it. See {@link makeJobSpec}.
 */
export interface JobSpec {
  /**
   * The model file, and the SHA-256 digest of its bytes: a copy at another path is the same model. `architecture` is there
   * where the file holds weights alone: the architecture of this package that they are loaded into.
   */
  readonly model: { readonly path: string; readonly sha256: string; readonly architecture?: string }
  readonly method: MethodName
  /** The dtype of what comes before the layer; null for that of the model. */
  readonly precision: ReducedPrecision | 'auto' | null
  /** With precision 'auto': how much maps may move; left out for the default of `ExecutionOptions`. */
  readonly precisionError?: number
  /** Settings of the method; left out where none is given. */
  readonly settings?: BatchMethodSettings
  /** The layer to explain; null for a method that requires none, or where the default layer is used. */
  readonly layer: string | null
  /** How the output of the layer becomes [N, C, h, w]; left out where it is that. */
  readonly reshape?: PlainReshape
  /** Which tensor of a layer that returns several is explained; left out where it returns one. */
  readonly part?: readonly (string | number)[]
  /** Which call of a layer that runs several times is explained, from 0; left out for the last. */
  readonly call?: number
  /** What to explain of inputs without a target of their own. */
  readonly target: BatchTarget
  /** The path to the part of the output that classes are of; left out where none is named. */
  readonly of?: readonly (string | number)[]
  /**
   * The model's other inputs, where it has several: all in order, each the path of a .npy file, or of an image that is prepared
   * as those of the job, with the SHA-256 digest of its bytes; or a number or flag; null where the images go.
   */
  readonly inputs?: readonly JobInput[]
  /** What is done to images. */
  readonly preprocess: Preprocess
  /** The kinds of files to write. */
  readonly write: readonly BatchFile[]
  /** How much of the map an overlay shows, 0 to 1. */
  readonly alpha: number
  /** The label of each class, from class 0. */
  readonly labels: readonly string[] | null
  /** What the inputs were asked for by: for files the paths, folders, globs and lists as they were given. */
  readonly sources: readonly string[]
  /** For files the folder that the ids of inputs start at; '' for other sources. */
  readonly base: string
}

/** One of a model's other inputs: see {@link JobSpec.inputs}. */
export type JobInput = { readonly path: string; readonly sha256: string } | number | boolean | null

/** What {@link makeJobSpec} makes a specification of. */
export interface JobSpecOptions {
  /** The path of the model file, or s3://bucket/key; with `weights` the name of an architecture. */
  model: string
  /** The path of a file of weights alone: see `LoadOptions`. */
  weights?: string | null
  /** The folder for copies of models that are objects of a storage: see {@link ModelExplainerOptions.modelCache}. */
  modelCache?: string
  /** 'gradcam' by default. */
  method?: MethodName
  /** For methods that make maps of a layer: see `ExecutionOptions`. */
  precision?: ReducedPrecision | 'auto' | null
  /** With precision 'auto': see `ExecutionOptions`. */
  precisionError?: number | null
  /** Settings of the method, such as `steps` or `window`, as plain data: see `methodOptions`. */
  settings?: BatchMethodSettings | null
  /** For methods that require a layer; by default the last one with a spatial output. */
  layer?: string | null
  /** For a layer that does not return [N, C, h, w]; where the default layer is used, it is that of the layer. */
  reshape?: PlainReshape | null
  /** For a layer that returns several tensors: see `CamOptions.part`. */
  part?: string | number | readonly (string | number)[] | null
  /** For a layer that runs several times in a pass: see `CamOptions.call`. */
  call?: number | null
  /** 'argmax' by default. Plain data without tensors. */
  target?: BatchTarget
  /** See {@link JobSpec.of}. */
  of?: string | number | readonly (string | number)[] | null
  /** The model's other inputs, in order: paths of .npy files or images, numbers or flags, and null where the images go. */
  inputs?: readonly (string | number | boolean | null)[] | null
  /** A preset's name or a description; 'imagenet' by default. */
  preprocess?: PreprocessInput
  /** ['overlay'] by default; [] writes nothing. */
  write?: readonly BatchFile[]
  /** 0.5 by default. */
  alpha?: number
  /** The label of each class, from class 0: see `readLabels`. None by default. */
  labels?: readonly string[] | null
  /** See {@link JobSpec.sources}; [] by default. */
  sources?: readonly string[]
  /** See {@link JobSpec.base}; '' by default. */
  base?: string
}

/**
 * Checks the options of a job, fills in the defaults and computes the digest of the model file.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_TARGET, ERR_FILE_NOT_FOUND, ERR_FILE_UNREADABLE or ERR_STORAGE
 *   for the model file
 */
export async function makeJobSpec(options: JobSpecOptions): Promise<JobSpec> {
  const {
    method = 'gradcam',
    model: file,
    precision = null,
    layer = null,
    target = 'argmax',
    alpha = 0.5,
  } = expect.options(options)
  const { reshape = null, weights = null, of = null, inputs: others = null, modelCache } = options
  if (modelCache !== undefined) expect.path('modelCache', modelCache)
  const ofPath = of === null ? undefined : toPath(of)
  if (reshape !== null) toNativeReshape(reshape)
  const { write = ['overlay'], labels = null, base = '', sources: given = [] } = options
  expect.path('model', file)
  if (weights !== null) expect.path('weights', weights)
  expect.string('base', base)
  if (precision !== null) checkPrecision('precision', precision)
  const { precisionError = null } = options
  precisionLimit({ ...(precision && { precision }), ...(precisionError !== null && { precisionError }) })
  if (layer !== null) expect.string('layer', layer, 'the path of a layer')
  if (labels !== null) expect.list('labels', labels, isString, 'strings')
  expect.oneOf('method', method, methodNames)
  const settings = plainSettings(options.settings ?? {}, method)
  const ofLayer = { layer, reshape, ...readLayerChoice(options) }
  if (!methods[method].layered)
    for (const [name, value] of Object.entries(ofLayer))
      if (value !== null && value !== undefined)
        throw invalid(name, `left out for the method ${method}, which takes no layer`, value)
  checkBatchTarget(target)
  expect.list('write', write, isBatchFile, `kinds of files: ${either(batchFiles)}`)
  expect.number('alpha', alpha, { min: 0, max: 1 })
  const preprocess = readPreprocess(options.preprocess ?? 'imagenet')
  // Shells complete folders in several forms: 'photos/', './photos'.
  const sources = expect
    .list('sources', given, isString, 'paths')
    .map((source) => normalize(source).replace(/(.)[/\\]$/, '$1'))
  const from = weights ?? file
  const model = {
    path: from,
    sha256: await digestOfFile(from, 'model', modelCache),
    ...(weights !== null && { architecture: findArchitecture(file).name }),
  }
  return {
    model,
    method,
    precision,
    ...(precisionError !== null && { precisionError }),
    ...(Object.keys(settings).length > 0 && { settings }),
    layer,
    ...(reshape !== null && { reshape }),
    ...(ofLayer.part && { part: ofLayer.part }),
    ...(ofLayer.call !== undefined && { call: ofLayer.call }),
    target,
    ...(ofPath && { of: ofPath }),
    ...(others && { inputs: await readJobInputs(others, modelCache) }),
    preprocess,
    write,
    alpha,
    labels,
    sources,
    base,
  }
}

/** Which of the values that a layer returns is explained. */
function readLayerChoice({ part = null, call = null }: JobSpecOptions): Pick<JobSpec, 'part' | 'call'> {
  const path = part === null ? undefined : toPath(part, 'part', 'ERR_INVALID_ARGUMENT')
  if (call !== null) expect.integer('call', call, { min: 0 })
  return { ...(path && { part: path }), ...(call !== null && { call }) }
}

async function readJobInputs(given: readonly unknown[], modelCache: string | undefined): Promise<JobInput[]> {
  const isInput = (value: unknown): value is string | number | boolean | null =>
    value === null || ['string', 'number', 'boolean'].includes(typeof value)
  const list = expect.list('inputs', given, isInput, 'paths of .npy files, numbers and flags, with one null')
  if (list.filter((one) => one === null).length !== 1)
    throw invalid('inputs', 'all inputs in order, with null where the images go', given)
  return await Promise.all(
    list.map(async (one) =>
      typeof one === 'string' ? { path: one, sha256: await digestOfFile(one, 'input', modelCache) } : one,
    ),
  )
}

const isString = (value: unknown): value is string => typeof value === 'string'
const isBatchFile = (value: unknown): value is BatchFile => batchFiles.some((kind) => kind === value)

/** Settings as job.json can hold them: a tensor or a function would be lost there. */
function plainSettings(given: BatchMethodSettings, method: MethodName): BatchMethodSettings {
  checkBatchSettings(given, method)
  const settings = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const plain = expect.json('settings', settings)
  if (isDeepStrictEqual(plain, settings)) return plain as BatchMethodSettings
  throw invalid('settings', 'numbers, texts, arrays and objects, as JSON has them', given)
}

/**
 * Refuses to resume a job with a specification that would give other results.
 *
 * @param before the specification that the store holds, as plain data
 * @throws GradCamError ERR_JOB_CHANGED with the differences
 */
export function checkSameJob(before: JobSpec, now: JobSpec): void {
  const [old, current] = [plainSpec('before', before), plainSpec('now', now)]
  const names = new Set([...Object.keys(old), ...Object.keys(current)])
  const changes = [...names].flatMap((key) => {
    const name = key as keyof JobSpec
    // A copy of the model elsewhere is the same model.
    if (name === 'model') return modelChanges(old.model, current.model)
    // What was not given is null in a new specification, and missing from one of an earlier version that lacked the field.
    const [was, is] = [old[name] ?? null, current[name] ?? null]
    return isDeepStrictEqual(was, is) ? [] : [difference(name, old[name], current[name])]
  })
  if (changes.length > 0)
    throw new GradCamError('ERR_JOB_CHANGED', `This is not the job that is to be resumed; ${changes.join('; ')}.`, {
      remedy: 'Give the same options, or choose another folder.',
      details: { changes },
    })
}

function modelChanges(old: JobSpec['model'], current: JobSpec['model']): string[] {
  if (old.sha256 !== current.sha256) return [`model: ${old.path} has changed`]
  if (old.architecture === current.architecture) return []
  return [difference('model.architecture', old.architecture, current.architecture)]
}

/** As job.json holds it, checked as far as this reads it. */
function plainSpec(name: string, spec: JobSpec): JobSpec {
  const { model } = expect.options(spec, name)
  expect.string(`${name}.model.sha256`, expect.options(model, `${name}.model`).sha256)
  return expect.json(name, spec) as JobSpec
}

/** Of long lists only their lengths and the first difference: there may be a thousand labels. */
function difference(name: string, before: unknown, now: unknown): string {
  const isLong = [before, now].some((value) => Array.isArray(value) && value.length > 8)
  if (!isLong || !Array.isArray(before) || !Array.isArray(now))
    return `${name}: ${shortly(before)} before, ${shortly(now)} now`
  const counts = before.length === now.length ? '' : `${name}: ${before.length} before, ${now.length} now; `
  const at = Array.from({ length: Math.max(before.length, now.length) }, (_, i) => i).find((i) => before[i] !== now[i])
  return at === undefined ? name : `${counts}${name}[${at}]: ${shortly(before[at])} before, ${shortly(now[at])} now`
}

function shortly(value: unknown): string {
  if (value === undefined) return 'none'
  if (Array.isArray(value) && value.length > 8) return `${value.length} entries`
  return JSON.stringify(value)
}
