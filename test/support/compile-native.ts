import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { nativeBatches, readBuildInfo, type BuildInfo } from '../../lib/addon/build-info.js'
import { describeLibTorch, libraryPath, type LibTorch } from '../../lib/addon/describe.js'
import { packageRoot } from '../../lib/base/paths.js'
import { lastLines, run } from '../../lib/base/processes.js'
import { objectSources, workFolder } from '../../lib/setup/build-with.js'
import { compilerRemedy, findCompiler, toolMissing } from '../../lib/setup/tools.js'
import { cachedFolder } from './cached-folder.js'

/** The LibTorch that the addon was built with, and by which builder. */
export function builtWith(): LibTorch & Pick<BuildInfo, 'builder' | 'addon' | 'sources'> {
  const info = readBuildInfo()
  if (!info) throw new Error('The addon is not built: npm run build')
  const { builder, addon, sources, libtorch } = info
  return { ...describeLibTorch(libtorch.root, libtorch.source), builder, addon, sources }
}

export interface NativeProgram {
  readonly name: string
  /** Compiled together, as one file: LibTorch's headers are parsed once. */
  readonly sources: readonly string[]
  /** Files that the sources include, and that are not part of the addon. */
  readonly headers?: readonly string[]
  /** Link the object files of native/core that the addon consists of. */
  readonly core?: boolean
  /** Besides the addon's own. */
  readonly flags?: readonly string[]
}

/**
 * Compiles a C++ program with the addon's flags, against the addon's LibTorch, and returns its path. Done once for the
 * same sources and the same addon.
 */
export async function compileNative({
  name,
  sources,
  headers = [],
  core = false,
  flags = [],
}: NativeProgram): Promise<string> {
  const libtorch = builtWith()
  const all = [...addonFlags(), ...flags]
  const texts = [...sources, ...headers].map((file) => readFileSync(file, 'utf8'))
  const key = [...texts, ...all, libtorch.root, libtorch.fingerprint, core ? libtorch.addon : '']
  const folder = await cachedFolder(`native-${name}`, key, async (partial) => {
    const compiler = await findCompiler()
    if (!compiler) throw toolMissing('A C++ compiler', compilerRemedy())
    mkdirSync(partial)
    const together = join(partial, `${name}.cc`)
    writeFileSync(together, sources.map((source) => `#include ${JSON.stringify(source)}\n`).join(''))
    const objects = core ? coreObjects(libtorch) : []
    const result = await run(compiler.command, [
      ...all,
      ...includeFlags(libtorch),
      together,
      ...objects,
      '-o',
      join(partial, name),
      ...linkFlags(libtorch),
    ])
    if (result.code !== 0) throw new Error(`${name} does not compile:\n${lastLines(result.stderr, 30)}`)
  })
  return join(folder, name)
}

function addonFlags(): string[] {
  const lines = readFileSync(join(packageRoot, 'native', 'flags.txt'), 'utf8').split('\n')
  return lines.filter((line) => line.startsWith('-'))
}

function includeFlags(libtorch: LibTorch): string[] {
  const includes = ['include', join('include', 'torch', 'csrc', 'api', 'include')]
  return [
    `-D_GLIBCXX_USE_CXX11_ABI=${libtorch.cxx11Abi ? 1 : 0}`,
    `-I${join(packageRoot, 'native')}`,
    ...includes.flatMap((path) => ['-isystem', join(libtorch.root, path)]),
  ]
}

function linkFlags(libtorch: LibTorch): string[] {
  // Not libtorch.so, which has no code and names libraries of CUDA that a small LibTorch has not.
  const names = ['torch_cpu', 'c10', ...(libtorch.cuda ? ['torch_cuda', 'c10_cuda'] : [])]
  const linux = ['-Wl,--no-as-needed', '-Wl,--disable-new-dtags']
  return [
    ...(process.platform === 'linux' ? linux : []),
    ...names.map((library) => libraryPath(libtorch.root, library)),
    `-Wl,-rpath,${join(libtorch.root, 'lib')}`,
  ]
}

/** The object files of native/core. The same folder also holds those of sources or batches that no longer exist. */
function coreObjects({ builder, sources }: Pick<BuildInfo, 'builder' | 'sources'>): string[] {
  if (builder === 'prebuilt' || objectSources(builder) !== sources)
    throw new Error('The object files of the addon are not here: npm run build -- --fresh')
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
