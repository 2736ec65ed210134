import { basename } from 'node:path'
import { Cam } from '../cam/cam.js'
import type { PlainReshape } from '../cam/reshape.js'
import type { Check } from '../setup/doctor.js'
import { GradCamError } from '../base/errors.js'
import { manualSeed } from '../addon/runtime.js'
import type { Model } from '../model/model.js'
import { noiseOf, type ExpectedInput } from '../model/expected-input.js'
import type { ExecutionPath } from '../explain/execution.js'
import { recordsOf } from '../explain/precision-memory.js'
import { ScorePass } from '../explain/score-pass.js'
import type { MethodSettings } from '../methods/options.js'
import { inputsAtOnce, shapeAtOnce } from '../model/images-at-once.js'
import { runAtOnce } from '../model/learn-images-at-once.js'
import { modelNotes, type ModelNote } from '../model/model-notes.js'
import { whyNone } from '../cam/reached-layers.js'
import { observeAndSuggest, spatialSizes, type LayerSuggestion } from '../cam/suggest-layers.js'
import { disposeValue, type Value } from '../tensor/values.js'
import { refusedInput } from '../model/refused-input.js'
import { humanCount } from '../base/units.js'
import { usageError } from './arguments.js'
import { hintOf } from './hints.js'
import type { LoadOptions } from '../model/script-module.js'
import type { BatchTarget } from '../batch/target.js'
import type { Target } from '../target/target.js'
import { inputShape, loadInputs, type InputFlag } from './model-inputs.js'
import { preprocessAt } from './preprocess-option.js'
import { inputSizesOf, loadChoice, type ModelChoice } from './model-options.js'

/** A model file, and what to try it with. */
export interface ModelQuestion extends ModelChoice {
  /** As --size gives them; null where the model's file says them. */
  readonly sizes: readonly number[] | null
  /** The whole shape of the input, as --shape gives it. */
  readonly shape: readonly number[] | null
  /** What explanations are tried for; null for the top class, or all of an output that has none. */
  readonly target: BatchTarget | null
  /** The model's other inputs. */
  readonly inputs: readonly InputFlag[]
  /** None for the layers that are suggested. */
  readonly layers: readonly string[]
  /** For these layers: see `CamOptions`. */
  readonly reshape: PlainReshape | null
  readonly part?: MethodSettings['part']
  readonly call?: number
  readonly loading: LoadOptions
}

const noteNames: Readonly<Record<ModelNote['code'], string>> = {
  RANDOM: 'Random',
  BATCH_STATISTICS: 'Batch norm',
  ROWS: 'Batches',
  STATE: 'State',
}

/** The fastest of these runs counts: other work of the machine only makes a run slower. */
const timedRuns = 3

/**
 * Whether a model file loads and runs, and for each layer whether explanations run split or hooked, why, and how long one
 * takes compared to a plain forward pass.
 */
export async function checkModel(question: ModelQuestion): Promise<Check[]> {
  const { file, sizes, layers, reshape, part, call, loading } = question
  const which = { ...(part !== undefined && { part }), ...(call !== undefined && { call }) }
  const name = 'Model'
  try {
    using model = await loadChoice(question, loading)
    const own = inputSizesOf(model)
    const sizesGiven = question.shape ?? sizes ?? own
    if (!sizesGiven) throw usageError(`Give the size of the input that ${file} takes, e.g. --size 224x224.`)
    const shapeOf = (expected: ExpectedInput): readonly number[] => question.shape ?? inputShape(sizesGiven, expected)
    using inputs = await loadInputs(model, question.inputs, (expected) =>
      preprocessAt(model.weights, spatialSizes(shapeOf(expected))),
    )
    const shape = shapeOf(inputs.expected)
    manualSeed(0)
    const { dtype } = inputs.expected
    using noise = noiseOf(shape, dtype)
    const given = inputs.with(noise)
    const forwardMs = await runAtOnce(model, given, (values) =>
      fastest(async () => disposeValue(await model.forward<Value>(values))),
    ).catch(async (error: unknown) => {
      throw await refusedInput(error, model, given, inputs.at)
    })
    using atOnce = inputsAtOnce(model, given)
    const all = atOnce.values
    const modules = model.namedModules()
    const [root] = modules
    const parameters = root?.parameters ?? 0
    const size = `${root?.typeName ?? 'Module'}, ${humanCount(parameters)} parameters`
    const summary = `${basename(file)}: ${size}; a forward pass of [${shapeAtOnce(model, shape).join(', ')}] takes ${forwardMs.toFixed(1)} ms`
    const checks: Check[] = [{ name, status: 'ok', found: summary, details: { file, parameters, forwardMs } }]
    using scores = new ScorePass(model, 'hooked', inputs.at)
    await scores.takesSeveral(all, undefined)
    const tried = question.target ? { target: question.target, note: null } : await targetToTry(scores, all)
    if (tried.note !== null) checks.push({ name: 'Output', status: 'note', found: tried.note, details: {} })
    for (const { code, message, layer, operator } of modelNotes(model))
      checks.push({ name: noteNames[code], status: 'note', found: message, details: { code, layer, operator } })
    const found =
      layers.length === 0 && (await observeAndSuggest(model, all, { input: inputs.at, target: tried.target }))
    const chosen: readonly Pick<LayerSuggestion, 'layer' | 'reshape'>[] = found
      ? found.suggestions
      : layers.map((layer) => ({ layer, reshape: reshape ?? undefined }))
    for (const one of chosen) {
      const trial = { inputs: all, input: inputs.at, target: tried.target, forwardMs, which }
      checks.push(await checkLayer(model, one, trial))
    }
    if (found && chosen.length === 0) {
      const { reason, remedy } = whyNone(found.observed)
      const alone = modules.length === 1
      checks.push({
        name: 'Layers',
        status: 'note',
        found: alone ? 'the model has none: its code is in one module' : reason,
        remedy: alone ? 'Use a method of the input, e.g. saliency or occlusion.' : remedy,
        details: {},
      })
    }
    checks.push(...(await checkPrecisions(model)))
    return checks
  } catch (error) {
    if (!(error instanceof GradCamError)) throw error
    return [{ name, status: 'missing', found: error.message + hintOf(error), details: { file, code: error.code } }]
  }
}

/** The top class; all of an output that has no classes, and what is to be said of that. */
async function targetToTry(
  scores: ScorePass,
  inputs: Value | readonly Value[],
): Promise<{ readonly target: Target<Value>; readonly note: string | null }> {
  try {
    const { of } = await scores.score<Value>(inputs, { target: 'argmax' })
    if (!of) return { target: 'argmax', note: null }
    return { target: 'argmax', note: `classes are taken from its part ${of.join('.')}; --of names another` }
  } catch (error) {
    if (!(error instanceof GradCamError) || error.code !== 'ERR_TARGET') throw error
    const note = `${error.message} Explanations below are tried for the sum of the output.`
    const sum = { kind: 'element', at: [] } as const
    const works = await scores.score<Value>(inputs, { target: sum }).then(
      () => true,
      () => false,
    )
    return { target: works ? sum : 'argmax', note: works ? note : null }
  }
}

/** What layers are tried with. */
interface LayerTrial {
  readonly inputs: Value | readonly Value[]
  readonly input: number
  readonly target: Target<Value>
  readonly forwardMs: number
  readonly which: Pick<MethodSettings, 'part' | 'call'>
}

async function checkLayer(
  model: Model,
  { layer, reshape }: Pick<LayerSuggestion, 'layer' | 'reshape'>,
  { inputs, input, target, forwardMs, which }: LayerTrial,
): Promise<Check> {
  const name = `at ${layer}`
  try {
    using cam = new Cam(model, { layers: [layer], ...(reshape && { reshape }), ...(input > 0 && { input }), ...which })
    let execution: ExecutionPath | undefined
    const run = async () => {
      using found = await cam.explain<Value>(inputs, { target })
      execution = found.execution
    }
    await run() // makes the split
    const ms = await fastest(run)
    const { path } = execution as ExecutionPath
    const because = execution?.path === 'hooked' ? execution.why : null
    const times = `${(ms / forwardMs).toFixed(2)} of a forward pass (${ms.toFixed(1)} ms)`
    const details = { layer, path, because, explainMs: ms }
    if (because === null) return { name, status: 'ok', found: `split, ${times}`, details }
    return { name, status: 'note', found: `hooked, ${times}, because ${because}`, details }
  } catch (error) {
    if (!(error instanceof GradCamError)) throw error
    return { name, status: 'missing', found: error.message + hintOf(error), details: { layer, code: error.code } }
  }
}

/** What `precision: 'auto'` measured of the model on this machine, each measurement a check. */
async function checkPrecisions(model: Model): Promise<Check[]> {
  const records = await recordsOf(await model.handle.fingerprint(0))
  return records.map(({ layers, methods, shapes, images, measured, trials }) => {
    const [exact, ...others] = trials
    const texts = others.map(({ dtype, milliseconds, error, refused }) => {
      if (refused !== undefined) return `${dtype} cannot be used: ${refused.replace(/\.$/, '')}`
      const share = (milliseconds ?? NaN) / (exact?.milliseconds ?? NaN)
      return `${dtype} takes ${share.toFixed(2)} of the time of float32 and moves maps by ${(error ?? NaN).toPrecision(1)}`
    })
    const inputs = shapes.map((shape) => `[${[images, ...shape].join(', ')}]`).join(', ')
    const found = `${methods.join(', ')} at ${layers.join(', ')}, ${inputs}: ${texts.join('; ')} (${measured.slice(0, 10)})`
    return { name: 'Precision', status: 'ok', found, details: { layers: layers.join(' '), measured } }
  })
}

async function fastest(run: () => Promise<void>): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < timedRuns; i++) {
    const start = performance.now()
    await run()
    times.push(performance.now() - start)
  }
  return Math.min(...times)
}
