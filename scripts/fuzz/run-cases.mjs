// Runs cases in processes of their own, one after another, and starts a new process where one has ended.
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** What a case may take. */
const usual = { milliseconds: 10_000, bytes: 2 * 2 ** 30 }

/**
 * @typedef {object} Finding what must not happen
 * @property {string} id of the case
 * @property {string} what was done, in words
 * @property {string} found a signal, an exit code, 'hang', 'memory', or what the case said
 */

/**
 * @typedef {object} Ran
 * @property {Record<string, number>} outcomes how often each was seen
 * @property {Finding[]} findings
 * @property {number} cases
 * @property {number} peak bytes of resident memory, at most
 * @property {string} next the first case that was not reached, or ''
 */

const child = new URL('./child.mjs', import.meta.url)

function residentBytes(/** @type {number} */ pid) {
  try {
    return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0 // it has just ended, or this is not Linux
  }
}

/**
 * @param {string} kind the address of the module that runs the cases: see kinds
 * @param {readonly string[]} ids of the cases: 'corpus:NAME', or the number of a seed
 * @param {{ folder: string, until?: number, limits?: typeof usual }} options a folder that may be written to, when to stop
 *   (performance.now()), and what a case may take
 * @returns {Promise<Ran>}
 */
export async function runCases(kind, ids, { folder, until = Infinity, limits = usual }) {
  /** @type {Ran} */
  const ran = { outcomes: {}, findings: [], cases: 0, peak: 0, next: '' }
  let at = 0
  while (at < ids.length && performance.now() < until) {
    const before = at
    at = await runChild(kind, ids, at, { folder, until, limits, ran })
    if (at === before) throw new Error(`the process for ${kind} ends before its first case: see above`)
  }
  ran.next = ids[at] ?? ''
  return ran
}

/**
 * One process, up to the case that ends it. Resolves with the position of the next case.
 *
 * @param {string} kind
 * @param {readonly string[]} ids
 * @param {number} from
 * @param {{ folder: string, until: number, limits: typeof usual, ran: Ran }} options
 * @returns {Promise<number>}
 */
function runChild(kind, ids, from, { folder, until, limits, ran }) {
  return new Promise((resolve) => {
    const env = { ...process.env, OMP_NUM_THREADS: '1' }
    const process_ = fork(child, [kind, folder], { env, silent: true, cwd: folder })
    const pid = process_.pid ?? 0
    let at = from
    /** @type {string | null} */
    let begun = null
    let since = performance.now()
    let killed = ''
    let said = ''
    process_.stderr?.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-2000)))
    process_.stdout?.resume()
    const end = (/** @type {'memory' | 'hang'} */ why) => {
      killed = why
      process_.kill('SIGKILL')
    }
    const watch = setInterval(() => {
      const bytes = residentBytes(pid)
      ran.peak = Math.max(ran.peak, bytes)
      if (begun !== null && bytes > limits.bytes) end('memory')
      else if (begun !== null && performance.now() - since > limits.milliseconds) end('hang')
    }, 40)
    const finding = (/** @type {string} */ found) => ran.findings.push({ id: ids[at] ?? '', what: begun ?? '', found })
    const send = (/** @type {import('./types.d.mts').ToChild} */ message) => process_.send(message)
    const next = () => {
      begun = null
      const id = performance.now() > until ? undefined : ids[at]
      send(id === undefined ? { end: true } : { id })
    }
    process_.on('message', (/** @type {import('./types.d.mts').FromChild} */ message) => {
      if ('ready' in message) return next()
      if ('begun' in message) {
        begun = message.begun
        since = performance.now()
        return
      }
      ran.cases++
      ran.outcomes[message.outcome] = (ran.outcomes[message.outcome] ?? 0) + 1
      for (const problem of message.problems) finding(problem)
      at++
      next()
    })
    process_.on('exit', (code, signal) => {
      clearInterval(watch)
      if (begun !== null) {
        finding(killed || signal || `exit code ${code}`)
        ran.cases++
        at++
      } else if (code !== 0) process.stderr.write(`${said}\nended with ${signal ?? code}\n`)
      resolve(at)
    })
  })
}
