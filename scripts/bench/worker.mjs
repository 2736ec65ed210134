import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/**
 * A contestant: a process that answers requests, one line each, with one line of JSON.
 *
 *   run BATCH           explains the first BATCH images                                   {"ms"}
 *   result BATCH FILE   the same, and writes the result as float32 to FILE      {"shape", "scores"}
 *   memory              the largest memory that the process had up to now    {"peakRss", "peakDevice"}, bytes
 *
 * overhead.mjs and overhead.cc answer `run TIMES` alone, with {"us"} for one explanation.
 *
 * It measures its own work, and between requests it waits for the next line, so that it takes no time from the others.
 */
export class Worker {
  #child
  #lines
  #errors = ''

  constructor(/** @type {import('./types.d.mts').Command} */ { command, args, env }, /** @type {number} */ threads) {
    // The same threads from the start for all: some libraries ask once, when they are loaded.
    const threading = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) }
    this.#child = spawn(command, args, { env: { ...env, ...threading }, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.stdin.on('error', () => {}) // it has ended: the question that goes unanswered tells of it
    this.#child.on('error', (error) => (this.#errors += String(error)))
    this.#child.stderr.setEncoding('utf8').on('data', (text) => (this.#errors = (this.#errors + text).slice(-4000)))
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async #ask(/** @type {string} */ request) {
    this.#child.stdin.write(`${request}\n`)
    const { value, done } = await this.#lines.next()
    if (!done) return JSON.parse(value)
    const last = this.#errors.trim().split('\n').slice(-6).join('\n')
    throw new Error(
      `'${request}' was not answered (${this.#child.signalCode ?? this.#child.exitCode ?? 'ended'}): ${last}`,
    )
  }

  /** @returns {Promise<{ ms: number }>} */
  run(/** @type {number} */ batch) {
    return this.#ask(`run ${batch}`)
  }

  /** @returns {Promise<{ us: number }>} */
  overhead(/** @type {number} */ times) {
    return this.#ask(`run ${times}`)
  }

  /** @returns {Promise<{ shape: number[] | null, scores: number[] | null }>} */
  result(/** @type {number} */ batch, /** @type {string} */ file) {
    return this.#ask(`result ${batch} ${file}`)
  }

  /** @returns {Promise<import('./types.d.mts').Memory>} */
  memory() {
    return this.#ask('memory')
  }

  /** Processor time that the process has used, in ms; NaN where the platform does not tell. */
  processorTime() {
    try {
      const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return (Number(fields[11]) + Number(fields[12])) * 10 // utime and stime, in ticks of 1/100 s
    } catch {
      return NaN
    }
  }

  async end() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return
    const ended = new Promise((resolve) => this.#child.once('close', resolve))
    this.#child.stdin.end()
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 5000)
    await ended
    clearTimeout(late)
  }
}
