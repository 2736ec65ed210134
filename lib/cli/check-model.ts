import { basename } from 'node:path'
import { Cam } from '../cam/cam.js'
import type { PlainReshape } from '../cam/reshape.js'
import type { Check } from '../setup/doctor.js'
import { GradCamError } from '../base/errors.js'
import { manualSeed } from '../addon/runtime.js'
import type { Model } from '../model/model.js'
import type { ExecutionPath } from '../explain/explainer.js'
import { ScorePass } from '../explain/score-pass.js'
import { modelNotes, type ModelNote } from '../model/model-notes.js'
import { suggestLayers, type LayerSuggestion } from '../cam/suggest-layers.js'
import { Tensor } from '../tensor/tensor.js'
import { disposeValue } from '../tensor/values.js'
import { refusedInput } from '../model/refused-input.js'
import { counted, humanCount } from '../base/units.js'
import { usageError } from './arguments.js'
import type { LoadOptions } from '../model/script-module.js'
import { imageSizeOf, loadChoice, type ModelChoice } from './model-options.js'

/** A model file, and what to try it with. */
export interface ModelQuestion extends ModelChoice {
  /** [1, C, H, W]; null where the model's file says it. */
  readonly shape: readonly number[] | null
  /** None for the layers that are suggested. */
  readonly layers: readonly string[]
  /** For these layers. */
  readonly reshape: PlainReshape | null
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
  const { file, shape: given, layers, reshape, loading } = question
  const name = 'Model'
  try {
    using model = await loadChoice(question, loading)
    const own = imageSizeOf(model)
    const shape = given ?? (own && [1, 3, ...own])
    if (!shape) throw usageError(`Give the size of the input that ${file} takes, e.g. --size 224x224.`)
    manualSeed(0)
    using noise = Tensor.rand(shape)
    const forwardMs = await fastest(async () => disposeValue(await model.forward(noise))).catch((error: unknown) => {
      throw refusedInput(error, shape)
    })
    const modules = model.namedModules()
    const [root] = modules
    const parameters = root?.parameters ?? 0
    const size = `${root?.typeName ?? 'Module'}, ${humanCount(parameters)} parameters`
    const found = `${basename(file)}: ${size}; a forward pass of [${shape.join(', ')}] takes ${forwardMs.toFixed(1)} ms`
    const checks: Check[] = [{ name, status: 'ok', found, details: { file, parameters, forwardMs } }]
    using scores = new ScorePass(model, 'hooked')
    await scores.takesSeveral(noise, undefined)
    for (const { code, message, layer, operator } of modelNotes(model))
      checks.push({ name: noteNames[code], status: 'note', found: message, details: { code, layer, operator } })
    const chosen: readonly Pick<LayerSuggestion, 'layer' | 'reshape'>[] =
      layers.length > 0
        ? layers.map((layer) => ({ layer, reshape: reshape ?? undefined }))
        : await suggestLayers(model, noise)
    for (const one of chosen) checks.push(await checkLayer(model, one, noise, forwardMs))
    if (chosen.length === 0)
      checks.push({
        name: 'Layers',
        status: 'note',
        found: `none of ${counted(modules.length - 1, 'layer')} has a spatial output`,
        remedy: 'Use methods of the input, e.g. InputAttribution or InputPerturbation.',
        details: {},
      })
    return checks
  } catch (error) {
    if (!(error instanceof GradCamError)) throw error
    return [{ name, status: 'missing', found: error.message, details: { file, code: error.code } }]
  }
}

async function checkLayer(
  model: Model,
  { layer, reshape }: Pick<LayerSuggestion, 'layer' | 'reshape'>,
  input: Tensor,
  forwardMs: number,
): Promise<Check> {
  const name = `at ${layer}`
  try {
    using cam = new Cam(model, { layers: [layer], ...(reshape && { reshape }) })
    let execution: ExecutionPath | undefined
    const run = async () => {
      using found = await cam.explain(input)
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
    return { name, status: 'missing', found: error.message, details: { layer, code: error.code } }
  }
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
