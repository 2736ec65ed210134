import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { run } from '../../lib/base/processes.js'
import { linkableLibTorch } from '../support/fake-libtorch.js'
import { needing } from '../support/needs.js'
import { copyPackage, gradcam, runNode, temporaryFolder, type Ended } from '../support/package-copy.js'
import { builtPackage, installPrebuilt } from '../support/prebuilt.js'

const onLinux = needing('linux', process.platform === 'linux', test.serial)
const built = process.platform === 'linux' ? builtPackage(null) : null

/** A package as npm installs it, with an addon for its platform, on a machine without a compiler. */
function installed(t: ExecutionContext) {
  if (!built) throw new Error('nothing was built')
  const root = copyPackage(t)
  installPrebuilt(built.root, root)
  const [cache, temporary] = [join(temporaryFolder(t), 'cache'), temporaryFolder(t)]
  const env = {
    LIBTORCH: built.libtorch,
    GRADCAM_ADDON: undefined,
    GRADCAM_CACHE: cache,
    TMPDIR: temporary,
    PATH: dirname(process.execPath),
  }
  return { root, cache, temporary, env }
}

const program = (root: string): string[] => [
  '--input-type=module',
  '--eval',
  `import { loadAddon, loadedFile } from ${JSON.stringify(join(root, 'dist', 'lib', 'addon', 'loader.js'))}
  try {
    console.log(loadAddon().info().torchVersion, loadedFile())
  } catch (error) {
    console.log(error.code, error.message)
  }`,
]

const load = (root: string, env: NodeJS.ProcessEnv): Ended => runNode(program(root), env)

/** Whether it has to be looked for. */
const isPlaced = (root: string, env: NodeJS.ProcessEnv): string => {
  const loader = JSON.stringify(join(root, 'dist', 'lib', 'addon', 'loader.js'))
  const text = `import { isAddonPlaced } from ${loader}; console.log(isAddonPlaced())`
  return runNode(['--input-type=module', '--eval', text], env).stdout.trim()
}

const addonsIn = (cache: string): string[] =>
  existsSync(join(cache, 'addons')) ? readdirSync(join(cache, 'addons')).filter((name) => !name.startsWith('.')) : []

onLinux('an import takes the addon that npm installed, once, into the cache, and leaves the package as it is', (t) => {
  const { root, cache, temporary, env } = installed(t)
  t.is(isPlaced(root, env), 'false')
  const first = load(root, env)
  t.is(isPlaced(root, env), 'true')
  t.is(isPlaced(root, { ...env, LIBTORCH: temporary }), 'false', 'it is for another LibTorch')
  t.regex(first.stdout, /^small .*gradcam\.node\n$/, first.stdout)
  t.true(first.stdout.includes(join(cache, 'addons')))
  t.false(existsSync(join(root, 'build')))
  t.is(addonsIn(cache).length, 1)
  t.deepEqual(
    readdirSync(temporary).filter((name) => name.startsWith('gradcam-')),
    [],
    'nothing is made that is not needed',
  )
  // A second time nothing is searched: neither the package of npm nor a Python is looked at.
  const record = join(cache, 'addons', addonsIn(cache)[0] ?? '', 'build-info.json')
  t.like(JSON.parse(readFileSync(record, 'utf8')), { builder: 'prebuilt', libtorch: { root: built?.libtorch } })
  writeFileSync(join(root, 'dist', 'lib', 'setup', 'take-child.js'), 'throw new Error("searched again")')
  t.is(load(root, env).stdout, first.stdout)

  const moved = linkableLibTorch(join(temporaryFolder(t), 'torch'), { version: '2.9.0' })
  t.regex(
    load(root, { ...env, LIBTORCH: moved }).stdout,
    /^ERR_ADDON_NOT_BUILT /,
    'that of another LibTorch is not taken',
  )
})

onLinux('several processes that begin at once load one and the same file', async (t) => {
  const { root, cache, env } = installed(t)
  const ended = await Promise.all(
    [1, 2, 3].map(() => run(process.execPath, program(root), { env: { ...process.env, ...env } })),
  )
  t.is(new Set(ended.map(({ stdout }) => stdout)).size, 1, JSON.stringify(ended))
  t.regex(ended[0]?.stdout ?? '', /^small /)
  t.is(addonsIn(cache).length, 1)
})

onLinux('a cache that cannot be written: a folder of this user alone among the temporary files', (t) => {
  const { root, temporary, env } = installed(t)
  const readOnly = { ...env, GRADCAM_CACHE: '/dev/null/cache' }
  const own = join(temporary, `gradcam-${userInfo().uid}`)
  t.true(load(root, readOnly).stdout.includes(own))

  // What another user may write is not loaded as code, and neither is what a link leads to.
  const other = temporaryFolder(t)
  mkdirSync(join(other, `gradcam-${userInfo().uid}`))
  chmodSync(join(other, `gradcam-${userInfo().uid}`), 0o777)
  const refused = load(root, { ...readOnly, TMPDIR: other })
  t.regex(refused.stdout, /^ERR_ADDON_NOT_BUILT .*cannot be written/)
  const linked = temporaryFolder(t)
  symlinkSync(own, join(linked, `gradcam-${userInfo().uid}`))
  t.regex(load(root, { ...readOnly, TMPDIR: linked }).stdout, /^ERR_ADDON_NOT_BUILT /)
})

onLinux(
  'an addon of another project is taken where npm installed none, and what is missing is said where there is none',
  (t) => {
    if (!built) throw new Error('nothing was built')
    const { env } = installed(t)
    const bare = copyPackage(t)
    const inCache = { ...env, GRADCAM_CACHE: built.env.GRADCAM_CACHE }
    t.regex(load(bare, inCache).stdout, /^small /, 'it was built by `gradcam build` in another folder')

    const none = load(bare, env).stdout
    t.regex(
      none,
      /^ERR_ADDON_NOT_BUILT .*LibTorch 2\.13\.0 is here, @libtorch-gradcam\/\S+ is not installed.*npx gradcam build/,
    )
    const home = temporaryFolder(t)
    const nothing = { ...env, LIBTORCH: undefined, HOME: home, PYENV_ROOT: home, VIRTUAL_ENV: undefined }
    const { root } = installed(t)
    const without = runNode(program(root), nothing, home)
    t.regex(without.stdout, /^ERR_ADDON_NOT_BUILT .*LibTorch was not found: .*Run: npx gradcam setup\.\n$/)
  },
)

onLinux('a damaged one is passed over, and the error says that it does not load', (t) => {
  const { root, env } = installed(t)
  const platform = readdirSync(join(root, 'dist', 'node_modules', '@libtorch-gradcam'))[0] ?? ''
  const folder = join(root, 'dist', 'node_modules', '@libtorch-gradcam', platform, 'libtorch-2.13')
  writeFileSync(join(folder, 'gradcam.node'), 'not an addon')
  t.regex(load(root, env).stdout, /^ERR_ADDON_NOT_BUILT .*does not load.*npx gradcam build/)
})

onLinux('gradcam setup: LibTorch and the addon for it, and what comes next where there is none', (t) => {
  const { root, env } = installed(t)
  t.regex(gradcam(['setup'], env, root).stdout, /^LibTorch 2\.13\.0, CPU build: .*\nReady, with an addon for it\.\n$/)
  t.regex(gradcam(['setup'], env, copyPackage(t)).stdout, /\nNext: npx gradcam build compiles the addon for it\.\n$/)
})
