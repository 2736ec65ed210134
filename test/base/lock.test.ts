import { fork, spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import { tryKernelLock } from '../../lib/base/kernel-lock.js'
import { isLocal } from '../../lib/base/lock-file.js'
import { parseHolder, thisKernel } from '../../lib/base/lock-holder.js'
import { describeWait, lockSystem, withLock, type LockSystem, type LockWait } from '../../lib/base/lock.js'
import { packageRoot } from '../../lib/base/paths.js'
import { lockStorm } from '../support/lock-storm.js'
import { needing } from '../support/needs.js'
import { temporaryFolder } from '../support/package-copy.js'

const module = pathToFileURL(join(packageRoot, 'dist', 'lib', 'base', 'lock.js')).href

const lockIn = (t: ExecutionContext): string => join(temporaryFolder(t), 'lock')

class Busy extends Error {
  constructor(readonly wait: LockWait) {
    super('busy')
  }
}

/** Takes the lock and lets it go; throws Busy where somebody holds it. */
function tryOnce(file: string, system?: LockSystem): Promise<void> {
  const refuse = (wait: LockWait): never => {
    throw new Busy(wait)
  }
  return withLock(file, refuse, async () => {}, system)
}

/** A process that holds the lock until it is killed or told to end. */
async function holder(t: ExecutionContext, file: string): Promise<ChildProcess> {
  const program = `
    const { withLock } = await import(${JSON.stringify(module)})
    await withLock(${JSON.stringify(file)}, () => {}, () => new Promise((resolve) => {
      process.on('message', (how) => (how === 'exit' ? process.exit(0) : resolve()))
      process.send('held')
    }))
    process.disconnect()`
  const child = fork('-', [], {
    execArgv: ['--input-type=module', '--eval', program],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  await new Promise((resolve) => child.once('message', resolve))
  return child
}

function exit(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once('exit', () => resolve()))
}

/** Counts who is inside at once. */
class Inside {
  now = 0
  most = 0
  async stay(): Promise<void> {
    this.most = Math.max(this.most, ++this.now)
    await sleep(5)
    this.now--
  }
}

test('a storm: processes that all take one lock, killed at random, are never inside together', async (t) => {
  const storm = { folder: temporaryFolder(t), rounds: 100, processes: 3, callers: 2, kills: 0.25 }
  const { kills, entries, doubles } = await lockStorm(storm)
  t.is(doubles, 0)
  t.true(kills > 5, `${kills} kills`)
  t.true(entries >= 100 * 2 * 2, `${entries} entries`)
})

test('a storm of hosts whose kernels do not see each other’s locks', async (t) => {
  const storm = { folder: temporaryFolder(t), rounds: 6, processes: 3, callers: 1, kills: 0.3, hosts: true }
  const { entries, doubles } = await lockStorm(storm)
  t.is(doubles, 0)
  t.true(entries >= 6 * 2, `${entries} entries`)
})

test('callers of one process and of its threads keep each other out', async (t) => {
  const file = lockIn(t)
  const inside = new Inside()
  await Promise.all(
    Array.from({ length: 6 }, () =>
      withLock(
        file,
        () => {},
        () => inside.stay(),
      ),
    ),
  )
  t.is(inside.most, 1)

  const program = `
    const { parentPort } = require('node:worker_threads')
    import(${JSON.stringify(module)}).then(({ withLock }) =>
      withLock(${JSON.stringify(file)}, () => {}, () => new Promise(() => {
        parentPort.postMessage('held')
        setInterval(() => {}, 1000)
      })))`
  const worker = new Worker(program, { eval: true })
  await new Promise((resolve) => worker.once('message', resolve))
  const { wait } = (await t.throwsAsync(tryOnce(file), { instanceOf: Busy }))!
  t.is(wait.holder?.pid, process.pid)
  await worker.terminate()
  await t.notThrowsAsync(tryOnce(file), 'the lock ends with its thread')
})

test('who waits is told the lock file, the holder, its host and what to do', async (t) => {
  const file = lockIn(t)
  const child = await holder(t, file)
  const { wait } = (await t.throwsAsync(tryOnce(file), { instanceOf: Busy }))!
  t.like(wait, { file, kind: 'held', holder: { pid: child.pid, host: hostname(), kernel: thisKernel() } })
  const text = describeWait(wait, 'is building')
  t.true(text.startsWith(`Process ${child.pid} on host ${hostname()} is building and holds the lock '${file}'`), text)
  t.regex(text, /If it hangs, end it/)

  const waits: LockWait[] = []
  const began = performance.now()
  const system = { ...lockSystem, times: { ...lockSystem.times, poll: 10, remind: 150 } }
  const entered = withLock(
    file,
    (held) => waits.push(held),
    async () => {},
    system,
  )
  await sleep(800)
  child.send('end')
  await entered
  const most = 1 + (performance.now() - began) / 150
  t.true(waits.length >= 2 && waits.length <= most, `told ${waits.length} times, now and then and not at every attempt`)
})

for (const how of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const)
  test(`${how} of the holder releases the lock`, async (t) => {
    const file = lockIn(t)
    const child = await holder(t, file)
    await t.throwsAsync(tryOnce(file), { instanceOf: Busy })
    child.kill(how)
    await exit(child)
    await t.notThrowsAsync(tryOnce(file))
  })

for (const how of ['exit', 'end'])
  test(`a holder that comes to its ${how} takes its name away`, async (t) => {
    const file = lockIn(t)
    const child = await holder(t, file)
    t.is(parseHolder(readFileSync(file, 'utf8'))?.pid, child.pid)
    child.send(how)
    await exit(child)
    t.is(readFileSync(file, 'utf8'), '')
  })

test('work that throws releases the lock', async (t) => {
  const file = lockIn(t)
  const fail = (): Promise<never> => Promise.reject(new Error('no'))
  await t.throwsAsync(
    withLock(file, () => {}, fail),
    { message: 'no' },
  )
  await t.notThrowsAsync(tryOnce(file))
})

// As a killed container leaves it (another host's name, or after a restart the same name and number), an older version
// of this package, a full disk, and a disk that lost its last writes.
const dead: Readonly<Record<string, string>> = {
  'another host': JSON.stringify({ pid: 1, host: 'no-such-host', kernel: 'another', token: 'x' }),
  'another host, by an older version': JSON.stringify({ pid: 1, host: 'no-such-host', started: '5' }),
  'the number of a living process': JSON.stringify({ pid: process.pid, host: hostname(), kernel: thisKernel() }),
  'a holder whose text was cut': '{"pid": 1, "ho',
  'a holder whose text was lost': '\0'.repeat(64),
  'a holder with odd types': JSON.stringify({ pid: '1', host: 7 }),
  nobody: '',
}

for (const [whose, text] of Object.entries(dead))
  test(`on a local disk a lock file of ${whose} that nobody holds does not block`, async (t) => {
    const file = lockIn(t)
    writeFileSync(file, text)
    await t.notThrowsAsync(tryOnce(file, { ...lockSystem, isLocal: () => true }))
  })

for (const text of ['', '{"pid": 1, "ho', JSON.stringify({ pid: 4_000_000, host: hostname(), started: '1' })])
  test(`a living holder keeps its lock whatever becomes of the text: ${text || 'empty'}`, async (t) => {
    const file = lockIn(t)
    await holder(t, file)
    writeFileSync(file, text)
    const { wait } = (await t.throwsAsync(tryOnce(file), { instanceOf: Busy }))!
    t.is(wait.file, file)
    if (!wait.holder) t.true(describeWait(wait, 'is building').includes(`(lsof '${file}' shows which)`))
  })

test('a holder whose file was removed does not release the next holder’s lock, and learns that it lost its own', async (t) => {
  const file = lockIn(t)
  const system = { ...lockSystem, isLocal: () => true, times: { ...lockSystem.times, beat: 20 } }
  let child: ChildProcess | undefined
  await withLock(
    file,
    () => {},
    async (lost) => {
      rmSync(file)
      child = await holder(t, file)
      for (let waited = 0; !lost.aborted && waited < 5000; waited += 20) await sleep(20)
      t.like(lost.reason, { code: 'ERR_LOCK_FAILED' })
    },
    system,
  )
  const { wait } = (await t.throwsAsync(tryOnce(file), { instanceOf: Busy }))!
  t.is(wait.holder?.pid, child?.pid)
})

/** A host whose kernel sees no lock of another one, with short times. */
const host = (kernel: string): LockSystem => ({
  tryLock: () => true,
  isLocal: () => false,
  kernel,
  times: { poll: 20, beat: 50, dead: 1000, settle: 200, remind: 60_000 },
})

test('a holder on another host is respected while it renews its name', async (t) => {
  const file = lockIn(t)
  let release = (): void => {}
  const first = withLock(
    file,
    () => {},
    () => new Promise<void>((resolve) => (release = resolve)),
    host('a'),
  )
  await sleep(400)
  const waits: LockWait[] = []
  let entered = false
  const second = withLock(
    file,
    (wait) => waits.push(wait),
    async () => void (entered = true),
    host('b'),
  )
  await sleep(2000) // twice as long as a silent one is waited for
  t.false(entered)
  t.deepEqual(
    waits.map(({ kind }) => kind),
    ['watched', 'held'],
  )
  t.regex(describeWait(waits[0]!, 'is building'), /left the lock '.*waiting up to 30 seconds/)
  await t.throwsAsync(
    withLock(
      file,
      (wait) => {
        if (wait.kind === 'held') throw new Busy(wait)
      },
      async () => {},
      host('c'),
    ),
    { instanceOf: Busy },
  )
  release()
  await first
  await second
  t.true(entered)
})

for (const [whose, text] of Object.entries(dead).filter(([, left]) => left !== ''))
  test(`on a shared disk a lock file of ${whose} is watched, then taken over`, async (t) => {
    const file = lockIn(t)
    writeFileSync(file, text)
    const waits: LockWait[] = []
    const began = performance.now()
    await withLock(
      file,
      (wait) => waits.push(wait),
      async () => {},
      host(thisKernel() ?? ''),
    )
    const took = performance.now() - began
    const own = parseHolder(text)?.host === hostname()
    t.deepEqual(
      waits.map(({ kind }) => kind),
      own ? [] : ['watched'],
    )
    // 200 ms to settle, and for a stranger 1000 ms of silence before; a timer may fire a millisecond early.
    t.true(took >= (own ? 190 : 1150), `${took} ms`)
    t.is(readFileSync(file, 'utf8'), '')
  })

test('a holder that another host took for dead learns it, and leaves the other’s name', async (t) => {
  const file = lockIn(t)
  const other = JSON.stringify({ pid: 7, host: 'other', kernel: 'other', token: 'other' })
  await withLock(
    file,
    () => {},
    async (lost) => {
      t.false(lost.aborted)
      writeFileSync(file, other)
      for (let waited = 0; !lost.aborted && waited < 5000; waited += 20) await sleep(20)
      t.like(lost.reason, { code: 'ERR_LOCK_FAILED' })
    },
    host('a'),
  )
  t.is(readFileSync(file, 'utf8'), other)
})

test('what cannot be locked is refused with its name', async (t) => {
  const file = lockIn(t)
  t.throws(() => tryKernelLock(1_000_000, file), { code: 'ERR_LOCK_FAILED', message: new RegExp(file) })

  mkdirSync(`${file}-folder`)
  await t.throwsAsync(tryOnce(`${file}-folder`), { code: 'EISDIR' })
  symlinkSync(file, `${file}-link`)
  await t.throwsAsync(tryOnce(`${file}-link`), { code: 'ELOOP' }, 'a link could lead to any file, to be emptied')
  await new Promise((resolve) => spawn('mkfifo', [`${file}-pipe`]).once('exit', resolve))
  await t.throwsAsync(tryOnce(`${file}-pipe`), { code: 'ERR_LOCK_FAILED', message: /not a regular file/ })
})

test('whoever may make files in the folder may open the lock file that stays there', async (t) => {
  const folder = temporaryFolder(t)
  for (const [mode, expected] of [
    [0o700, 0o600],
    [0o775, 0o664],
    [0o777, 0o666],
  ] as const) {
    const shared = join(folder, mode.toString(8))
    mkdirSync(shared)
    chmodSync(shared, mode)
    await tryOnce(join(shared, 'lock'))
    t.is(statSync(join(shared, 'lock')).mode & 0o777, expected)
  }
})

needing('linux', process.platform === 'linux')('which disks are local', (t) => {
  t.true(isLocal('/dev/shm/lock'))
  t.false(isLocal('/proc/lock'), 'what is not known to be local may be shared')
  t.regex(thisKernel() ?? '', /^[0-9a-f-]{36}$/)
})
