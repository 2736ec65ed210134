import test from 'ava'
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import type { JobLine } from '../../lib/jobs/job-line.js'
import { packageRoot } from '../../lib/base/paths.js'
import { sampleModel, writeJpegs } from '../support/batch.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { common } from '../support/workplace.js'

const names = Array.from({ length: 240 }, (_, i) => `${i % 3 === 0 ? 'sub/' : ''}${i}.jpg`)

function start(
  folder: string,
  more: readonly string[] = [],
): { child: ChildProcess; args: string[]; said: () => string } {
  const args = ['batch', join(folder, 'in'), ...common, '--out', join(folder, 'out')]
  args.push('--write', 'overlay,npy', '--batch', '4', ...more)
  const child = spawn(process.execPath, [join(packageRoot, 'dist/lib/cli/main.js'), ...args])
  let text = ''
  child.stderr.on('data', (data: Buffer) => (text += data.toString()))
  child.stdout.on('data', (data: Buffer) => (text += data.toString()))
  return { child, args, said: () => text }
}

function ended(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })))
}

/** The lines of the manifest; the last may be torn. */
function lines(folder: string): JobLine[] {
  const file = join(folder, 'out', 'manifest.jsonl')
  if (!existsSync(file)) return []
  const all = readFileSync(file, 'utf8').split('\n')
  return all.slice(0, -1).map((line) => JSON.parse(line) as JobLine)
}

async function untilLines(folder: string, count: number): Promise<void> {
  for (let tries = 0; lines(folder).length < count; tries++) {
    if (tries > 1000) throw new Error(`no ${count} results came`)
    await sleep(20)
  }
}

test.serial('killed again and again, a job ends with one result for each input, and every file whole', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), names)
  const progress: number[] = []
  for (let kill = 0; kill < 6; kill++) {
    const { child } = start(folder, ['--resume'])
    const end = ended(child)
    // At any moment: while it starts, in the middle, and between two files.
    if (kill > 0) await untilLines(folder, Math.min(names.length - 20, (progress.at(-1) ?? 0) + 1))
    await sleep(Math.random() * (kill === 0 ? 1500 : 150))
    child.kill('SIGKILL')
    t.is((await end).signal, 'SIGKILL')
    progress.push(lines(folder).length)
    // What has a line has its files, whole, whenever it was killed.
    for (const line of lines(folder)) {
      if ('error' in line) throw new Error(line.error.message)
      for (const file of Object.values(line.files)) t.true(existsSync(join(folder, 'out', file)))
    }
  }
  t.log(`results after each kill: ${progress.join(', ')}`)
  t.true((progress.at(-1) as number) > 0 && (progress.at(-1) as number) < names.length)

  const { child, said } = start(folder, ['--resume'])
  t.is((await ended(child)).code, 0, said())
  const found = lines(folder)
  t.deepEqual(found.map(({ id }) => id).sort(), [...names].sort())
  const files = readdirSync(join(folder, 'out'), { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
  t.is(files.length, 2 * names.length + 3, 'and the manifest, the options and the empty lock')
  for (const file of files) {
    const bytes = readFileSync(join(file.parentPath, file.name))
    if (file.name.endsWith('.jpg')) await t.notThrowsAsync(sharp(bytes, { failOn: 'warning' }).stats(), file.name)
    if (file.name.endsWith('.npy')) t.is(bytes.length, 128 + 4 * 14 * 14, file.name)
  }
})

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  test.serial(`${signal} finishes what was begun and says how to continue`, async (t) => {
    const folder = temporaryFolder(t)
    await writeJpegs(join(folder, 'in'), names)
    const { child, args, said } = start(folder)
    const end = ended(child)
    await untilLines(folder, 5)
    child.kill(signal)
    t.deepEqual(await end, { code, signal: null }, said())
    const sofar = lines(folder)
    t.true(sofar.length >= 5 && sofar.length < names.length, `${sofar.length} results`)
    t.true(said().includes(`gradcam: interrupted. To continue: gradcam ${args.join(' ')} --resume\n`), said())
    t.false(existsSync(join(folder, 'out', '.gradcam-partial')))
    t.is(gradcam([...args, '--resume']).code, 0)
    t.deepEqual(
      lines(folder)
        .map(({ id }) => id)
        .sort(),
      [...names].sort(),
    )
    t.deepEqual(lines(folder).slice(0, sofar.length), sofar)
  })

test.serial('SIGINT once more ends the process at once', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), names.slice(0, 40))
  const { child, said } = start(folder)
  const end = ended(child)
  await untilLines(folder, 1)
  child.kill('SIGINT')
  while (!said().includes('once more')) await sleep(5)
  child.kill('SIGINT')
  // By the signal itself, which waits for no thread. A shell says 130 of that, too.
  t.deepEqual(await end, { code: null, signal: 'SIGINT' })
})

test.serial('two processes never work on one folder', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), names)
  const { child, args } = start(folder)
  const end = ended(child)
  await untilLines(folder, 1)
  const second = gradcam([...args, '--resume'])
  t.is(second.code, 1)
  const lock = join(folder, 'out', '.gradcam-lock')
  t.true(second.stderr.includes(`Process ${child.pid} on host ${hostname()} is at work on '${join(folder, 'out')}'`))
  t.true(second.stderr.includes(`holds the lock '${lock}'. Wait until it ends, or end it and resume the job.`))
  child.kill('SIGKILL')
  await end
})

test.serial('reading standard input, it is interrupted while it waits', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), names.slice(0, 3))
  mkdirSync(join(folder, 'out'))
  const args = ['batch', '-', '--model', sampleModel, '--layer', 'features', '--out', join(folder, 'out')]
  const child = spawn(process.execPath, [join(packageRoot, 'dist/lib/cli/main.js'), ...args], { cwd: folder })
  t.teardown(() => child.kill('SIGKILL'))
  const end = ended(child)
  child.stdin.write(
    names
      .slice(0, 3)
      .map((name) => `in/${name}\n`)
      .join(''),
  )
  await untilLines(folder, 3) // although the batch is not full and the list has not ended
  child.kill('SIGINT')
  t.deepEqual(await end, { code: 130, signal: null })
})
