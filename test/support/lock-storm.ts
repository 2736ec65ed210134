import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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

/** A process of the storm. Its log has a name of its own: in a long storm the system gives process numbers out again. */
interface Member {
  readonly child: ChildProcess
  readonly log: string
  /** When it was killed, by process.hrtime. */
  killed: bigint | null
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
 * Processes that all take one lock at the same moment, round after round, and some that are killed meanwhile. Who was
 * inside when is known by one clock, apart from the lock.
 */
export async function lockStorm(options: StormOptions): Promise<StormResult> {
  const { folder, rounds, processes, kills: share, onRound = () => {} } = options
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'lock')
  const all: Member[] = []
  const add = (): Promise<Member> => {
    const member = start(options, file, join(folder, `${all.length}.log`))
    all.push(member)
    return ready(member)
  }
  let members = await Promise.all(Array.from({ length: processes }, add))
  try {
    for (let round = 0; round < rounds; round++) {
      // Between rounds nobody is inside: what is put there is what a holder left that died.
      const left = leftovers[round % leftovers.length] ?? null
      if (left === null) rmSync(file, { force: true })
      else writeFileSync(file, left)
      const at = Date.now() + 2
      const ends = members.map(({ child }) => done(child, file))
      for (const { child } of members) child.send({ at } satisfies Round)
      const victim = Math.random() < share ? members[Math.floor(Math.random() * processes)] : undefined
      if (victim) await kill(victim, options.hosts === true ? 1500 : 12)
      await Promise.all(ends)
      if (victim) members = [...members.filter((member) => member !== victim), await add()]
      onRound(round + 1)
    }
  } finally {
    for (const { child } of members) child.kill('SIGKILL')
  }
  return { rounds, ...count(all) }
}

function start({ callers, module, hosts }: StormOptions, file: string, log: string): Member {
  const lock = module ?? join(packageRoot, 'dist', 'lib', 'base', 'lock.js')
  const host = hosts === true ? `host of ${log}` : ''
  const child = fork(new URL('lock-storm-child.js', import.meta.url), [lock, log, file, String(callers), host])
  return { child, log, killed: null }
}

function ready(member: Member): Promise<Member> {
  return new Promise((resolve, reject) => {
    member.child.once('message', () => resolve(member)).once('error', reject)
    member.child.once('exit', (code) => reject(new Error(`A process of the storm ended with ${code}`)))
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

async function kill(member: Member, within: number): Promise<void> {
  await sleep(Math.random() * within)
  member.killed = process.hrtime.bigint()
  member.child.kill('SIGKILL')
}

function count(members: readonly Member[]): Omit<StormResult, 'rounds'> {
  const spans: Span[] = []
  let killedInside = 0
  for (const { log, killed } of members) {
    const entered = new Map<string, bigint>()
    for (const line of readFileSync(log, 'utf8').split('\n').filter(Boolean)) {
      const [what, caller = '', time = ''] = line.split(' ')
      if (what === 'enter') entered.set(caller, BigInt(time))
      else {
        spans.push({ from: entered.get(caller) as bigint, to: BigInt(time) })
        entered.delete(caller)
      }
    }
    for (const from of entered.values()) {
      if (killed === null) throw new Error(`${log} ends inside, but its process was not killed`)
      spans.push({ from, to: killed > from ? killed : from })
    }
    killedInside += entered.size
  }
  const kills = members.filter(({ killed }) => killed !== null).length
  return { kills, killedInside, entries: spans.length, doubles: countOverlaps(spans) }
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
