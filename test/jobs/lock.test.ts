import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { common, lines, main, workplace } from '../support/workplace.js'

interface Job {
  readonly code: number | null
  readonly said: string
}

function startJob(folder: string, options: readonly string[] = []): Promise<Job> {
  const args = [...options, main, 'batch', 'in', '--out', 'out', ...common, '--resume', '--json', '--write', 'npy']
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, said })))
}

/**
 * Holds a process up, once, where it is about to rename a lock file: between finding that its holder is dead and taking
 * it over by a new name, another process can do both.
 */
const slowRename = `data:text/javascript,${encodeURIComponent(`
  import fs from 'node:fs'
  import { syncBuiltinESMExports } from 'node:module'
  const { renameSync } = fs
  let slow = true
  fs.renameSync = (from, to) => {
    if (slow && String(from).endsWith('-lock')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000)
    slow = false
    renameSync(from, to)
  }
  syncBuiltinESMExports()`)}`

const names = Array.from({ length: 80 }, (_, i) => `${i}.jpg`)
const deadLock = JSON.stringify({ pid: 4_000_000, host: hostname(), started: '1' })

test.serial('two jobs that find a dead lock never work together, and the manifest is one job’s', async (t) => {
  const { folder } = await workplace(t, names)
  mkdirSync(join(folder, 'out'))
  writeFileSync(join(folder, 'out', '.gradcam-lock'), deadLock)
  const slow = startJob(folder, ['--import', slowRename])
  await sleep(1500)
  const jobs = await Promise.all([slow, startJob(folder)])
  checkJobs(jobs)
  const ids = lines(join(folder, 'out')).map(({ id }) => id)
  t.deepEqual(ids.sort(), [...names].sort(), 'each input has one line')
  t.true(lines(join(folder, 'out')).every((line) => !('error' in line)))

  function checkJobs(all: readonly Job[]): void {
    t.true(all.some(({ code }) => code === 0))
    for (const { code, said } of all)
      if (code !== 0) t.regex(said, /is at work on 'out' and holds the lock '.*\.gradcam-lock'/)
  }
})

test.serial('of many jobs that start at once on one folder, those that go on find one manifest', async (t) => {
  const { folder } = await workplace(t, names)
  mkdirSync(join(folder, 'out'))
  writeFileSync(join(folder, 'out', '.gradcam-lock'), deadLock)
  const jobs = await Promise.all(Array.from({ length: 4 }, () => startJob(folder)))
  const done = jobs.filter(({ code }) => code === 0)
  t.true(done.length >= 1)
  for (const { code, said } of jobs.filter((job) => job.code !== 0)) {
    t.is(code, 1)
    t.regex(said, /is at work on 'out' and holds the lock '.*\.gradcam-lock'/)
  }
  t.deepEqual(
    lines(join(folder, 'out'))
      .map(({ id }) => id)
      .sort(),
    [...names].sort(),
  )
})

// A killed container leaves the name of a host that never comes back, or comes back with the same name and numbers.
const { pid } = process
for (const [whose, text] of Object.entries({
  'another host': JSON.stringify({ pid: 1, host: 'no-such-host', started: '1' }),
  'a process whose number another one has now': JSON.stringify({ pid, host: hostname(), started: null }),
  'a full disk': '{"pid": 1',
}))
  test.serial(`the lock of ${whose} does not keep a job from going on`, async (t) => {
    const { folder } = await workplace(t, ['a.jpg'])
    mkdirSync(join(folder, 'out'))
    writeFileSync(join(folder, 'out', '.gradcam-lock'), text)
    t.like(await startJob(folder), { code: 0 })
    t.is(lines(join(folder, 'out')).length, 1)
  })

test.serial('a job whose lock file was removed ends and says so, also while it waits for its list', async (t) => {
  const { folder } = await workplace(t, ['a.jpg'])
  const args = [main, 'batch', '-', '--out', 'out', ...common]
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['pipe', 'ignore', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  const ended = new Promise((resolve) => child.on('close', resolve))
  child.stdin.write('in/a.jpg\n')
  const manifest = join(folder, 'out', 'manifest.jsonl')
  for (let tries = 0; !existsSync(manifest) || readFileSync(manifest, 'utf8') === ''; tries++) {
    if (tries > 1000) throw new Error('no result came')
    await sleep(20)
  }
  rmSync(join(folder, 'out', '.gradcam-lock'))
  t.is(await ended, 1)
  t.regex(said, /The lock '.*\.gradcam-lock' was removed or taken over by another process/)
})
