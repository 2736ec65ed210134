import { availableParallelism } from 'node:os'
import type { CallOptions } from '../addon/abort.js'
import { expect, invalid } from '../base/check.js'
import type { DecodeLimits } from '../images/decode.js'
import { checkDecodeLimits } from '../images/load-image.js'
import { readPreprocess, type Preprocess, type PreprocessInput } from '../preprocess/preprocess.js'
import type { CamOptions } from '../cam/cam-options.js'
import type { Reshape } from '../cam/reshape.js'
import type { ReducedPrecision } from '../explain/precision-choice.js'
import type { BatchMethodSettings } from '../methods/options.js'
import type { MethodName } from '../methods/table.js'
import { expectedInput, type ExpectedInput } from '../model/expected-input.js'
import { readOtherInputs } from '../methods/other-inputs.js'
import type { Model } from '../model/model.js'
import { toPath } from '../target/path.js'
import type { Value } from '../tensor/values.js'
import type { BatchTarget } from './target.js'
import type { BatchExplanation } from './result.js'

/** How far a run is; sent whenever an input was explained or has failed. */
export interface BatchProgress {
  /** The input that was explained or has failed. */
  readonly id: string
  /** Whether it was explained. */
  readonly ok: boolean
  /** How many inputs were taken from the source so far. */
  readonly taken: number
  /** How many of them were explained. */
  readonly explained: number
  /** How many of them have failed. */
  readonly failed: number
}

export interface ExplainAllOptions<Extra = undefined> extends CallOptions {
  /** The model, or several replicas of it, loaded one by one: batches go to whichever is free. Not disposed here. */
  model: Model | readonly Model[]
  /** 'gradcam' by default. */
  method?: MethodName
  /** The path of the layer to explain, for methods that require one. */
  layer?: string | undefined
  /** For methods that make maps of a layer: see {@link ExecutionOptions}. */
  precision?: ReducedPrecision | 'auto' | undefined
  /** With precision 'auto': see {@link ExecutionOptions}. */
  precisionError?: number | undefined
  /** For a layer that does not return [N, C, h, w]. */
  reshape?: Reshape | undefined
  /** For a layer that returns several tensors: see {@link CamOptions.part}. */
  part?: CamOptions['part']
  /** For a layer that runs several times in a pass: see {@link CamOptions.call}. */
  call?: number | undefined
  /** Settings of the method, such as `steps` or `window`: see `methodOptions`. */
  settings?: BatchMethodSettings | undefined
  /** For inputs without a target of their own; 'argmax' by default. */
  target?: BatchTarget
  /** The path to the part of the output that classes are of, where targets do not say it themselves: see `TargetOptions`. */
  of?: string | number | readonly (string | number)[]
  /**
   * The model's other inputs, where it has several: all that it takes in order, with null for the one that the
   * source gives. Tensors of one row are given to each image. Not disposed here, and not to be disposed before the run is over.
   */
  inputs?: readonly Value[] | undefined
  /** What is done to images, not to tensors: a preset's name or a description; 'imagenet' by default. */
  preprocess?: PreprocessInput
  /**
   * Inputs explained in one pass, where their shapes are the same. By default 8, or as many as fill the batches of a model
   * whose batch has a fixed size; halved when memory runs out, or the model does not take as many. 1 for a model that does not
   * take images independently, as a first probe shows.
   */
  batchSize?: number
  /**
   * The most inputs that are in progress at once, from the moment an input is taken until its result is taken. By default
   * twice as many as are explained at a time, and never fewer than a batch.
   */
  window?: number
  /** The most bytes of decoded images in memory at once; a single image may be larger. 512 MiB by default. */
  memory?: number
  /** How many images are decoded, and how many results finished, at a time. One per core by default, 4 at most. */
  concurrency?: number
  /** Images with more pixels than this are refused, as by `loadImage`. */
  maxPixels?: number
  /** Images that take longer to decode are refused, as by `loadImage`. */
  decodeSeconds?: number
  /** Whether images may be SVG, as for `loadImage`. False by default. */
  svg?: boolean
  /** Milliseconds after which a batch that is not full is explained, while the source gives nothing more. 100 by default. */
  maxWait?: number
  /** Whether results come in the order of the inputs ('input', the default), or as soon as they are 'ready'. */
  order?: 'input' | 'ready'
  /** Whether an input that fails is a result like any other ('skip', the default), or ends the run ('throw'). */
  onError?: 'skip' | 'throw'
  /** Called for every input that was explained or has failed. What it throws ends the run. */
  onProgress?: ((progress: BatchProgress) => void) | undefined
  /**
   * The last stage: called with every explanation, for several at a time. What it returns is the result's `extra`; what it
   * throws makes the input fail.
   */
  finish?: (result: BatchExplanation<unknown>) => Promise<Extra> | Extra
  /** Whether results have the SHA-256 digest of the image file. */
  sha256?: boolean
}

/** The same with all defaults filled in. */
export interface BatchSettings<Extra> extends CallOptions {
  readonly target: BatchTarget
  readonly of: readonly (string | number)[] | null
  readonly expected: ExpectedInput
  readonly preprocess: Preprocess
  readonly batchSize: number
  readonly window: number
  readonly memory: number
  readonly concurrency: number
  readonly limits: DecodeLimits
  readonly maxWait: number
  readonly order: 'input' | 'ready'
  readonly onError: 'skip' | 'throw'
  readonly onProgress: ((progress: BatchProgress) => void) | undefined
  readonly finish: ((result: BatchExplanation<unknown>) => Promise<Extra> | Extra) | undefined
  readonly sha256: boolean
}

/** Checks the options and fills in the defaults, before any work starts. */
export function readSettings<Extra>(
  options: ExplainAllOptions<Extra>,
  model: Model,
  replicas: number,
): BatchSettings<Extra> {
  expect.options(options)
  const { at } = readOtherInputs(options.inputs)
  const batchSize = whole(options, 'batchSize', usualBatch(model))
  return {
    signal: expect.signal(options.signal),
    target: options.target ?? 'argmax',
    of: toPath(options.of) ?? null,
    expected: expectedInput(model, at),
    preprocess: readPreprocess(options.preprocess ?? 'imagenet'),
    batchSize,
    window: Math.max(batchSize, whole(options, 'window', batchSize * (2 * replicas + 2))),
    memory: whole(options, 'memory', 512 * 2 ** 20),
    concurrency: whole(options, 'concurrency', Math.min(4, availableParallelism())),
    limits: checkDecodeLimits(options),
    maxWait: milliseconds(options.maxWait ?? 100),
    order: expect.oneOf('order', options.order ?? 'input', ['input', 'ready']),
    onError: expect.oneOf('onError', options.onError ?? 'skip', ['skip', 'throw']),
    onProgress: options.onProgress === undefined ? undefined : expect.function('onProgress', options.onProgress),
    finish: options.finish === undefined ? undefined : expect.function('finish', options.finish),
    sha256: expect.boolean('sha256', options.sha256 ?? false),
  }
}

/** A batch of this package's choice is of as many images as the model takes at a time, so that none is filled up with copies. */
function usualBatch(model: Model): number {
  const { min, max } = model.handle.imagesAtOnce()
  return min === max ? min * Math.ceil(8 / min) : 8
}

function whole(options: object, name: keyof ExplainAllOptions, fallback: number): number {
  return expect.count(name, (options as Record<string, unknown>)[name] ?? fallback)
}

function milliseconds(maxWait: unknown): number {
  if (typeof maxWait === 'number' && maxWait >= 0) return maxWait
  throw invalid('maxWait', 'a number of milliseconds from 0 on, or Infinity', maxWait)
}
