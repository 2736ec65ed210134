import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import {
  compilerRemedy,
  describeLibTorch,
  findCompiler,
  lastLines,
  libraryPath,
  nativeBatches,
  packageRoot,
  readBuildInfo,
  run,
  toolMissing,
  workFolder,
} from '#internal'
import { cachedFolder } from '#test-support/cached-folder.js'

/** The LibTorch that the addon was built with. */
export function builtWith() {
  const info = readBuildInfo()
  if (!info) throw new Error('The addon is not built: npm run build')
  return { ...describeLibTorch(info.libtorch.root, info.libtorch.source), builder: info.builder, addon: info.addon }
}

/**
 * Compiles scripts/bench/workers/NAME.cc with the addon's flags, against the addon's LibTorch; with `core`, links the very
 * object files of native/core that the addon is made of. Done once for the same sources.
 */
export async function compile(name, { core = false } = {}) {
  const source = join(import.meta.dirname, 'workers', `${name}.cc`)
  const libtorch = builtWith()
  const flags = readFileSync(join(packageRoot, 'native', 'flags.txt'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('-'))
  const key = [readFileSync(source, 'utf8'), ...flags, libtorch.root, libtorch.fingerprint, core ? libtorch.addon : '']
  const folder = await cachedFolder(`bench-${name}`, key, async (partial) => {
    const compiler = await findCompiler()
    if (!compiler) throw toolMissing('A C++ compiler', compilerRemedy())
    mkdirSync(partial)
    const includes = ['include', join('include', 'torch', 'csrc', 'api', 'include')]
    const names = ['torch', 'torch_cpu', 'c10', ...(libtorch.cuda ? ['torch_cuda', 'c10_cuda'] : [])]
    const linux = ['-Wl,--no-as-needed', '-Wl,--disable-new-dtags']
    const result = await run(compiler.command, [
      ...flags,
      `-D_GLIBCXX_USE_CXX11_ABI=${libtorch.cxx11Abi ? 1 : 0}`,
      `-I${join(packageRoot, 'native')}`,
      ...includes.flatMap((path) => ['-isystem', join(libtorch.root, path)]),
      source,
      ...(core ? coreObjects(libtorch.builder) : []),
      '-o',
      join(partial, name),
      ...(process.platform === 'linux' ? linux : []),
      ...names.map((library) => libraryPath(libtorch.root, library)),
      `-Wl,-rpath,${join(libtorch.root, 'lib')}`,
    ])
    if (result.code !== 0) throw new Error(`${name}.cc does not compile:\n${lastLines(result.stderr, 20)}`)
  })
  return join(folder, name)
}

/** The object files of native/core. Those of sources or batches that have gone since lie in the same folder. */
function coreObjects(builder) {
  const work = workFolder(builder)
  const batches = nativeBatches().filter(({ name }) => name.startsWith('core-'))
  const names = new Set([
    ...batches.flatMap(({ name, files }) => [
      `${name}.o`,
      ...files.flatMap((file) => [`${basename(file)}.o`, basename(file).replace(/\.cc$/, '.o')]),
    ]),
    ...batches.map((_, index) => `unity_${index}_cxx.cxx.o`),
  ])
  const objects = readdirSync(work, { recursive: true, encoding: 'utf8' }).filter(
    (path) => /core/.test(path) && names.has(basename(path)),
  )
  if (objects.length === 0) throw new Error(`${work} holds no object files: remove build/ and run npm run build`)
  return objects.map((path) => join(work, path))
}
