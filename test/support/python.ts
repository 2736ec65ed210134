import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pythonWithTorch, type TorchPython } from '../../lib/setup/libtorch/python-with-torch.js'
import { packageRoot } from '../../lib/base/paths.js'
import { lastLines, run } from '../../lib/base/processes.js'

const programs = join(packageRoot, 'test', 'python')

/** A Python that can import torch, and a text that changes when it or its torch is another one. */
export interface TestPython extends TorchPython {
  readonly identity: string
}

let found: Promise<TestPython> | undefined

/** The Python in which the reference programs run; asked for once per test process. */
export function testPython(): Promise<TestPython> {
  return (found ??= find())
}

/**
 * Runs a program of test/python to its end.
 *
 * Throws with the program's last lines where it fails: a test that needs it cannot pass without.
 */
export async function runPython(python: TorchPython, program: string, args: readonly string[]): Promise<string> {
  const result = await run(python.command, [join(programs, program), ...args], { env: referenceEnv(python) })
  if (result.failed) throw new Error(`${python.command} cannot be started: ${result.failed.message}`)
  if (result.code !== 0) {
    const end = result.signal ?? `exit code ${result.code}`
    throw new Error(`test/python/${program} ended with ${end}:\n${lastLines(result.stderr, 15)}`)
  }
  return result.stdout
}

/**
 * What a reference says may not depend on the switches under which the tests run, for it is kept: it is made with this
 * machine's own kernels and one thread. Tests that run with other kernels are then held to a reference of another
 * processor, as users are who compare this package with figures from elsewhere. See test/support/judged.ts for why that is fair.
 */
function referenceEnv(python: TorchPython): NodeJS.ProcessEnv {
  const env = { ...python.env, PYTHONDONTWRITEBYTECODE: '1', OMP_NUM_THREADS: '1' }
  for (const name of ['ATEN_CPU_CAPABILITY', 'ONEDNN_MAX_CPU_ISA']) Reflect.deleteProperty(env, name)
  return env
}

/**
 * A text that changes when a program of test/python changes, or one that it imports from there or from scripts/models;
 * without a name, when any of them does.
 */
export function programsHash(program?: string): string {
  const sources = new Map<string, string>()
  for (const folder of [join(packageRoot, 'scripts', 'models'), programs]) {
    for (const name of readdirSync(folder).sort()) {
      if (name.endsWith('.py')) sources.set(name, readFileSync(join(folder, name), 'utf8'))
    }
  }
  const used = new Set(program === undefined ? sources.keys() : [program])
  // A set also gives what is added to it while it is walked.
  for (const name of used) {
    for (const [, module] of (sources.get(name) ?? '').matchAll(/^(?:from|import) (\w+)/gm)) {
      if (sources.has(`${module}.py`)) used.add(`${module}.py`)
    }
  }
  const hash = createHash('sha256')
  for (const name of [...used].sort()) hash.update(name).update(sources.get(name) ?? '')
  return hash.digest('hex')
}

async function find(): Promise<TestPython> {
  const python = await pythonWithTorch()
  // What would be imported, without importing it, which takes seconds.
  const question =
    'import importlib.util as u, json, os, sys; f = u.find_spec("torch").origin; ' +
    'v = os.path.join(os.path.dirname(f), "version.py"); print(json.dumps([sys.version, f, open(v).read()]))'
  const answer = await run(python.command, ['-c', question], { env: python.env })
  if (answer.code !== 0) throw new Error(`python3 finds no torch to import:\n${lastLines(answer.stderr, 5)}`)
  return { ...python, identity: answer.stdout.trim() }
}
