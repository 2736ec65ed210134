import { setTimeout as sleep } from 'node:timers/promises'
import { compareResults } from './agreement.mjs'
import { Worker } from './worker.mjs'

// Longer than OpenMP's idle threads spin by default, so that those of one contestant are asleep when the next begins.
const settleMs = 25

/**
 * All contestants at one model and workload, each a process of its own, at all batch sizes.
 *
 * @returns an entry for each batch size: for each contestant its times, memory and how far its result is from the first
 *   contestant's; and for each contestant its cold start, or why it takes no part
 */
export async function measure({ contestants, job, tools, batches, rounds, warmups, folder, say }) {
  /** @type {{ contestant: any, worker: Worker, coldStartMs: number }[]} */
  const taking = []
  const failures = {}
  try {
    for (const contestant of contestants) {
      if (contestant.methods && !contestant.methods.includes(job.method)) continue
      const begin = performance.now()
      const worker = new Worker(contestant.start(contestant, job, tools), job.threads)
      taking.push({ contestant, worker, coldStartMs: NaN })
      try {
        await worker.ask(`run ${batches[0]}`)
        taking[taking.length - 1].coldStartMs = performance.now() - begin
      } catch (error) {
        failures[contestant.name] = error instanceof Error ? error.message : String(error)
        taking.pop()
        await worker.end()
      }
    }
    const measured = []
    for (const batch of batches) {
      say(`batch ${batch}`)
      for (const { worker } of taking) for (let i = 0; i < warmups(batch); i++) await worker.ask(`run ${batch}`)
      const { times, idleShare } = await race(taking, batch, rounds(batch))
      const agreement = await compareResults(taking, batch, folder)
      const rows = []
      for (const [at, { contestant, worker, coldStartMs }] of taking.entries()) {
        const memory = await worker.ask('memory')
        rows.push({ name: contestant.name, times: times[at], coldStartMs, ...memory, ...agreement[at] })
      }
      measured.push({ batch, rows, idleShare })
    }
    return { measured, failures }
  } finally {
    await Promise.all(taking.map(({ worker }) => worker.end()))
  }
}

/** Runs them in turn, never two at once, and begins each round with another. */
async function race(taking, batch, rounds) {
  const times = taking.map(() => [])
  let idle = 0
  let total = 0
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < taking.length; turn++) {
      const at = (round + turn) % taking.length
      await sleep(settleMs)
      const others = taking.filter((_, other) => other !== at).map(({ worker }) => worker)
      const before = sum(others.map((worker) => worker.processorTime()))
      const { ms } = await taking[at].worker.ask(`run ${batch}`)
      idle += sum(others.map((worker) => worker.processorTime())) - before
      total += ms
      times[at].push(ms)
    }
  }
  // What those that waited took from the processor while another was measured; it has to be next to nothing.
  return { times, idleShare: Number.isNaN(idle) ? null : idle / total }
}

const sum = (values) => values.reduce((total, value) => total + value, 0)
