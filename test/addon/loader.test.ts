import {
  appendFileSync,
  cpSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { BuildInfo } from '../../lib/addon/build-info.js'
import { libraryPath } from '../../lib/addon/describe.js'
import { addonFile } from '../../lib/base/paths.js'
import { compileLibrary, linkableLibTorch } from '../support/fake-libtorch.js'
import { copyPackage, gradcam, runNode, temporaryFolder, type Ended } from '../support/package-copy.js'

const none = { LIBTORCH: undefined, GRADCAM_ADDON: undefined }

/** Loads a package's addon in a process of its own and prints what the error says. */
function load(root: string, env: NodeJS.ProcessEnv = {}): Ended {
  const program = `
    import { loadAddon } from ${JSON.stringify(join(root, 'dist', 'lib', 'addon', 'loader.js'))}
    try {
      loadAddon()
      console.log('loaded')
    } catch (error) {
      console.log(error.name, error.code, error.message)
    }`
  return runNode(['--input-type=module', '--eval', program], { ...none, ...env })
}

/** What one build made, in a package of its own: `built` hands out copies, since tests take them apart. */
let made: { root: string; libtorch: string } | undefined

test.before((t) => {
  const root = copyPackage(null)
  const libtorch = linkableLibTorch(join(temporaryFolder(null), 'torch'))
  const { code, stderr } = gradcam(['build'], { ...none, LIBTORCH: libtorch }, root)
  t.is(code, 0, stderr)
  made = { root, libtorch }
})

function built(t: ExecutionContext) {
  if (!made) throw new Error('nothing was built')
  const root = copyPackage(t)
  const libtorch = join(temporaryFolder(t), 'torch')
  const addon = join(root, 'build', 'gradcam.node')
  const info = join(root, 'build', 'build-info.json')
  cpSync(made.libtorch, libtorch, { recursive: true })
  cpSync(join(made.root, 'build', 'gradcam.node'), addon)
  const text = readFileSync(join(made.root, 'build', 'build-info.json'), 'utf8')
  writeFileSync(info, text.replaceAll(made.libtorch, libtorch))
  return { root, libtorch, addon, info }
}

test('no addon: one error that says what was looked for and what to do', (t) => {
  const { code, stdout } = load(copyPackage(t))
  t.is(code, 0)
  t.regex(stdout, /^GradCamError ERR_ADDON_NOT_BUILT .*gradcam\.node does not exist\. Run: npx gradcam build\./)
})

test('importing the package needs no addon; using it without one is the same error', (t) => {
  const root = copyPackage(t)
  const program = `
    import { Tensor, doctor } from ${JSON.stringify(join(root, 'dist', 'lib', 'index.js'))}
    try {
      Tensor.from([1])
    } catch (error) {
      console.log(error.code)
    }
    console.log((await doctor()).ok)`
  const { stdout, stderr } = runNode(['--input-type=module', '--eval', program], none)
  t.is(stdout, 'ERR_ADDON_NOT_BUILT\nfalse\n', stderr)
})

test('an addon loads with the LibTorch that it was built against, and no longer once that one changed or went', (t) => {
  const { root, libtorch } = built(t)
  t.is(load(root).stdout, 'loaded\n')
  t.is(load(root, { LIBTORCH: libtorch }).stdout, 'loaded\n')

  const other = linkableLibTorch(join(temporaryFolder(t), 'torch'), { version: '2.9.0' })
  t.regex(
    load(root, { LIBTORCH: other }).stdout,
    /ERR_ADDON_LOAD .*built against LibTorch 2\.13\.0 .* LIBTORCH now names .*npx gradcam build, or unset/,
  )

  utimesSync(libraryPath(libtorch, 'torch_cpu'), new Date(0), new Date(0))
  t.is(load(root).stdout, 'loaded\n', 'the same libraries, copied')
  appendFileSync(libraryPath(libtorch, 'torch_cpu'), 'another build')
  t.regex(load(root).stdout, /ERR_ADDON_LOAD .*has changed since.*Run: npx gradcam build/)

  renameSync(libtorch, `${libtorch}-aside`)
  t.regex(load(root).stdout, /ERR_ADDON_LOAD .*which no longer exists\. Run: npx gradcam build/)
})

test('an addon for another platform is not loaded', (t) => {
  const { root, info } = built(t)
  const record = JSON.parse(readFileSync(info, 'utf8')) as BuildInfo
  writeFileSync(info, JSON.stringify({ ...record, platform: 'sunos-mips' }))
  t.regex(load(root).stdout, /ERR_ADDON_NOT_BUILT .*built for sunos-mips and this is .*on this machine/)
})

test('a damaged addon, and a file that is none', (t) => {
  const { root, addon } = built(t)
  truncateSync(addon, 100)
  t.regex(load(root).stdout, /ERR_ADDON_LOAD .*(damaged|not an addon for this platform)/)
  writeFileSync(addon, 'text')
  t.regex(load(root).stdout, /ERR_ADDON_LOAD .*(damaged|not an addon for this platform).*Run: npx gradcam build/)
})

test('GRADCAM_ADDON names another addon', (t) => {
  const { root } = built(t)
  const bare = copyPackage(t)
  t.is(load(bare, { GRADCAM_ADDON: join(root, 'build', 'gradcam.node') }).stdout, 'loaded\n')
  t.regex(
    load(bare, { GRADCAM_ADDON: '/no/such.node' }).stdout,
    /ERR_ADDON_NOT_BUILT .*GRADCAM_ADDON names \/no\/such\.node.*unset/,
  )
})

test("the dynamic loader's words are explained: a library that is gone, a symbol that is not there", (t) => {
  if (process.platform !== 'linux') {
    t.pass('the words are those of Linux')
    return
  }
  const folder = temporaryFolder(t)
  const bare = copyPackage(t)
  const needs = (name: string): string => {
    const library = join(folder, `lib${name}.so`)
    const addon = join(folder, `needs-${name}.node`)
    compileLibrary(library, `extern "C" int f_${name.replace(/\W/g, '_')}() { return 1; }`)
    compileLibrary(addon, '', '-Wl,--no-as-needed', library)
    rmSync(library)
    return addon
  }
  t.regex(
    load(bare, { GRADCAM_ADDON: needs('torch_cpu') }).stdout,
    /LibTorch's libtorch_cpu\.so is not found\. .*Run: npx gradcam build/,
  )
  t.regex(
    load(bare, { GRADCAM_ADDON: needs('cudart') }).stdout,
    /the library libcudart\.so, which LibTorch needs, is missing\. .*Install/,
  )

  const unresolved = join(folder, 'unresolved.node')
  compileLibrary(unresolved, 'extern "C" int not_there(); extern "C" int calls() { return not_there(); }', '-Wl,-z,now')
  t.regex(
    load(bare, { GRADCAM_ADDON: unresolved }).stdout,
    /\(not_there\) is not in the LibTorch that was loaded.*LD_LIBRARY_PATH/,
  )

  const stranger = join(folder, 'stranger.node')
  compileLibrary(stranger, '')
  t.regex(load(bare, { GRADCAM_ADDON: stranger }).stdout, /it is not an addon of this package/)
})

test('the addon of the package under test is linked as it must be', (t) => {
  t.true(existsSync(addonFile), 'npm run build comes before the tests')
  if (process.platform !== 'linux') return
  const words = runNode([
    '-e',
    `process.stdout.write(require('child_process').execFileSync('readelf', ['-d', ${JSON.stringify(addonFile)}]))`,
  ]).stdout
  t.regex(words, /NODELETE/, 'a thread that outlives its Worker must not lose its code')
  t.regex(words, /\(RPATH\)/, 'LD_LIBRARY_PATH must not put another LibTorch in place of the one it was built with')
})
