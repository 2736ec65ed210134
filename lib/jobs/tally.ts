import type { MapCondition } from '../explain/condition.js'
import type { PrecisionDType } from '../explain/precision-choice.js'
import type { ModelNote } from '../model/model-notes.js'
import type { JobLine } from './job-line.js'

/** How many inputs a job is done with, those of earlier runs included. */
export interface JobCounts {
  readonly explained: number
  readonly failed: number
  /** How many files this run wrote. */
  readonly files: number
}

/** What a job came to. */
export interface JobSummary extends JobCounts {
  /** All inputs that are done: explained and failed. */
  readonly inputs: number
  /** How many of them were done before this run. */
  readonly before: number
  /** How long this run took. */
  readonly seconds: number
  /** How often each code of an error occurred in this run; 'other' for errors without a code. */
  readonly errors: Readonly<Record<string, number>>
  /** How many maps of this run say nothing, by their condition: none for most jobs. */
  readonly conditions: Readonly<Partial<Record<MapCondition['state'], number>>>
  /** How many were computed in which type, where precision 'auto' chose it in this run; left out where it did not. */
  readonly precisions?: Readonly<Partial<Record<PrecisionDType, number>>>
  /** What makes results of the model depend on more than the image: nothing for most models. */
  readonly notes: readonly ModelNote[]
  /** What LibTorch and the model warned of in this run: each text once, and at most 20. */
  readonly warnings: readonly string[]
  /** Whether the signal ended the job before all inputs were done. */
  readonly interrupted: boolean
}

/** A model may warn of something else for each image. */
const mostWarnings = 20

/** Sums up the lines of a job. */
export class JobTally {
  readonly #counts = { explained: 0, failed: 0, files: 0 }
  readonly #errors: Record<string, number> = {}
  readonly #conditions: Partial<Record<MapCondition['state'], number>> = {}
  readonly #precisions: Partial<Record<PrecisionDType, number>> = {}
  #notes: readonly ModelNote[] = []
  readonly #warnings = new Set<string>()
  #before = 0

  get counts(): JobCounts {
    return this.#counts
  }

  /** Counts an input that was done before this run. */
  before(explained: boolean): void {
    this.#before++
    this.#counts[explained ? 'explained' : 'failed']++
  }

  add(line: JobLine): void {
    for (const warning of line.warnings ?? []) if (this.#warnings.size < mostWarnings) this.#warnings.add(warning)
    if ('error' in line) {
      const code = line.error.code ?? 'other'
      this.#counts.failed++
      this.#errors[code] = (this.#errors[code] ?? 0) + 1
      return
    }
    this.#counts.explained++
    this.#counts.files += Object.keys(line.files).length
    const { state = 'ok' } = line.condition ?? {}
    if (state !== 'ok') this.#conditions[state] = (this.#conditions[state] ?? 0) + 1
    if (line.precision) this.#precisions[line.precision] = (this.#precisions[line.precision] ?? 0) + 1
    this.#notes = line.notes ?? this.#notes
  }

  summary(seconds: number, interrupted: boolean): JobSummary {
    const { explained, failed, files } = this.#counts
    return {
      explained,
      failed,
      inputs: explained + failed,
      before: this.#before,
      files,
      seconds,
      errors: this.#errors,
      conditions: this.#conditions,
      ...(Object.keys(this.#precisions).length > 0 && { precisions: this.#precisions }),
      notes: this.#notes,
      warnings: [...this.#warnings],
      interrupted,
    }
  }
}
