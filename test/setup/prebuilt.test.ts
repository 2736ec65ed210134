import { readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { addonFile, packageRoot } from '../../lib/base/paths.js'
import { prebuiltPackage } from '../../lib/setup/prebuilt.js'
import { compileLibrary, linkableLibTorch } from '../support/fake-libtorch.js'
import { needing } from '../support/needs.js'
import { copyPackage, gradcam, runNode, smallAddon, temporaryFolder } from '../support/package-copy.js'
import { builtPackage, installPrebuilt } from '../support/prebuilt.js'

const onLinux = needing('linux', process.platform === 'linux')

const versions = join(packageRoot, 'scripts', 'build', 'symbol-versions.mjs')
const { tooNew } = (await import(pathToFileURL(versions).href)) as { tooNew: (file: string) => string[] }

onLinux('a prebuilt addon is taken without a compiler, and finds LibTorch by a link beside it', (t) => {
  const { root: built, libtorch, env } = builtPackage(t)
  const root = copyPackage(t)
  const prebuilt = installPrebuilt(built, root)
  const text = readFileSync(prebuilt).toString('latin1')
  t.false(text.includes(libtorch) || text.includes(built), 'no path of the machine that built it')

  const noCompiler = {
    ...env,
    PATH: dirname(process.execPath),
    CXX: 'no-such-compiler',
    GRADCAM_CACHE: temporaryFolder(t),
  }
  const taken = gradcam(['build'], noCompiler, root)
  t.regex(taken.stdout, /^Prebuilt for this platform: .*gradcam\.node \(prebuilt, LibTorch 2\.13\.0\)/, taken.stderr)
  t.deepEqual(readFileSync(join(root, 'build', 'gradcam.node')), readFileSync(prebuilt))
  t.is(readlinkSync(join(root, 'build', 'torch')), libtorch)
  t.regex(gradcam(['build'], noCompiler, root).stdout, /^Up to date/)
  const loads = runNode(['-p', `require(${JSON.stringify(join(root, 'build', 'gradcam.node'))}).info().torchVersion`])
  t.is(loads.stdout, 'small\n', loads.stderr)

  const moved = linkableLibTorch(join(temporaryFolder(t), 'torch'))
  t.regex(gradcam(['build'], { ...noCompiler, LIBTORCH: moved }, root).stdout, /^Prebuilt/, 'LibTorch is elsewhere now')
  t.is(readlinkSync(join(root, 'build', 'torch')), moved)
})

onLinux('where npm left it out, as with --omit=optional, that is said before a compiler is asked for', (t) => {
  const root = copyPackage(t)
  const file = join(root, 'package.json')
  const facts = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  writeFileSync(file, JSON.stringify({ ...facts, optionalDependencies: { [prebuiltPackage]: '0.1.0' } }))
  const libtorch = linkableLibTorch(join(temporaryFolder(t), 'torch'))
  const env = { LIBTORCH: libtorch, GRADCAM_CACHE: temporaryFolder(t), PATH: temporaryFolder(t), CXX: undefined }
  t.regex(gradcam(['build'], env, root).stderr, /npm install --include=optional.*Or compile it\. Install/)
  const index = pathToFileURL(join(root, 'dist', 'lib', 'index.js')).href
  const { stderr } = runNode(['-e', `import('${index}').then(({ Tensor }) => Tensor.zeros([1]))`], env)
  t.regex(stderr, /is not installed, .*Run: npm install --include=optional/s)
})

onLinux('it is passed over for another LibTorch, other sources, on request, and where it does not load', (t) => {
  const { root: built, env } = builtPackage(t)
  const compiles = (root: string, args: string[] = [], more: NodeJS.ProcessEnv = {}): void => {
    const { stdout, stderr } = gradcam(['build', ...args], { ...env, GRADCAM_CACHE: temporaryFolder(t), ...more }, root)
    t.regex(stdout, /^Built/, stderr)
  }
  const another = copyPackage(t)
  installPrebuilt(built, another)
  compiles(another, [], { LIBTORCH: linkableLibTorch(join(temporaryFolder(t), 'torch'), { version: '2.12.1' }) })

  const changed = copyPackage(t)
  installPrebuilt(built, changed)
  writeFileSync(join(changed, 'native', 'node', 'addon.cc'), smallAddon('changed'))
  compiles(changed)

  const asked = copyPackage(t)
  installPrebuilt(built, asked)
  compiles(asked, ['--fresh'])

  const damaged = copyPackage(t)
  writeFileSync(installPrebuilt(built, damaged), 'not an addon')
  compiles(damaged)
})

const onFloor = needing('linux', process.platform === 'linux' && process.arch === 'x64')

onFloor("the addon loads wherever PyTorch's wheels do: it asks for no newer glibc and libstdc++", (t) => {
  t.deepEqual(tooNew(addonFile), [])
  // The check finds what is too new: pthread_once of the system at hand, where that has a newer one.
  const file = join(temporaryFolder(t), 'new.so')
  compileLibrary(
    file,
    '#include <threads.h>\nextern "C" void* call() { return reinterpret_cast<void*>(&thrd_create); }',
  )
  const glibc = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime
  if (Number(glibc?.split('.')[1]) >= 34) t.regex(tooNew(file).join('\n'), /thrd_create of GLIBC_2\.34, above 2\.28/)
})
