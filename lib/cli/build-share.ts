import { basename } from 'node:path'

/** Ninja's and make's counts, and node-gyp's lines. Ninja prints one when a step has ended, the others when it begins. */
const stepPattern = /^(?:\[\s*(\d+)(\/(\d+)|%)\] Building \w+ object (\S+)|\s*CXX\(target\) (\S+))/

/**
 * A batch of sources takes so many times as long as LibTorch's headers alone, which are compiled first: measured with GCC 12, on two
 * processors. It serves for a first estimate alone.
 */
const batchPerHeaders = 1.3

/** How far a build is, and the time that is left, from what the builder prints. Times are in seconds. */
export class BuildShare {
  readonly #now: () => number
  readonly #began: number
  #total = 0
  #jobs = 1
  /** Batches that have begun, where the builder does not say how many have ended. */
  #begun = 0
  /** Steps that have ended, and when the last of them did. */
  #done = 0
  #since: number
  /** When batches began to be compiled side by side, and how many steps had ended then. */
  #first: { readonly at: number; readonly done: number } | undefined
  /** Seconds that the headers took; null where they are not a step of their own. */
  #headers: number | null = null

  /** @param now gives seconds */
  constructor(now: () => number) {
    this.#now = now
    this.#began = this.#since = now()
  }

  /** How many batches there are, where the builder does not say it, and how many are compiled at once. */
  plan(batches: number, jobs: number): void {
    this.#total = batches
    this.#jobs = jobs
  }

  /** Reads a line of the builder's. Returns the name of the file that was compiled, or is being compiled; null for another line. */
  read(line: string): string | null {
    const [, count, , total, cmakeFile, gypFile] = stepPattern.exec(line) ?? []
    const file = cmakeFile ?? gypFile
    if (file === undefined) return null
    const isHeaders = file.includes('cmake_pch')
    this.#since = this.#now()
    if (total !== undefined) this.#ended(Number(count), Number(total), isHeaders)
    else this.#begins(isHeaders)
    return isHeaders ? "LibTorch's headers" : basename(file).replace(/(\.c\w+)?\.o$/, '.cc')
  }

  /** Ninja says what has ended. */
  #ended(count: number, total: number, isHeaders: boolean): void {
    this.#total = total
    this.#done = count
    if (isHeaders) this.#headers = this.#since - this.#began
    // Batches are compiled since the headers were, or the build began.
    if (isHeaders) this.#first = { at: this.#since, done: count }
    this.#first ??= { at: this.#began, done: 0 }
  }

  /** make and node-gyp say what begins. All batches require the headers; of the batches as many are under way as may be at once. */
  #begins(isHeaders: boolean): void {
    if (isHeaders) {
      this.#total++
      this.#headers = 0
      return
    }
    const before = this.#headers === null ? 0 : 1
    if (this.#begun++ === 0) {
      if (before > 0) this.#headers = this.#since - this.#began
      this.#first = { at: this.#since, done: before }
    }
    this.#done = before + Math.max(0, this.#begun - this.#jobs)
  }

  /** Steps that have ended, and all of them; null before the first. */
  get steps(): { readonly done: number; readonly total: number } | null {
    if (!this.#first && this.#headers === null) return null
    return { done: Math.min(this.#done, this.#total), total: Math.max(1, this.#total) }
  }

  /** Seconds until the end, about; null while nothing is known of it. */
  get left(): number | null {
    if (!this.#first) return null
    const ended = this.#done - this.#first.done
    const remaining = this.#total - this.#done
    // Those that are under way are half done, on average.
    const each = ended > 0 ? (this.#since - this.#first.at) / (ended + (this.#jobs - 1) / 2) : this.#guess
    return each === null ? null : Math.max(1, each * remaining - (this.#now() - this.#since))
  }

  /** Seconds for each step, before the first batch has ended. */
  get #guess(): number | null {
    return this.#headers === null ? null : (this.#headers * batchPerHeaders) / this.#jobs
  }
}
