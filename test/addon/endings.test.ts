import test from 'ava'
import { join } from 'node:path'
import { packageRoot } from '../../lib/base/paths.js'
import { run } from '../../lib/base/processes.js'
import { smallNets } from '../support/models.js'

/** How a program of test/support/endings has to end. */
interface Ending {
  /** 0 unless said otherwise. */
  readonly code?: number
  /** What it writes on the way, to prove that it came there. */
  readonly says: RegExp
  /** What Node writes of an error that nobody caught. */
  readonly complains?: RegExp
}

const uncaught = { code: 1, complains: /nobody catches this/ }

const mainThread: Record<string, Ending> = {
  'returns after all kinds of work, nothing disposed': { says: /^done$/ },
  'returns while a run that nobody waits for goes on': { says: /^done$/ },
  'disposes everything in the middle of runs and returns': { says: /^done$/ },
  'process.exit during a forward pass': { code: 7, says: /^running$/ },
  'process.exit during explanations with more of them waiting': { code: 7, says: /^running$/ },
  'process.exit with work that has not begun': { code: 7, says: /^waiting$/ },
  'process.exit while a model is loaded': { code: 7, says: /^loading$/ },
  'process.exit inside a forward hook': { code: 7, says: /^in the hook$/ },
  'process.exit inside a forward pre-hook': { code: 7, says: /^in the hook$/ },
  'process.exit inside a full backward hook': { code: 7, says: /^in the hook$/ },
  'an uncaught error during a run': { ...uncaught, says: /^throwing$/ },
  'an uncaught error with nothing running': { ...uncaught, says: /^$/ },
  'a hook throws, and nobody catches the rejected pass': { ...uncaught, says: /^throwing$/ },
  'a load that is refused, and nobody catches it': { code: 1, says: /^loading$/, complains: /ERR_FILE_NOT_FOUND/ },
  'beforeExit starts more work': { says: /^done$/ },
  "an 'exit' listener starts work that cannot run any more": { says: /^done$/ },
  'a listener for uncaught errors goes on with the work': { says: /^done$/ },
}

const withWorkers: Record<string, Ending> = {
  'a worker runs and returns, and the addon is loaded nowhere else': { says: /^exit code 0$/ },
  'three workers, one after another': { says: /^(exit code 0\n?){3}$/ },
  'four workers and the main thread at once': { says: /^exit codes 0 0 0 0$/ },
  'the main thread works on when its worker has ended': { says: /^done$/ },
  'a worker is terminated while a pass runs': { says: /^terminated$/ },
  'a worker is terminated while explanations run and wait': { says: /^terminated$/ },
  'a worker is terminated while it loads a model': { says: /^terminated$/ },
  'a worker is terminated while its hook runs': { says: /^terminated$/ },
  'a worker is terminated while its backward hook runs': { says: /^terminated$/ },
  'a worker is terminated while its hook computes': { says: /^terminated$/ },
  'four workers are terminated at once': { says: /^(terminated\n?){4}$/ },
  'a worker calls process.exit during a run': { says: /^exit code 5$/ },
  'a worker calls process.exit inside a hook': { says: /^in the hook\nexit code 5$/ },
  'a worker has an uncaught error during a run': { says: /^nobody in the worker catches this\nexit code 1$/ },
  'process.exit while a worker runs': { code: 7, says: /^exiting$/ },
  'process.exit while a hook of a worker runs': { code: 7, says: /^exiting$/ },
  'process.exit while the main thread and a worker run': { code: 7, says: /^exiting$/ },
}

const nets = await smallNets()

// Two at a time: each loads LibTorch, and what is tested depends on threads getting their turns.
const busy: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()]
let next = 0
function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const lane = next++ % busy.length
  const result = (busy[lane] as Promise<unknown>).then(work)
  busy[lane] = result.catch(() => {})
  return result
}

for (const [program, endings] of Object.entries({ 'main-thread': mainThread, 'with-workers': withWorkers })) {
  for (const [name, { code = 0, says, complains }] of Object.entries(endings)) {
    test(name, async (t) => {
      const file = join(packageRoot, 'dist', 'test', 'support', 'endings', `${program}.js`)
      const child = await inTurn(() => run(process.execPath, [file, name, nets.file('siblings')], { timeout: 60_000 }))
      t.is(child.signal, null, child.stderr)
      t.is(child.code, code, child.stderr)
      t.regex(child.stdout.trim(), says)
      if (complains) t.regex(child.stderr, complains)
      else t.is(child.stderr, '')
    })
  }
}
