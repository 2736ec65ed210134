import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { GradCamError } from '../../lib/base/errors.js'
import { compareVersions, currentFingerprint, describeLibTorch, libraryPath } from '../../lib/addon/describe.js'
import { searchLibTorch } from '../../lib/setup/libtorch/find.js'
import { fakeLibTorch } from '../support/fake-libtorch.js'
import { temporaryFolder } from '../support/package-copy.js'

/** The environment of this process without what would lead to a LibTorch of this machine. */
function bareEnv(cache: string): NodeJS.ProcessEnv {
  return { ...process.env, LIBTORCH: undefined, PYTHONPATH: undefined, GRADCAM_CACHE: cache }
}

test('LIBTORCH may name a torch package folder or an unpacked LibTorch', async (t) => {
  const folder = temporaryFolder(t)
  const pip = fakeLibTorch(join(folder, 'site-packages', 'torch'), { version: '2.9.1+cu130', cuda: true })
  const unpacked = fakeLibTorch(join(folder, 'libtorch'), { version: 'archive:2.4.0+cpu' })
  for (const [root, version, cuda] of [
    [pip, '2.9.1+cu130', true],
    [unpacked, '2.4.0+cpu', false],
  ] as const) {
    const { libtorch } = await searchLibTorch({ env: { ...bareEnv(folder), LIBTORCH: root } })
    t.like(libtorch, { root, version, cuda, source: 'LIBTORCH' })
  }
})

test('a LIBTORCH that will not do is an error that says what was expected', async (t) => {
  const folder = temporaryFolder(t)
  const empty = await t.throwsAsync(searchLibTorch({ env: { ...bareEnv(folder), LIBTORCH: folder } }), {
    instanceOf: GradCamError,
    code: 'ERR_LIBTORCH_NOT_FOUND',
  })
  t.regex(empty.message, /include\/torch\/script\.h/)
  t.regex(empty.message, /site-packages\/torch/)

  fakeLibTorch(join(folder, 'torch'))
  for (const [name, why] of [
    [join(folder, 'nothing'), /nothing does not exist\. Set LIBTORCH to an unpacked/],
    [fileURLToPath(import.meta.url), /\.js is a file\. /],
    ['/no/such/libtorch.zip', /does not exist\. Unpack that file/],
  ] as const)
    await t.throwsAsync(searchLibTorch({ env: { ...bareEnv(folder), LIBTORCH: name } }), { message: why })
  const outside = await t.throwsAsync(searchLibTorch({ env: { ...bareEnv(folder), LIBTORCH: folder } }))
  t.true(outside.message.includes(`Set LIBTORCH=${join(folder, 'torch')}`), 'the folder inside it is named')

  const old = fakeLibTorch(join(folder, 'old'), { version: '2.3.1' })
  const tooOld = await t.throwsAsync(searchLibTorch({ env: { ...bareEnv(folder), LIBTORCH: old } }))
  t.regex(tooOld.message, /2\.3\.1.*2\.4 or newer/)
})

test('the PyTorch that python3 imports is found without importing it, and a private install only after it', async (t) => {
  const folder = temporaryFolder(t)
  const python = fakeLibTorch(join(folder, 'packages', 'torch'), { version: '2.8.0' })
  const cached = fakeLibTorch(join(folder, 'cache', 'pytorch-2.13.0-cpu', 'site', 'torch'), { version: '2.13.0+cpu' })
  writeFileSync(join(folder, 'cache', 'pytorch-2.13.0-cpu', 'install.json'), '{}')
  const env = bareEnv(join(folder, 'cache'))
  const first = await searchLibTorch({ env: { ...env, PYTHONPATH: join(folder, 'packages') } })
  t.like(first.libtorch, { root: python, version: '2.8.0', source: 'python3' })

  const noPython = { ...env, PATH: join(folder, 'no-such-folder') }
  const second = await searchLibTorch({ env: noPython })
  t.like(second.libtorch, { root: cached, source: 'private install' })
  t.true(second.tried.some((line) => line.includes('python3')))

  const cuda = await searchLibTorch({ env: noPython, cuda: true })
  t.is(cuda.libtorch, null, 'a CPU build will not do where a CUDA build is required')
})

test('a python3 whose torch is not a LibTorch is passed over, and what was tried says why', async (t) => {
  const folder = temporaryFolder(t)
  const python = fakeLibTorch(join(folder, 'torch'))
  rmSync(libraryPath(python, 'c10'))
  const { tried } = await searchLibTorch({ env: { ...bareEnv(folder), PYTHONPATH: folder } })
  t.true(
    tried.some((line) => line.includes('torch package is not usable') && line.includes('libc10')),
    tried.join('\n'),
  )
})

test.serial('a folder named torch in the working folder is not taken for an installed PyTorch', async (t) => {
  const folder = temporaryFolder(t)
  fakeLibTorch(join(folder, 'torch'))
  const before = process.cwd()
  process.chdir(folder)
  try {
    const { libtorch } = await searchLibTorch({ env: bareEnv(folder) })
    t.not(libtorch?.root, join(folder, 'torch'))
  } finally {
    process.chdir(before)
  }
})

test('an install that was not finished is none', async (t) => {
  const folder = temporaryFolder(t)
  const env = { ...bareEnv(folder), PATH: '' }
  const site = fakeLibTorch(join(folder, 'pytorch-2.13.0-cpu', 'site', 'torch'))
  t.is((await searchLibTorch({ env })).libtorch, null, 'no record')
  writeFileSync(join(folder, 'pytorch-2.13.0-cpu', 'install.json'), '{}')
  t.is((await searchLibTorch({ env })).libtorch?.root, site)
  rmSync(libraryPath(site, 'torch_cpu'))
  t.is((await searchLibTorch({ env })).libtorch, null, 'a library is gone')
})

test('the std::string of a LibTorch is read from its library', (t) => {
  if (process.platform !== 'linux') {
    t.pass('other systems have one std::string')
    return
  }
  const folder = temporaryFolder(t)
  const old = fakeLibTorch(join(folder, 'old'), { symbols: '_ZN3c105ErrorC1ENS_14SourceLocationESs' })
  const now = fakeLibTorch(join(folder, 'now'), {
    symbols: '_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx1112basic_string',
  })
  t.false(describeLibTorch(old, 'LIBTORCH').cxx11Abi)
  t.true(describeLibTorch(now, 'LIBTORCH').cxx11Abi)
})

test('the fingerprint changes with the libraries and stays over a link to them', (t) => {
  const folder = temporaryFolder(t)
  const root = fakeLibTorch(join(folder, 'torch'))
  const { fingerprint } = describeLibTorch(root, 'LIBTORCH')
  symlinkSync(root, join(folder, 'link'))
  const linked = describeLibTorch(join(folder, 'link'), 'LIBTORCH')
  t.is(linked.root, root)
  t.is(linked.fingerprint, fingerprint)
  t.is(currentFingerprint(root), fingerprint)

  utimesSync(libraryPath(root, 'torch_cpu'), new Date(0), new Date(0))
  t.not(currentFingerprint(root), fingerprint)
  mkdirSync(join(folder, 'aside'))
  renameSync(root, join(folder, 'aside', 'torch'))
  t.is(currentFingerprint(root), null)
})

test('versions are compared by number', (t) => {
  t.true(compareVersions('2.13.0+cu130', '2.4') > 0)
  t.true(compareVersions('2.3.1', '2.4') < 0)
  t.is(compareVersions('2.13.0+cpu', '2.13.0'), 0)
})
