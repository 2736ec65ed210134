import { setTimeout as sleep } from 'node:timers/promises'
import { compareResults } from './agreement.mjs'
import { itemAt } from '../support/access.mjs'
import { Worker } from './worker.mjs'

/**
 * @typedef {import('./types.d.mts').Measurement} Measurement
 * @typedef {import('./types.d.mts').Taking} Taking
 */

/**
 * All contestants at one model and workload, each a process of its own, at all batch sizes.
 *
 * @param {object} asked
 * @param {readonly import('./types.d.mts').Contestant[]} asked.contestants
 * @param {import('./types.d.mts').Job} asked.job
 * @param {import('./types.d.mts').Tools} asked.tools
 * @param {readonly number[]} asked.batches
 * @param {(batch: number) => number} asked.rounds
 * @param {(batch: number) => number} asked.warmups
 * @param {number} asked.gapMs idle time before each turn. 25 is longer than OpenMP's idle threads spin by default, so that those
 *   of one contestant are asleep when the next begins
 * @param {number} asked.streak calls in a row in each turn; where there are several, the first is not timed
 * @param {string} asked.folder for results
 * @param {import('./types.d.mts').Say} asked.say
 * @returns {Promise<{ measured: Measurement[], failures: Record<string, string> }>} an entry for each batch size, and why
 *   contestants take no part
 */
export async function measure({ contestants, job, tools, batches, rounds, warmups, gapMs, streak, folder, say }) {
  /** @type {Taking[]} */
  const taking = []
  /** @type {Record<string, string>} */
  const failures = {}
  try {
    for (const contestant of contestants) {
      if (contestant.methods && !contestant.methods.includes(job.method)) continue
      const begin = performance.now()
      const worker = new Worker(contestant.start(contestant, job, tools), job.threads)
      try {
        await worker.run(itemAt(batches, 0))
        taking.push({ contestant, worker, coldStartMs: performance.now() - begin })
      } catch (error) {
        failures[contestant.name] = error instanceof Error ? error.message : String(error)
        await worker.end()
      }
    }
    /** @type {Measurement[]} */
    const measured = []
    for (const batch of batches) {
      say(`batch ${batch}`)
      for (const { worker } of taking) for (let i = 0; i < warmups(batch); i++) await worker.run(batch)
      const { times, idleShare } = await race(taking, batch, { rounds: rounds(batch), gapMs, streak })
      const agreement = await compareResults(taking, batch, folder)
      const rows = []
      for (const [at, { contestant, worker, coldStartMs }] of taking.entries()) {
        const memory = await worker.memory()
        const [ownTimes, agreed] = [itemAt(times, at), itemAt(agreement, at)]
        rows.push({ name: contestant.name, times: ownTimes, coldStartMs, ...memory, ...agreed })
      }
      measured.push({ batch, rows, idleShare })
    }
    return { measured, failures }
  } finally {
    await Promise.all(taking.map(({ worker }) => worker.end()))
  }
}

/**
 * Runs them in turn, never two at once, and begins each round with another.
 *
 * @param {Taking[]} taking
 * @param {number} batch
 * @param {{ rounds: number, gapMs: number, streak: number }} plan
 */
async function race(taking, batch, { rounds, gapMs, streak }) {
  const times = taking.map(() => /** @type {number[]} */ ([]))
  let idle = 0
  let total = 0
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < taking.length; turn++) {
      const at = (round + turn) % taking.length
      await sleep(gapMs)
      const others = taking.filter((_, other) => other !== at).map(({ worker }) => worker)
      const before = sum(others.map((worker) => worker.processorTime()))
      for (let call = 0; call < streak; call++) {
        const { ms } = await itemAt(taking, at).worker.run(batch)
        total += ms
        if (call > 0 || streak === 1) itemAt(times, at).push(ms)
      }
      idle += sum(others.map((worker) => worker.processorTime())) - before
    }
  }
  // What those that waited took from the processor while another was measured; it has to be next to nothing.
  return { times, idleShare: Number.isNaN(idle) ? null : idle / total }
}

const sum = (/** @type {number[]} */ values) => values.reduce((total, value) => total + value, 0)
