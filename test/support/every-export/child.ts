// Calls exports of the package with values of every kind, in a process of its own: see every-export.test.ts.
// usage: child.js MODEL SHARD SHARDS, in a folder that may be written to. Each call is noted before it is made in `note`.
import { openSync, writeSync } from 'node:fs'
import {
  manualSeed,
  setTensorMemoryLimit,
  setNumThreads,
  GradCamError,
  ScriptModule,
  Tensor,
  errorCodes,
} from '../../../lib/index.js'
import { finish } from './finish.js'
import { subjectsOf, type Subject } from './subjects.js'
import { badModels, kinds, Trap } from './values.js'

manualSeed(0)

/** What one process found. */
export interface Walked {
  readonly subjects: readonly string[]
  readonly calls: number
  readonly refused: number
  /** Errors that are not this package's, and rejections that nobody could handle, each with the call. */
  readonly untyped: readonly string[]
  readonly unhandled: readonly string[]
  /** Calls that did not end within ten seconds. */
  readonly slow: readonly string[]
  /** Whether an explanation still works afterwards. */
  readonly sane: boolean
}

const longestMs = 10_000
const [file = '', shard = '0', shards = '1'] = process.argv.slice(2)
const notes = openSync(`note-${shard}`, 'w')
const untyped = new Set<string>()
const unhandled = new Set<string>()
const slow = new Set<string>()
let current = ''
let calls = 0
let refused = 0

process.on('unhandledRejection', (error) => unhandled.add(`after ${current}: ${String(error)}`))

/** A refusal counts where it is an error of this package, or the very error that the argument threw. */
function judge(error: unknown): void {
  refused++
  if (error instanceof GradCamError ? Object.hasOwn(errorCodes, error.code) : error instanceof Trap) return
  untyped.add(`${current}: ${error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 200) : String(error)}`)
}

async function tryCall(subject: Subject, args: readonly unknown[], what: string): Promise<void> {
  calls++
  current = `${subject.name}(${what})`
  writeSync(notes, current.slice(0, 200).padEnd(201) + '\n', 0)
  const began = performance.now()
  try {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, longestMs)))
    const all = async () => finish(await subject.call(args))
    const ended = subject.once ? all() : Promise.race([all(), late])
    await ended.finally(() => clearTimeout(timer))
  } catch (error) {
    judge(error)
  }
  if (performance.now() - began >= longestMs && !subject.once) slow.add(current)
  if (subject.name.startsWith('set')) {
    setTensorMemoryLimit(2 ** 30)
    setNumThreads(1)
  }
  if (calls % 32 === 0) await new Promise((resolve) => setImmediate(resolve))
}

/** Calls with each kind of value at each position, and as each option. */
async function walk(subject: Subject, values: Readonly<Record<string, () => unknown>>): Promise<void> {
  const { valid } = subject
  await tryCall(subject, valid, 'valid')
  if (subject.once) return
  await tryCall(subject, [], '')
  for (const [kind, make] of Object.entries(values)) {
    for (let at = 0; at < Math.max(valid.length, 2); at++) {
      const args = [...valid]
      args[at] = make()
      await tryCall(subject, args, `${kind} at ${at}`)
    }
    const options: unknown = valid.at(-1)
    if (typeof options !== 'object' || options === null || Object.getPrototypeOf(options) !== Object.prototype) continue
    for (const key of Object.keys(options))
      await tryCall(subject, [...valid.slice(0, -1), { ...options, [key]: make() }], `${key}: ${kind}`)
  }
}

setTensorMemoryLimit(2 ** 30)
setNumThreads(1)
const model = await ScriptModule.load(file)
const gone = await ScriptModule.load(file)
gone.dispose()
const input = Tensor.rand([2, 3, 16, 20])
const map = Tensor.rand([2, 1, 4, 4])
const subjects = (await subjectsOf(model, input, map)).filter((_, i) => i % Number(shards) === Number(shard))
for (const subject of subjects) await walk(subject, { ...kinds, ...badModels(model, gone) })

// Rejections are reported when the event loop turns.
await new Promise((resolve) => setTimeout(resolve, 200))
const again = await ScriptModule.load(file)
const output = await again.forward(input).catch(() => null)
const sane = output instanceof Tensor && output.shape.join() === '2,5'
const walked: Walked = {
  subjects: subjects.map(({ name }) => name),
  calls,
  refused,
  untyped: [...untyped],
  unhandled: [...unhandled],
  slow: [...slow],
  sane,
}
process.stdout.write(`${JSON.stringify(walked)}\n`)
