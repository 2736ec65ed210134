import test from 'ava'
import { spawn } from 'node:child_process'
import { mkdirSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ScriptModule } from '../../lib/index.js'
import { sampleModel, writeJpegs } from '../support/batch.js'
import type { Outcome } from '../support/faults/child.js'
import { FaultControl, faultEnvironment, faultLibrary, type Fault } from '../support/faults/faults.js'
import { differences, halfWritten, resultsOf, runSmallJob } from '../support/faults/small-job.js'
import { needing } from '../support/needs.js'
import { temporaryFolder } from '../support/package-copy.js'

const library = await faultLibrary()
const withFaults = needing('faults', library, test.serial)
const program = fileURLToPath(new URL('../support/faults/child.js', import.meta.url))
/** `scripts/build/nightly.sh` sets it to 1, so that every call fails once. */
const step = Number(process.env['GRADCAM_TEST_FAULTS_EVERY'] ?? 9)
const longestMs = 60_000 + 600_000 / step

async function workplace(): Promise<{ folder: string; out: string; control: FaultControl }> {
  const folder = realpathSync(temporaryFolder(null))
  await writeJpegs(join(folder, 'in'), ['a.jpg', 'sub/b.jpg'])
  return { folder, out: join(folder, 'out'), control: FaultControl.open(join(folder, 'control')) }
}

/** The process with failing calls, to its end. */
async function run(folder: string, control: FaultControl, fault: Fault, first: number) {
  const args = [program, folder, control.path, fault, String(first), String(step)]
  const env = faultEnvironment(library as string, control, join(folder, 'out'))
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('close', (...ended) => resolve(ended)),
  )
  return {
    code,
    signal,
    stderr,
    lines: stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as unknown),
  }
}

const callsOf: number[] = []

for (const [fault, first] of [
  ['ENOSPC', 3],
  ['EIO', 7],
] as const)
  withFaults(`${fault} at any call: a typed error, nothing half-written, and the job goes on later`, async (t) => {
    t.timeout(longestMs)
    const { folder, control } = await workplace()
    const { code, signal, stderr, lines } = await run(folder, control, fault, Math.min(first, step))
    t.is(signal, null)
    t.is(code, 0, stderr)
    const { calls } = lines.pop() as { calls: number }
    callsOf.push(calls)
    t.true(calls > 40, `${calls} calls`)
    const outcomes = lines as Outcome[]
    t.is(outcomes.length, Math.floor((calls - Math.min(first, step)) / step) + 1)
    const codes = new Set<string | null>()
    for (const { at, what, error, halfWritten: half, differences: after, leaked } of outcomes) {
      const where = `${what}, call ${at} of ${calls}`
      codes.add(error)
      t.true(error === null || /^ERR_[A-Z_]+$/.test(error), `${where}: ${error}`)
      t.deepEqual(half, [], where)
      t.deepEqual(after, [], where)
      t.is(leaked, 0, `${where}: file descriptors or tensors`)
    }
    t.log(`${outcomes.length} of ${calls} calls failed: ${[...codes].join(', ')}`)
    t.true(codes.has('ERR_IMAGE_WRITE'))
  })

withFaults('killed at any call, nothing is half-written, and the job goes on later', async (t) => {
  t.timeout(longestMs)
  using model = await ScriptModule.load(sampleModel)
  const { folder, out, control } = await workplace()
  await runSmallJob(model, folder, false)
  const whole = resultsOf(out)
  const calls = callsOf[0] ?? 40
  const places = step === 1 ? Array.from({ length: calls }, (_, i) => i + 1) : [5, 14, 20, 27, 33, calls - 4]
  let killed = 0
  for (const at of places) {
    rmSync(out, { recursive: true })
    const { signal, stderr } = await run(folder, control, 'kill', at)
    const { what, count } = control.read()
    const where = `${what}, call ${at} of ${calls}`
    mkdirSync(out, { recursive: true })
    // The manifest is flushed by time: a run may make one call less than another.
    if (count < at) t.true(at > calls - 3, where)
    else t.is(signal, 'SIGKILL', `${where}: ${stderr}`)
    if (signal === 'SIGKILL') killed++
    t.deepEqual(halfWritten(out, whole), [], where)
    await runSmallJob(model, folder, true)
    t.deepEqual(differences(out, whole), [], where)
  }
  t.log(`killed at ${killed} of ${calls} calls`)
  control.close()
})
