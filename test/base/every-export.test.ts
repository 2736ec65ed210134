import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import * as lib from '../../lib/index.js'
import { smallNets } from '../support/models.js'
import type { Walked } from '../support/every-export/child.js'

const nets = await smallNets()
const program = fileURLToPath(new URL('../support/every-export/child.js', import.meta.url))
const shards = 2
/** About five times of what it takes on a quiet machine. */
const longestMs = 240_000

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly walked: Walked | null
  /** The call that the process ended in, and what it printed. */
  readonly last: string
  readonly stderr: string
}

/** Walks a part of the exports in a process of its own: what crashes or hangs is then known by name. */
function walk(shard: number, folder: string): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, OMP_NUM_THREADS: '1' }
    const args = [program, join(folder, 'plain.pt'), String(shard), String(shards)]
    const child = spawn(process.execPath, args, { cwd: folder, env, timeout: longestMs, killSignal: 'SIGKILL' })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('close', (code, signal) => {
      const note = join(folder, `note-${shard}`)
      const last = existsSync(note) ? readFileSync(note, 'utf8').trim() : ''
      const line = stdout.split('\n').find((text) => text.startsWith('{"subjects":'))
      resolve({ code, signal, walked: line ? (JSON.parse(line) as Walked) : null, last, stderr: stderr.slice(-2000) })
    })
  })
}

test('every export refuses every wrong kind of argument by an error of this package, and nothing else happens', async (t) => {
  t.timeout(longestMs + 30_000)
  const folder = mkdtempSync(join(tmpdir(), 'gradcam-exports-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  copyFileSync(nets.file('plain'), join(folder, 'plain.pt'))
  const ended = await Promise.all(Array.from({ length: shards }, (_, shard) => walk(shard, folder)))
  for (const { code, signal, walked, last, stderr } of ended) {
    t.is(signal, null, `ended in ${last}`)
    t.is(code, 0, `ended in ${last}: ${stderr}`)
    t.deepEqual(walked?.untyped, [], 'errors that are not GradCamErrors')
    t.deepEqual(walked?.unhandled, [], 'rejections that nobody can handle')
    t.deepEqual(walked?.slow, [], 'calls that do not end')
    t.true(walked?.sane, 'the model still runs')
  }
  const walked = ended.flatMap((one) => one.walked ?? [])
  const calls = walked.reduce((sum, one) => sum + one.calls, 0)
  const refused = walked.reduce((sum, one) => sum + one.refused, 0)
  t.log(`${calls} calls, ${refused} refused`)
  t.true(refused > 10_000 && calls - refused > 1000, 'both refusals and results were seen')

  // Nothing is left out: whatever can be called from outside was.
  const subjects = new Set(walked.flatMap((one) => one.subjects))
  const madeByThePackage =
    /Explanation$|^BatchFailure$|^(Tensor|ScriptModule|FileSource|GradCamError|JobHandle|Metric)$/
  for (const [name, value] of Object.entries(lib))
    if (typeof value === 'function' && !madeByThePackage.test(name))
      t.true(subjects.has(name) || subjects.has(`new ${name}`), `${name} has no valid arguments in subjects.ts`)
  for (const name of [
    'Tensor.from',
    'Tensor#add',
    'Tensor#to',
    'Cam#explain',
    'Road#add',
    'ScriptModule.load',
    'BatchExplanation#encode',
  ])
    t.true(subjects.has(name), name)
})
