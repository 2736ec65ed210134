import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { describeLibTorch } from '../../lib/addon/describe.js'
import type { DoctorReport } from '../../lib/setup/doctor.js'
import { lookForLibTorch, searchLibTorch } from '../../lib/setup/libtorch/find.js'
import { projectPlaces } from '../../lib/setup/libtorch/places.js'
import { fakeLibTorch, linkableLibTorch } from '../support/fake-libtorch.js'
import { needing } from '../support/needs.js'
import { copyPackage, gradcam, runNode, temporaryFolder } from '../support/package-copy.js'

const onPosix = needing('posix', process.platform !== 'win32')

/** A home folder with nothing in it, and an environment in which nothing else is found. */
function machine(t: ExecutionContext) {
  const home = temporaryFolder(t)
  const none = { LIBTORCH: undefined, VIRTUAL_ENV: undefined, CONDA_PREFIX: undefined, PYTHONPATH: undefined }
  const env = {
    ...process.env,
    ...none,
    HOME: home,
    PYENV_ROOT: undefined,
    PATH: '',
    GRADCAM_CACHE: join(home, 'cache'),
  }
  return { home, env }
}

/** A torch package in a Python's folder. */
const torchIn = (prefix: string, version: string, python = 'python3.12'): string =>
  fakeLibTorch(join(prefix, 'lib', python, 'site-packages', 'torch'), { version })

onPosix('the PyTorch of an active environment is taken, of virtualenv and of conda', async (t) => {
  const { home, env } = machine(t)
  for (const [name, folder] of [
    ['VIRTUAL_ENV', 'venv'],
    ['CONDA_PREFIX', 'conda'],
  ] as const) {
    const root = torchIn(join(home, folder), '2.9.0')
    const { libtorch } = await searchLibTorch({ env: { ...env, [name]: join(home, folder) } })
    t.like(libtorch, { root, version: '2.9.0', source: 'environment' })
  }
})

onPosix('an environment in the folder of the project, or above it, is found without being active', (t) => {
  const { home } = machine(t)
  const project = join(home, 'project')
  const inside = torchIn(join(project, '.venv'), '2.8.0')
  torchIn(join(project, 'venv'), '2.7.0') // no pyvenv.cfg: not an environment
  writeFileSync(join(project, '.venv', 'pyvenv.cfg'), '')
  mkdirSync(join(project, 'src', 'deep'), { recursive: true })
  t.deepEqual(
    projectPlaces(join(project, 'src', 'deep')).map(({ root }) => root),
    [inside],
  )
})

onPosix('what other Pythons have is found: of PATH, pyenv and conda, the newest of several first', async (t) => {
  const { home, env } = machine(t)
  const onPath = join(home, 'python')
  mkdirSync(join(onPath, 'bin'), { recursive: true })
  writeFileSync(join(onPath, 'bin', 'python3.13'), '')
  mkdirSync(join(home, 'bin'))
  symlinkSync(join(onPath, 'bin', 'python3.13'), join(home, 'bin', 'python3.13'))
  mkdirSync(join(home, '.conda'))
  writeFileSync(join(home, '.conda', 'environments.txt'), `${join(home, 'envs', 'vision')}\n`)
  const expected = [
    torchIn(onPath, '2.13.0', 'python3.13'),
    torchIn(onPath, '2.12.0', 'python3.9'),
    torchIn(join(home, '.local'), '2.11.0'),
    torchIn(join(home, '.pyenv', 'versions', '3.12.1'), '2.10.0'),
    torchIn(join(home, 'envs', 'vision'), '2.9.0'),
    torchIn(join(home, 'miniconda3', 'envs', 'other'), '2.8.0'),
  ]
  torchIn(join(home, 'miniforge3'), '1.13.0') // too old
  const roots: string[] = []
  for await (const { libtorch } of lookForLibTorch({ env: { ...env, PATH: join(home, 'bin') } }))
    if (libtorch?.root.startsWith(home)) roots.push(libtorch.root)
  t.deepEqual(roots, expected)
  const { libtorch } = await searchLibTorch({ env: { ...env, PATH: join(home, 'bin') } })
  t.like(libtorch, { root: expected[0], source: 'another Python' })
})

/** A LibTorch as Debian's packages lay it out: libraries in a folder for the processor, headers among others. */
function asDebian(root: string): string {
  linkableLibTorch(root, { version: 'archive:2.6.0' })
  const triple = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch as 'x64']
  renameSync(join(root, 'lib'), join(root, 'libraries'))
  mkdirSync(join(root, 'lib'))
  renameSync(join(root, 'libraries'), join(root, 'lib', triple))
  return root
}

const onLinux = needing('linux', process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch))

onLinux("a LibTorch in the layout of Debian's packages is one, and an addon is built against it and loads", (t) => {
  const root = asDebian(join(temporaryFolder(t), 'usr'))
  t.like(describeLibTorch(root, 'LIBTORCH'), { version: '2.6.0', cuda: false })
  const copy = copyPackage(t)
  const env = { LIBTORCH: root, GRADCAM_CACHE: temporaryFolder(t), GRADCAM_WERROR: undefined }
  const built = gradcam(['build'], env, copy)
  t.is(built.code, 0, built.stderr)
  const load = `require(${JSON.stringify(join(copy, 'build', 'gradcam.node'))}).info().torchVersion`
  t.is(runNode(['-p', load]).stdout, 'small\n')
})

test('a LIBTORCH that is nearly right is corrected: the folder of libraries, and an archive that was not unpacked', async (t) => {
  const { home, env } = machine(t)
  const root = fakeLibTorch(join(home, 'libtorch'))
  const libraries = await t.throwsAsync(searchLibTorch({ env: { ...env, LIBTORCH: join(root, 'lib') } }))
  t.true(libraries.message.includes(`Set LIBTORCH=${root}.`), libraries.message)
  const archive = join(home, 'libtorch-shared-with-deps.zip')
  writeFileSync(archive, 'PK')
  const packed = await t.throwsAsync(searchLibTorch({ env: { ...env, LIBTORCH: archive } }))
  t.regex(packed.message, /Unpack that file/)
})

onPosix('doctor lists every LibTorch, and why one was taken', (t) => {
  const { home, env } = machine(t)
  const taken = torchIn(join(home, 'active'), '2.9.0')
  const other = torchIn(join(home, '.pyenv', 'versions', '3.12.1'), '2.10.0')
  const { stdout } = gradcam(['doctor', '--json'], { ...env, VIRTUAL_ENV: join(home, 'active') }, copyPackage(t))
  const check = (JSON.parse(stdout) as DoctorReport).checks.find(({ name }) => name === 'LibTorch')
  t.like(check?.details, { root: taken, source: 'environment' })
  t.regex(check?.found ?? '', /2\.9\.0.*the Python environment's PyTorch.*also here: .*2\.10\.0 in /)
  t.true(String(check?.details['others']).split('\n').includes(other))
})
