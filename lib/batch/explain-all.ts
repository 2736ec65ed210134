import { expect, invalid, isRecord, toList } from '../base/check.js'
import { isModel, type Model } from '../model/model.js'
import type { BatchInput } from './input.js'
import { checkBatchSettings, makeExplainer } from './methods.js'
import { readSettings, type ExplainAllOptions } from './options.js'
import { Pipeline } from './pipeline.js'
import type { BatchExplainer } from './explain-batch.js'
import type { BatchResult } from './result.js'

/** The results of {@link explainAll}. Leaving the loop early, or `return()`, stops the run and frees all that it holds. */
export interface BatchResults<Extra = undefined> extends AsyncIterableIterator<BatchResult<Extra>>, AsyncDisposable {
  /** The next result, as soon as it is ready. */
  next(): Promise<IteratorResult<BatchResult<Extra>, undefined>>
  /** Stops the run, frees all that it holds and waits for what is under way. */
  return(): Promise<IteratorReturnResult<undefined>>
  /** The same as `return()`. */
  throw(error?: unknown): Promise<IteratorReturnResult<undefined>>
  /** Itself: there is one run, which can be read once. */
  [Symbol.asyncIterator](): BatchResults<Extra>
}

/**
 * Explains any number of inputs: images are decoded, put into batches, explained and finished, with all stages at work at
 * once. Memory is bounded by `window` and `memory`: an input is taken from the source only when it fits. Nothing starts
 * before the first result is requested.
 *
 * An error of one input is the result of that input: `ok` is false, and `error` says why.
 *
 * ```ts
 * for await (using result of explainAll(paths, { model, layer: 'features' }))
 *   if (result.ok) await writeFile(`${result.index}.jpg`, await result.encode('overlay'))
 * ```
 *
 * @param source paths, file: URLs, bytes of image files, tensors, or entries with an id and a target; an iterable or an
 *   async iterable of any length
 * @returns one result for each input, for the caller to dispose
 * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_LAYER_NOT_FOUND, ERR_LAYER_NOT_HOOKABLE, ERR_MODEL_FROZEN, ERR_DISPOSED.
 *   The iterator throws what the source throws, and the reason of the signal.
 */
export function explainAll<Extra = undefined>(
  source: AsyncIterable<BatchInput> | Iterable<BatchInput>,
  options: ExplainAllOptions<Extra>,
): BatchResults<Extra> {
  // A string is an iterable of its letters, which is never intended.
  if (!isIterable(source)) throw invalid('source', 'an array or another iterable', source)
  const given = { ...expect.options(options) }
  const models: readonly unknown[] = toList(given.model) ?? [given.model]
  if (models.length === 0 || !models.every(isModel))
    throw invalid('model', 'a loaded model, such as a ScriptModule, or an array of at least one', given.model)
  const settings = readSettings(given, models[0] as Model, models.length)
  const explainers = make(models, given)
  const pipeline = new Pipeline(source, explainers, settings)
  const finish = async (): Promise<IteratorReturnResult<undefined>> => {
    await pipeline.close()
    return { done: true, value: undefined }
  }
  return {
    next: () => pipeline.next(),
    return: finish,
    throw: finish,
    [Symbol.asyncIterator]() {
      return this
    },
    [Symbol.asyncDispose]: async () => void (await finish()),
  }
}

const isIterable = (source: unknown): boolean =>
  toList(source) !== null ||
  (isRecord(source) && !ArrayBuffer.isView(source) && (Symbol.asyncIterator in source || Symbol.iterator in source))

function make(
  models: readonly Model[],
  {
    method,
    layer,
    precision,
    precisionError,
    reshape,
    part,
    call,
    inputs,
    settings,
  }: Pick<
    ExplainAllOptions,
    'method' | 'layer' | 'precision' | 'precisionError' | 'reshape' | 'part' | 'call' | 'inputs' | 'settings'
  >,
): BatchExplainer[] {
  const made: BatchExplainer[] = []
  const own = {
    ...(settings !== undefined && checkBatchSettings(settings, method ?? 'gradcam')),
    ...(precision !== undefined && { precision }),
    ...(precisionError !== undefined && { precisionError }),
    ...(reshape !== undefined && { reshape }),
    ...(part !== undefined && { part }),
    ...(call !== undefined && { call }),
    ...(inputs !== undefined && { inputs }),
  }
  try {
    for (const model of models)
      made.push({ model, inputs, explainer: makeExplainer(method ?? 'gradcam', model, layer ?? null, own) })
    return made
  } catch (error) {
    for (const { explainer } of made) explainer[Symbol.dispose]()
    throw error
  }
}
