// A process whose calls of the system fail: see faults.c and ../../jobs/faults.test.ts.
// usage: child.js FOLDER CONTROL FAULT FIRST STEP, with the library in LD_PRELOAD and images in FOLDER/in.
// Runs the small job with the calls FIRST, FIRST + STEP, ... failing, one at a time, and prints a line of JSON about each;
// with `kill` only the call FIRST, and no line.
import { mkdirSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { GradCamError, liveTensors, ScriptModule } from '../../../lib/index.js'
import { sampleModel } from '../batch.js'
import { FaultControl, type Fault } from './faults.js'
import { differences, halfWritten, resultsOf, runSmallJob } from './small-job.js'

/** What became of the job with one call failing. */
export interface Outcome {
  readonly at: number
  /** The call that failed. */
  readonly what: string
  /** The code of the error that the job ended with; null where it went on; the error itself where it has no code. */
  readonly error: string | null
  readonly halfWritten: readonly string[]
  /** Of the job that was resumed, or the error that it ended with. */
  readonly differences: readonly string[]
  /** Files of the job that are open, and tensors that are left. */
  readonly leaked: number
}

const [folder = '', controlPath = '', fault = 'EIO', first = '1', step = '1'] = process.argv.slice(2)
const control = FaultControl.open(controlPath)
const out = join(folder, 'out')
const model = await ScriptModule.load(sampleModel)

/** Files of the job that are open, and tensors. */
function held(): number {
  const open = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(out)
    } catch {
      return false // that of the folder that is being read
    }
  })
  return open.length + liveTensors()
}

function describe(error: unknown): string {
  return error instanceof GradCamError ? error.code : `untyped: ${error instanceof Error ? error.stack : String(error)}`
}

if (fault === 'kill') {
  control.arm('kill', Number(first))
  await runSmallJob(model, folder, true)
} else {
  control.disarm()
  await runSmallJob(model, folder, false)
  const calls = control.read().count
  const whole = resultsOf(out)
  for (let at = Number(first); at <= calls; at += Number(step)) {
    rmSync(out, { recursive: true })
    control.arm(fault as Fault, at)
    const error = await runSmallJob(model, folder, false).then(() => null, describe)
    const { what } = control.read()
    control.disarm()
    mkdirSync(out, { recursive: true })
    const half = halfWritten(out, whole)
    const after = await runSmallJob(model, folder, true).then(
      () => differences(out, whole),
      (failure: unknown) => [describe(failure)],
    )
    const outcome: Outcome = { at, what, error, halfWritten: half, differences: after, leaked: held() }
    process.stdout.write(`${JSON.stringify(outcome)}\n`)
  }
  process.stdout.write(`${JSON.stringify({ calls })}\n`)
}
model.dispose()
