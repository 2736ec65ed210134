import test from 'ava'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GradCam, ScriptModule, Tensor, type Execution } from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { run } from '../../lib/base/processes.js'
import { writeJpegs } from '../support/batch.js'
import { harmfulModels } from '../support/harmful.js'
import { main } from '../support/workplace.js'

const models = await harmfulModels()

/** Far longer than a check of a flag takes, on a machine that does something else. */
const atOnce = 4000

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })

const looping = [
  'LoopsWithoutOperators',
  'LoopsBeforeLayer',
  'LoopsAfterLayer',
  'LoopsInLoop',
  'LoopsInForks',
  'LoopsInFrozenForks',
]

for (const name of looping)
  test.serial(`a signal ends a pass that never returns: ${name}`, async (t) => {
    using model = await ScriptModule.load(models.file(name))
    using input = Tensor.ones([1, 3, 16, 16])
    const explain = (execution: Execution) => async (signal: AbortSignal) => {
      using cam = new GradCam(model, ['late'], { execution })
      await cam.explain(input, { signal })
    }
    const passes: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal: AbortSignal) => model.forward(input, { signal }),
    ]
    // A frozen file has no layer of that name.
    if (name !== 'LoopsInFrozenForks') passes.push(explain('hooked'))
    // Freezing removes a loop that computes nothing, so that the split model ends by itself.
    if (!/WithoutOperators|Frozen/.test(name)) passes.push(explain('auto'))
    for (const [i, pass] of passes.entries()) {
      const reason: unknown = await pass(AbortSignal.timeout(150)).catch((error: unknown) => error)
      t.is((reason as Error).name, 'TimeoutError')
      await sleep(200)
      const before = process.cpuUsage()
      await sleep(300)
      const { user, system } = process.cpuUsage(before)
      t.true(user + system < 150_000, `pass ${i} goes on: ${user + system} us of processor time in 300 ms`)
    }
  })

test.serial('an ordinary loop gives what it gives in Python, split and hooked', async (t) => {
  using model = await ScriptModule.load(models.file('Loops'))
  using plain = await ScriptModule.load(models.file('Plain'))
  using input = Tensor.ones([1, 3, 16, 16])
  // 200 turns add 0.01 * (i % 3): 66 times 0.03, and 0.01 of the last two.
  using shifted = input.add(66 * 0.03 + 0.01)
  const expected = (await plain.forward(shifted)).toTypedArray() as Float32Array
  for (const execution of ['split', 'hooked'] as const) {
    using cam = new GradCam(model, ['late'], { execution })
    using found = await cam.explain(input, { target: 0 })
    const output = found.output.toTypedArray() as Float32Array
    // 200 sums in float32 near 2, each rounded by at most 2^-23.
    output.forEach((value, i) => t.true(Math.abs(value - expected[i]!) < 200 * 2 ** -23, `${execution} ${i}`))
  }
})

test.serial('a file that never loads holds up neither its caller nor other models', async (t) => {
  const program = `
    const { ScriptModule, Tensor } = await import(${JSON.stringify(join(packageRoot, 'dist/lib/index.js'))})
    const [endless, file] = process.argv.slice(1)
    const reason = await ScriptModule.load(endless, { signal: AbortSignal.timeout(300) }).catch((error) => error.name)
    const model = await ScriptModule.load(file)
    const output = await model.forward(Tensor.ones([1, 3, 8, 8]))
    console.log(reason, output.shape.join('x'))
    process.exit(3)`
  const args = ['--input-type=module', '--eval', program, models.file('LoopsAtLoad'), models.file('Plain')]
  const ended = await run(process.execPath, args, { timeout: 60_000 })
  t.is(ended.stdout.trim(), 'TimeoutError 1x3', ended.stderr)
  t.is(ended.code, 3)
  t.is(ended.stderr, '')
})

const endings: Readonly<Record<string, { readonly code: number; readonly says: RegExp }>> = {
  'process.exit while it runs': { code: 7, says: /^running$/ },
  'process.exit while it is loaded': { code: 7, says: /^loading$/ },
  // Other C libraries than glibc do not tell the exit code; there it is 1.
  'process.exit with an exit code that is set late': { code: 9, says: /^loading$/ },
  'a worker is terminated while it runs': { code: 0, says: /^at once$/ },
  'a worker is terminated while it is loaded, and the main thread works on': {
    code: 7,
    says: /^in time\nTimeoutError$/,
  },
}

for (const [name, { code, says }] of Object.entries(endings))
  test.serial(`a process ends although a model does not: ${name}`, async (t) => {
    const program = join(packageRoot, 'dist', 'test', 'support', 'endings', 'never-ends.js')
    const args = [program, name, models.file('LoopsWithoutOperators'), models.file('LoopsAtLoad')]
    const ended = await run(process.execPath, args, { timeout: 60_000 })
    t.is(ended.signal, null, ended.stderr)
    t.regex(ended.stdout.trim(), says)
    t.is(ended.code, code)
    t.is(ended.stderr, '')
  })

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  test.serial(`a second ${signal} ends a batch whose model never loads`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'gradcam-never-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    await writeJpegs(join(folder, 'in'), ['a.jpg'])
    const args = [
      main,
      'batch',
      join(folder, 'in'),
      '--model',
      models.file('LoopsAtLoad'),
      '--out',
      join(folder, 'out'),
    ]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = new Promise<[number | null, string | null]>((resolve) => {
      child.on('close', (code, by) => resolve([code, by]))
    })
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    await sleep(2000)
    // A first signal may come before anybody listens to it; then it ends the process already.
    child.kill(signal)
    for (let i = 0; i < 100 && child.exitCode === null && child.signalCode === null && !/once more/.test(errors); i++)
      await sleep(50)
    t.regex(errors, /once more ends it at once/)
    const began = performance.now()
    child.kill(signal)
    t.deepEqual(await ended, [null, signal])
    t.true(performance.now() - began < atOnce)
  })
