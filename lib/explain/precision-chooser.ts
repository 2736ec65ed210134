import { cancellable } from '../addon/abort.js'
import type { PassPlan } from '../addon/native-pass.js'
import { toList } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import type { Model } from '../model/model.js'
import { Tensor } from '../tensor/tensor.js'
import type { Value } from '../tensor/values.js'
import { disposeRun, type Run } from './explained.js'
import { Pass } from './pass.js'
import { choosePrecision, hasEvidence, tryPrecisions } from './precision.js'
import type { PrecisionChoice, PrecisionTrial, ReducedPrecision } from './precision-choice.js'
import { readRecord, recordPath, writeRecord } from './precision-memory.js'

/** Explains the inputs of a call by a pass. */
export type ExplainBy = (pass: Pass, signal: AbortSignal | undefined) => Promise<Run<Value>>

/** What is read or measured in this process, or was, by the path of its record: replicas of a model measure once, and choose alike. */
const measurements = new Map<string, Promise<Measurement>>()

/** The trials; or why these inputs give nothing to choose by, which is not kept. */
type Measurement = { readonly trials: readonly PrecisionTrial[] } | { readonly why: string }

/** The choice of `precision: 'auto'` for one explainer: made by its first explanation, and kept. */
export class PrecisionChooser implements Disposable {
  readonly #model: Model
  readonly #plan: PassPlan
  readonly #limit: number
  #choice: PrecisionChoice | undefined
  #choosing: Promise<PrecisionChoice> | undefined
  /** By type. Each finds its split with the model, which keeps those that are used. */
  readonly #passes = new Map<ReducedPrecision, Pass>()

  constructor(model: Model, plan: PassPlan, limit: number) {
    this.#model = model
    this.#plan = plan
    this.#limit = limit
  }

  /** What was chosen; undefined before. */
  get choice(): PrecisionChoice | undefined {
    return this.#choice
  }

  /**
   * Runs by the pass of the type that was chosen; by `exact` where it is float32, before the choice, and where the model cannot be
   * split any more, e.g. since a hook was registered.
   *
   * @returns the result, and what it ran in
   */
  async run<Result>(
    exact: Pass,
    choice: PrecisionChoice | undefined,
    use: (pass: Pass) => Promise<Result>,
  ): Promise<readonly [Result, PrecisionChoice | undefined]> {
    const dtype = choice?.dtype ?? 'float32'
    if (dtype === 'float32') return [await use(exact), choice]
    try {
      return [await use(this.#passIn(dtype)), choice]
    } catch (error) {
      if (!(error instanceof GradCamError) || error.code !== 'ERR_NOT_SPLITTABLE') throw error
      return [await use(exact), nothingToChoose(error.problem)]
    }
  }

  /** Chooses by these inputs, unless it was done before. Where the caller stops waiting, the next one chooses. */
  async choose(
    exact: Pass,
    inputs: Value | readonly Value[],
    explain: ExplainBy,
    signal: AbortSignal | undefined,
  ): Promise<PrecisionChoice> {
    for (;;) {
      if (this.#choice) return this.#choice
      if (this.#choosing) {
        // Its failure is that of the call that began it: an abort, or an error that this call then meets itself.
        await this.#choosing.catch(() => {})
        signal?.throwIfAborted()
        continue
      }
      this.#choosing = this.#decide(exact, inputs, explain, signal)
      try {
        const choice = await this.#choosing
        if (choice.dtype !== null) this.#choice = choice
        return choice
      } finally {
        this.#choosing = undefined
      }
    }
  }

  async #decide(
    exact: Pass,
    inputs: Value | readonly Value[],
    explain: ExplainBy,
    signal: AbortSignal | undefined,
  ): Promise<PrecisionChoice> {
    const { dtype, capabilities } = this.#model
    if (dtype !== 'float32') return nothingToChoose(`The model's own type is ${dtype ?? 'not known'}.`)
    if (!capabilities.splittable) return nothingToChoose('Models of this format cannot be split.')
    const shapes = shapesOf(inputs)
    const imageShapes = shapes.map((shape) => shape.slice(1))
    const fingerprint = await cancellable(signal, (ticket) => this.#model.handle.fingerprint(ticket))
    const device = this.#model.device.replace(/:.*/, '')
    // A function cannot be recognised in another process, nor a model without parameters.
    const canBeKept = fingerprint !== '' && this.#plan.reshape?.kind !== 'custom'
    const measure = async (): Promise<Measurement> => await this.#measure(exact, explain, signal)
    if (!canBeKept) return this.#toChoice(await measure(), false)
    const path = recordPath({ fingerprint, device, plan: this.#plan, shapes: imageShapes })
    let isNew = false
    const readOrMeasure = async (): Promise<Measurement> => {
      const record = await readRecord(path)
      if (record) return record
      isNew = true
      const measurement = await measure()
      if ('trials' in measurement && measurement.trials.every(({ timedOut = false }) => !timedOut))
        await writeRecord(path, {
          fingerprint,
          layers: this.#plan.layers,
          methods: this.#plan.methods ?? [],
          shapes: imageShapes,
          images: shapes[0]?.[0] ?? 1,
          measured: new Date().toISOString(),
          trials: measurement.trials,
        })
      return measurement
    }
    return this.#toChoice(await once(path, readOrMeasure, signal), !isNew)
  }

  #toChoice(measurement: Measurement, remembered: boolean): PrecisionChoice {
    if ('trials' in measurement) return choosePrecision(measurement.trials, this.#limit, remembered)
    return nothingToChoose(measurement.why)
  }

  async #measure(exact: Pass, explain: ExplainBy, signal: AbortSignal | undefined): Promise<Measurement> {
    // The first run makes the split, and meets what is wrong with the inputs or the target.
    const { execution, ...first } = await explain(exact, signal)
    const varies = hasEvidence(first.explained)
    disposeRun(first)
    if (execution.path === 'hooked') return { why: `The model runs hooked: ${execution.why}.` }
    if (!varies) return { why: 'No map of these inputs varies, so none can be compared. The next ones choose.' }
    const passIn = (dtype: PrecisionTrial['dtype']): Pass => (dtype === 'float32' ? exact : this.#passIn(dtype))
    const trials = await tryPrecisions(async (dtype, stop) => await explain(passIn(dtype), stop), disposeRun, signal)
    return { trials }
  }

  #passIn(dtype: ReducedPrecision): Pass {
    const pass = this.#passes.get(dtype) ?? Pass.of(this.#model, { ...this.#plan, precision: dtype })
    this.#passes.set(dtype, pass)
    return pass
  }

  dispose(): void {
    for (const pass of this.#passes.values()) pass.dispose()
    this.#passes.clear()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

const nothingToChoose = (why: string): PrecisionChoice => ({ dtype: null, why, trials: [], remembered: false })

/** What a measurement under way or done gave, else that of `measure`. An abort of another call is not this one's. */
async function once(
  path: string,
  measure: () => Promise<Measurement>,
  signal: AbortSignal | undefined,
): Promise<Measurement> {
  for (;;) {
    const under = measurements.get(path)
    if (!under) break
    const found = await under.catch(() => null)
    signal?.throwIfAborted()
    if (found && 'trials' in found) return found
  }
  const measuring = measure()
  measurements.set(path, measuring)
  let isKept = false
  try {
    const measurement = await measuring
    isKept = 'trials' in measurement
    return measurement
  } finally {
    if (!isKept) measurements.delete(path)
  }
}

/** The shapes of the tensors in the inputs, in order. */
function shapesOf(inputs: Value | readonly Value[]): (readonly number[])[] {
  const list = toList(inputs) ?? [inputs]
  return list.flatMap((input) => (input instanceof Tensor ? [input.shape] : []))
}
