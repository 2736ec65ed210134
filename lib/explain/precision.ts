import type { NativeExplained } from '../addon/native-pass.js'
import { GradCamError } from '../base/errors.js'
import { Tensor } from '../tensor/tensor.js'
import { tidy } from '../tensor/tidy.js'
import type { Value } from '../tensor/values.js'
import type { Run } from './explained.js'
import type { PrecisionChoice, PrecisionDType, PrecisionTrial, ReducedPrecision } from './precision-choice.js'

/** How maps of one type are made, for the trials. */
export type ExplainIn = (dtype: PrecisionDType, signal: AbortSignal | undefined) => Promise<Run<Value>>

const reduced: readonly ReducedPrecision[] = ['bfloat16', 'float16']
/** After the first run of each type, which makes its split. */
const rounds = 3
/** What the rounds of all types may take in milliseconds, as far as the first runs tell. */
const longestRounds = 4000
/** How much faster than float32 a type has to be, so that noise does not choose it. */
const leastGain = 0.95
/** Where a processor has no kernels for a type, LibTorch may be a hundred times as slow: it is not waited for. */
const longestTrial = (milliseconds: number): number => 1000 + 4 * milliseconds

/** The maps of a run as numbers, by method and layer, and the classes that they are for. */
interface Evidence {
  readonly maps: readonly Float64Array[]
  readonly classes: readonly number[]
}

function evidenceOf({ maps, classes }: NativeExplained): Evidence {
  return { maps: maps.flat().map(({ map }) => normalised(Tensor.own(map))), classes }
}

/** The elements of maps, each image min-max normalised to [0, 1]; a constant one is 0, as `normalize` has it. */
function normalised(map: Tensor): Float64Array {
  using own = tidy(() => map.detach().to({ dtype: 'float64', device: 'cpu' }))
  const values = own.toTypedArray() as Float64Array
  const perImage = values.length / Math.max(1, map.shape[0] ?? 1)
  for (let begin = 0; begin < values.length; begin += perImage) {
    const image = values.subarray(begin, begin + perImage)
    const least = image.reduce((a, b) => Math.min(a, b), Infinity)
    const range = image.reduce((a, b) => Math.max(a, b), -Infinity) - least
    for (const [i, value] of image.entries()) image[i] = range === 0 ? 0 : (value - least) / range
  }
  return values
}

/** Whether a map varies: two maps without any evidence are equal in every type. */
export const hasEvidence = (explained: NativeExplained): boolean =>
  evidenceOf(explained).maps.some((map) => map.some((value) => value !== 0))

/** The largest difference of an element of two maps; Infinity where one of them is not a number. */
function differenceOf(a: Evidence, b: Evidence): number {
  let largest = 0
  for (const [m, map] of a.maps.entries())
    for (const [i, value] of map.entries()) {
      const difference = Math.abs(value - (b.maps[m]?.[i] ?? NaN))
      largest = Math.max(largest, Number.isNaN(difference) ? Infinity : difference)
    }
  return largest
}

/** A run of one type: how long it took, and its evidence. */
interface Tried {
  readonly milliseconds: number
  readonly evidence: Evidence
}

async function tryOnce(
  explain: ExplainIn,
  dispose: (run: Run<Value>) => void,
  dtype: PrecisionDType,
  signal: AbortSignal | undefined,
): Promise<Tried> {
  const began = performance.now()
  const run = await explain(dtype, signal)
  const milliseconds = performance.now() - began
  try {
    return { milliseconds, evidence: evidenceOf(run.explained) }
  } finally {
    dispose(run)
  }
}

/**
 * Explains the same inputs in each type, and measures time and maps; the split for float32 is there. The types take turns, so that
 * another program on the machine slows down all of them alike, and the shortest time of each counts.
 *
 * @throws what the run in float32 throws, and the reason of the signal; a type that fails is refused with its error
 */
export async function tryPrecisions(
  explain: ExplainIn,
  dispose: (run: Run<Value>) => void,
  signal: AbortSignal | undefined,
): Promise<readonly PrecisionTrial[]> {
  const once = async (dtype: PrecisionDType, stop = signal) => await tryOnce(explain, dispose, dtype, stop)
  const exact = await once('float32')
  const trials: PrecisionTrial[] = [{ dtype: 'float32', milliseconds: exact.milliseconds, error: 0 }]
  for (const dtype of reduced) trials.push(await tryReduced(dtype, exact, once, signal)) // one after another
  const running = trials.filter(({ refused }) => refused === undefined)
  const round = running.reduce((sum, { milliseconds }) => sum + (milliseconds ?? 0), 0)
  const best = new Map<PrecisionDType, number>()
  const turns = Math.max(1, Math.min(rounds, Math.floor(longestRounds / round)))
  for (let turn = 0; turn < turns && running.length > 1; turn++)
    for (const { dtype } of running) {
      const { milliseconds } = await once(dtype)
      best.set(dtype, Math.min(best.get(dtype) ?? Infinity, milliseconds))
    }
  return trials.map((trial) => ({ ...trial, milliseconds: best.get(trial.dtype) ?? trial.milliseconds }))
}

async function tryReduced(
  dtype: ReducedPrecision,
  { evidence: exact, milliseconds: usual }: Tried,
  once: (dtype: PrecisionDType, stop?: AbortSignal) => Promise<Tried>,
  signal: AbortSignal | undefined,
): Promise<PrecisionTrial> {
  const limit = longestTrial(usual)
  const timeout = AbortSignal.timeout(Math.ceil(limit))
  try {
    const { milliseconds, evidence } = await once(dtype, AbortSignal.any(signal ? [signal, timeout] : [timeout]))
    const error = differenceOf(exact, evidence)
    if (evidence.classes.join() === exact.classes.join()) return { dtype, milliseconds, error }
    return { dtype, milliseconds: null, error, refused: 'The top class is another one than in float32.' }
  } catch (error) {
    signal?.throwIfAborted()
    if (timeout.aborted)
      return {
        dtype,
        milliseconds: null,
        error: null,
        refused: `It took more than ${Math.ceil(limit)} ms.`,
        timedOut: true,
      }
    if (!(error instanceof GradCamError)) throw error
    return { dtype, milliseconds: null, error: null, refused: error.problem }
  }
}

/** The fastest of those whose maps are near enough to those of float32. */
export function choosePrecision(trials: readonly PrecisionTrial[], most: number, remembered: boolean): PrecisionChoice {
  const [exact, ...others] = trials as readonly [PrecisionTrial, ...PrecisionTrial[]]
  const chosen = others
    .filter(({ refused, error }) => refused === undefined && error !== null && error <= most)
    .filter(({ milliseconds }) => (milliseconds ?? Infinity) < leastGain * (exact.milliseconds ?? 0))
    .sort((a, b) => (a.milliseconds ?? 0) - (b.milliseconds ?? 0))[0]
  const why = chosen
    ? `The fastest of those whose maps differ from those of float32 by at most ${most}.`
    : `No other type is faster by a twentieth and gives maps that differ from those of float32 by at most ${most}.`
  return { dtype: chosen?.dtype ?? 'float32', why, trials, remembered }
}
