import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { packageRoot } from '../../lib/base/paths.js'

export interface StormOptions {
  /** An empty folder. */
  readonly folder: string
  readonly rounds: number
  readonly processes: number
  /** How many callers in each process enter in each round. */
  readonly callers: number
  /** The share of rounds in which a process is killed by SIGKILL. */
  readonly kills: number
  /** Whether each process counts as one on a host of its own, whose kernel knows nothing of the others' locks. */
  readonly hosts?: boolean
  /** The lock module, for another build's. */
  readonly module?: string
  readonly onRound?: (round: number) => void
}

export interface StormResult {
  readonly rounds: number
  readonly kills: number
  /** How many of the killed processes held the lock. */
  readonly killedInside: number
  readonly entries: number
  /** Entries while another caller was inside. */
  readonly doubles: number
}

export interface Round {
  /** When all begin, by Date.now. */
  readonly at: number
}

interface Span {
  readonly from: bigint
  readonly to: bigint
}

/** What a lock file may hold when a round begins: text of dead holders, nothing, half a text, bytes; or no file. */
const leftovers: readonly (string | null)[] = [
  JSON.stringify({ pid: 4_000_000, host: hostname(), started: '1' }),
  JSON.stringify({ pid: 4_000_000, host: hostname(), kernel: null, token: 'dead' }),
  '',
  '{"pid": 12',
  '\0\0\0\0',
  null,
]

const roundLimit = 60_000

/**
 * Processes that all want one lock at the same moment, round after round, and some that are killed meanwhile. Who was
 * inside when is known by one clock, apart from the lock.
 */
export async function lockStorm(options: StormOptions): Promise<StormResult> {
  const { folder, rounds, processes, kills: share, onRound = () => {} } = options
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'lock')
  const killed = new Map<number, bigint>()
  let children = await Promise.all(Array.from({ length: processes }, () => start(options)))
  try {
    for (let round = 0; round < rounds; round++) {
      // Between rounds nobody is inside: what is put there is what a holder left that died.
      const left = leftovers[round % leftovers.length] ?? null
      if (left === null) rmSync(file, { force: true })
      else writeFileSync(file, left)
      const at = Date.now() + 2
      const ends = children.map((child) => done(child, file))
      for (const child of children) child.send({ at } satisfies Round)
      const victim = Math.random() < share ? children[Math.floor(Math.random() * processes)] : undefined
      if (victim) await kill(victim, options.hosts === true ? 1500 : 12, killed)
      await Promise.all(ends)
      if (victim) children = [...children.filter((child) => child !== victim), await start(options)]
      onRound(round + 1)
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
  return { rounds, ...count(folder, killed) }
}

function start({ folder, callers, module, hosts }: StormOptions): Promise<ChildProcess> {
  const lock = module ?? join(packageRoot, 'dist', 'lib', 'base', 'lock.js')
  const host = hosts === true ? `host-${Math.random()}` : ''
  const child = fork(new URL('lock-storm-child.js', import.meta.url), [lock, folder, String(callers), host])
  return new Promise((resolve, reject) => {
    child.once('message', () => resolve(child)).once('error', reject)
    child.once('exit', (code) => reject(new Error(`A process of the storm ended with ${code}`)))
  })
}

/** Resolves when a process has been inside, or was killed. */
function done(child: ChildProcess, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = (): void =>
      reject(new Error(`Nobody got in for ${roundLimit / 1000} seconds: ${readFileSync(file, 'utf8')}`))
    const timer = setTimeout(late, roundLimit)
    const onMessage = (): void => end(null)
    const onExit = (code: number | null): void => end(code)
    const end = (code: number | null): void => {
      clearTimeout(timer)
      child.off('message', onMessage).off('exit', onExit)
      if (code === null) resolve()
      else reject(new Error(`A process of the storm ended with ${code}`))
    }
    child.on('message', onMessage).on('exit', onExit)
  })
}

async function kill(child: ChildProcess, within: number, killed: Map<number, bigint>): Promise<void> {
  await sleep(Math.random() * within)
  killed.set(child.pid as number, process.hrtime.bigint())
  child.kill('SIGKILL')
}

function count(folder: string, killed: ReadonlyMap<number, bigint>): Omit<StormResult, 'rounds'> {
  const spans: Span[] = []
  let killedInside = 0
  for (const name of readdirSync(folder).filter((entry) => entry.endsWith('.log'))) {
    const entered = new Map<string, bigint>()
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean)) {
      const [what, caller = '', time = ''] = line.split(' ')
      if (what === 'enter') entered.set(caller, BigInt(time))
      else {
        spans.push({ from: entered.get(caller) as bigint, to: BigInt(time) })
        entered.delete(caller)
      }
    }
    const at = killed.get(Number.parseInt(name, 10)) ?? 0n
    for (const from of entered.values()) spans.push({ from, to: at > from ? at : from })
    killedInside += entered.size
  }
  return { kills: killed.size, killedInside, entries: spans.length, doubles: countOverlaps(spans) }
}

function countOverlaps(spans: Span[]): number {
  spans.sort((a, b) => (a.from < b.from ? -1 : 1))
  let [doubles, until] = [0, 0n]
  for (const { from, to } of spans) {
    if (from < until) doubles++
    if (to > until) until = to
  }
  return doubles
}
