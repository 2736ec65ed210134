import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { hasNvidiaDriver } from '../../lib/setup/libtorch/driver.js'
import { packageRoot } from '../../lib/base/paths.js'
import { fakeMachine, type FakeMachine } from '../support/fake-python.js'
import { runNode, type Ended } from '../support/package-copy.js'

const module = join(packageRoot, 'dist', 'lib', 'setup', 'libtorch', 'install.js')

function program(driver: boolean): string[] {
  const text = `
    import { ensureLibTorch } from ${JSON.stringify(module)}
    try {
      console.log(JSON.stringify(await ensureLibTorch({ driver: ${driver} })))
    } catch (error) {
      console.error(error.code + ': ' + error.message)
      process.exitCode = 1
    }`
  return ['--input-type=module', '--eval', text]
}

const ensure = (machine: FakeMachine, driver = false): Ended => runNode(program(driver), machine.env)

/** Starts an install whose pip hangs half-way, and returns once it does. */
async function startHanging(t: ExecutionContext, machine: FakeMachine): Promise<ChildProcess> {
  const child = spawn(process.execPath, program(false), { env: { ...process.env, ...machine.env }, stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  for (let waited = 0; machine.hanging() === null; waited += 50) {
    if (waited > 20_000) throw new Error('pip was never started')
    await sleep(50)
  }
  const pip = machine.hanging() ?? 0
  t.teardown(() => {
    try {
      process.kill(pip, 'SIGKILL')
    } catch {
      // It has ended already.
    }
  })
  return child
}

function ended(child: ChildProcess): Promise<NodeJS.Signals | null> {
  return new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)))
}

/** What the cache holds apart from the lock. */
const contents = (cache: string): string[] => readdirSync(cache).filter((name) => !name.startsWith('.install-lock'))

const partials = (cache: string): string[] => contents(cache).filter((name) => name.startsWith('.partial-'))

test('without a driver pip is asked for the CPU build, once, and never told an index', (t) => {
  const machine = fakeMachine(t, { index: { 'torch==2.13.0+cpu': 'cpu', 'torch==2.13.0': 'cuda' } })
  const first = ensure(machine)
  t.is(first.code, 0, first.stderr)
  const root = join(machine.cache, 'pytorch-2.13.0-cpu', 'site', 'torch')
  t.like(JSON.parse(first.stdout), { root, version: '2.13.0+cpu', cuda: false, source: 'private install' })
  t.deepEqual(contents(machine.cache), ['pytorch-2.13.0-cpu'])

  t.is(ensure(machine).code, 0)
  t.is(machine.asked().length, 1, 'the second time it is there')
  const [asked = []] = machine.asked()
  t.is(asked.at(-2), 'torch==2.13.0+cpu')
  t.false(
    asked.some((argument) => /index|find-links|proxy|trusted|cert/.test(argument)),
    asked.join(' '),
  )
  t.true(asked.at(-1)?.startsWith(`TMPDIR=${machine.cache}`), 'what pip unpacks lies on the disk that it goes to')
})

test('an index without the CPU build: said in a line, and the plain build taken without its CUDA libraries', (t) => {
  const machine = fakeMachine(t, { index: { 'torch==2.13.0': 'cuda' } })
  const { code, stdout, stderr } = ensure(machine)
  t.is(code, 0, stderr)
  t.regex(stderr, /The index has no CPU build of PyTorch 2\.13\.0/)
  t.deepEqual(
    machine.asked().map((asked) => asked.at(-2)),
    ['torch==2.13.0+cpu', 'torch==2.13.0'],
  )
  t.like(JSON.parse(stdout), { cuda: false, root: join(machine.cache, 'pytorch-2.13.0-small', 'site', 'torch') })
  t.true(machine.asked()[1]?.includes('--no-deps'))
  t.true(
    machine.asked().every((asked) => asked.includes('--no-compile')),
    'Python that nobody imports is not compiled',
  )
})

test('with a driver pip is asked for the plain build, then for any', (t) => {
  const plain = fakeMachine(t, { index: { 'torch===2.13.0': 'cuda', 'torch==2.13.0': 'cpu' } })
  t.is(ensure(plain, true).code, 0)
  t.deepEqual(
    plain.asked().map((asked) => asked.at(-2)),
    ['torch===2.13.0'],
  )

  const other = fakeMachine(t, { index: { 'torch==2.13.0': 'cpu' } })
  const { code, stderr } = ensure(other, true)
  t.is(code, 0, stderr)
  t.deepEqual(
    other.asked().map((asked) => asked.at(-2)),
    ['torch===2.13.0', 'torch==2.13.0'],
  )
  t.regex(stderr, /The index gave a CPU build .* the GPU will not be used/)
})

test('a driver that came later: the CPU build of before will not do', (t) => {
  const machine = fakeMachine(t, { index: { 'torch==2.13.0+cpu': 'cpu', 'torch===2.13.0': 'cuda' } })
  t.is(ensure(machine).code, 0)
  t.like(JSON.parse(ensure(machine, true).stdout), { cuda: true })
  t.deepEqual(contents(machine.cache).sort(), ['pytorch-2.13.0-cpu', 'pytorch-2.13.0-cuda'])
  t.like(JSON.parse(ensure(machine, false).stdout), { cuda: false })
})

test('an install that was killed leaves nothing that passes for whole, and the next one cleans up', async (t) => {
  const index = { 'torch==2.13.0+cpu': 'cpu' } as const
  const machine = fakeMachine(t, { index, hangs: true })
  const child = await startHanging(t, machine)
  child.kill('SIGKILL')
  t.is(await ended(child), 'SIGKILL')
  t.is(partials(machine.cache).length, 1, 'what was there cannot be removed by a killed process')
  t.deepEqual(contents(machine.cache), partials(machine.cache), 'and nothing has the name of a whole one')

  machine.behave({ index })
  const { code, stdout, stderr } = ensure(machine)
  t.is(code, 0, stderr)
  t.regex(stderr, /Removed the partial files of an interrupted install/)
  t.deepEqual(contents(machine.cache), ['pytorch-2.13.0-cpu'])
  t.true(existsSync((JSON.parse(stdout) as { root: string }).root))
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} in the middle of an install ends pip too and leaves nothing`, async (t) => {
    const machine = fakeMachine(t, { index: { 'torch==2.13.0+cpu': 'cpu' }, hangs: true })
    const child = await startHanging(t, machine)
    child.kill(signal)
    t.is(await ended(child), signal)
    t.deepEqual(partials(machine.cache), [])
    const pip = machine.hanging() ?? 0
    for (let waited = 0; waited < 5000 && isRunning(pip); waited += 50) await sleep(50)
    t.false(isRunning(pip), 'pip has ended')
  })
}

test('two at once: one installs and the other waits for it', async (t) => {
  const machine = fakeMachine(t, { index: { 'torch==2.13.0+cpu': 'cpu' } })
  const outputs = await Promise.all([1, 2, 3].map(() => output(machine)))
  t.is(new Set(outputs).size, 1)
  t.is((JSON.parse(outputs[0] ?? '') as { version: string }).version, '2.13.0+cpu')
  t.is(machine.asked().length, 1)
  t.deepEqual(contents(machine.cache), ['pytorch-2.13.0-cpu'])
})

const index = { 'torch==2.13.0': 'cpu' } as const
const failures = [
  [
    'no network',
    { fails: 'WARNING: Retrying ... NewConnectionError\nERROR: No matching distribution found for torch' },
    'ERR_LIBTORCH_INSTALL',
    /check the network/,
  ],
  [
    'a name that is not resolved, in the words of pip 23',
    {
      fails:
        Array(5)
          .fill(
            "WARNING: Retrying (Retry(total=4, connect=None)) after connection broken by 'NewConnectionError('<pip._vendor.HTTPSConnection object at 0x7f>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/torch/\n",
          )
          .join('') +
        'ERROR: Could not find a version that satisfies the requirement torch==2.13.0+cpu (from versions: none)\n' +
        'ERROR: No matching distribution found for torch==2.13.0+cpu\n',
    },
    'ERR_LIBTORCH_INSTALL',
    /installing torch==2\.13\.0\+cpu: it did not reach its index \(Temporary failure in name resolution\)\. pip cannot reach its index/,
  ],
  ['a proxy', { fails: 'ProxyError: Cannot connect to proxy' }, 'ERR_LIBTORCH_INSTALL', /HTTPS_PROXY/],
  [
    'a full disk',
    { fails: 'ERROR: [Errno 28] No space left on device' },
    'ERR_LIBTORCH_INSTALL',
    /disk is full.*GRADCAM_CACHE/,
  ],
  ['no such build', { index: {} }, 'ERR_LIBTORCH_INSTALL', /no such build for Python 3\.11\.7/],
  ['no pip', { index, pip: null }, 'ERR_TOOL_MISSING', /has no pip\. Install it with/],
  ['an old Python', { index, version: '3.9.2' }, 'ERR_TOOL_MISSING', /requires Python 3\.10 or newer.*3\.9\.2/],
  ['no Python', null, 'ERR_TOOL_MISSING', /python3 was not found\. Install/],
] as const

for (const [what, python, errorCode, remedy] of failures) {
  test(`${what}: ${errorCode} with a remedy, and nothing left behind`, (t) => {
    const machine = fakeMachine(t, python)
    const { code, stderr } = ensure(machine)
    t.is(code, 1)
    t.regex(stderr, new RegExp(`^${errorCode}: `, 'm'))
    t.regex(stderr, remedy)
    if (existsSync(machine.cache)) t.deepEqual(contents(machine.cache), [])
  })
}

test('a cache that cannot be written is said to be that, with the variable that names another', (t) => {
  const machine = fakeMachine(t, { index })
  const { code, stderr } = runNode(program(false), { ...machine.env, GRADCAM_CACHE: '/dev/null/cache' })
  t.is(code, 1)
  t.regex(
    stderr,
    /^ERR_LIBTORCH_INSTALL: The cache folder \/dev\/null\/cache cannot be written \(E\w+\)\. .*GRADCAM_CACHE/m,
  )
  t.deepEqual(machine.asked(), [], 'pip was not begun')
})

test('a user who declines a large download is taken at their word, and a small one is not asked about', async (t) => {
  const machine = fakeMachine(t, { index: { 'torch==2.13.0+cpu': 'cpu', 'torch===2.13.0': 'cuda' } })
  const ask = (driver: boolean): Ended =>
    runNode(
      [
        '--input-type=module',
        '--eval',
        `import { ensureLibTorch } from ${JSON.stringify(module)}
        const confirm = async (what, gigabytes) => (console.log('asked', what, gigabytes), false)
        await ensureLibTorch({ driver: ${driver}, confirm }).then(
          ({ version }) => console.log(version),
          (error) => console.log(error.code + ': ' + error.message),
        )`,
      ],
      machine.env,
    )
  t.regex(ask(true).stdout, /^asked PyTorch 2\.13\.0 \d.*\nERR_LIBTORCH_INSTALL: .*declined/)
  t.deepEqual(machine.asked(), [])
  t.is(ask(false).stdout, '2.13.0+cpu\n')
})

test('an NVIDIA driver is known by its device file, through WSL or by nvidia-smi', async (t) => {
  if (process.platform === 'darwin') {
    t.false(await hasNvidiaDriver(() => true))
    return
  }
  t.true(await hasNvidiaDriver((file) => file === '/dev/nvidiactl'))
  t.true(await hasNvidiaDriver((file) => ['/dev/dxg', '/usr/lib/wsl/lib/libcuda.so.1'].includes(file)))
  const path = process.env['PATH']
  process.env['PATH'] = ''
  try {
    t.false(await hasNvidiaDriver(() => false))
  } finally {
    process.env['PATH'] = path
  }
})

function output(machine: FakeMachine): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, program(false), { env: { ...process.env, ...machine.env } })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    child
      .once('error', reject)
      .once('close', (code) => (code === 0 ? resolve(text) : reject(new Error(`exit code ${code}`))))
  })
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
