import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { readBuildInfo } from '../../lib/addon/build-info.js'
import { describeLibTorch } from '../../lib/addon/describe.js'
import { packageRoot } from '../../lib/base/paths.js'
import { lastLines, run } from '../../lib/base/processes.js'
import { cachedFolder } from './cached-folder.js'

/** test/native/host/host.cc: another addon on the same LibTorch. */
export interface HostAddon {
  kernels(namespace: string): string
  usesDefaultAllocator(): boolean
}

const require = createRequire(import.meta.url)

/** Compiles it against the LibTorch that the addon was built with, and loads it into this process. */
export async function hostAddon(): Promise<HostAddon> {
  const source = join(packageRoot, 'test', 'native', 'host', 'host.cc')
  const info = readBuildInfo()
  if (!info) throw new Error('the addon was not built here, so that its LibTorch is not known')
  const { root } = info.libtorch
  const headers = join(dirname(require.resolve('node-api-headers/package.json')), 'include')
  const flags = [
    '-std=c++20',
    '-shared',
    '-fPIC',
    `-D_GLIBCXX_USE_CXX11_ABI=${describeLibTorch(root, 'LIBTORCH').cxx11Abi ? 1 : 0}`,
    ...[join(root, 'include'), headers].flatMap((folder) => ['-isystem', folder]),
  ]
  const folder = await cachedFolder(
    'host-addon',
    [readFileSync(source, 'utf8'), flags.join(' '), info.libtorch.fingerprint],
    async (partial) => {
      await mkdir(partial)
      const libraries = ['-L' + join(root, 'lib'), '-ltorch_cpu', '-lc10', `-Wl,-rpath,${join(root, 'lib')}`]
      const args = [...flags, source, '-o', join(partial, 'host.node'), ...libraries]
      const result = await run(process.env['CXX'] ?? 'c++', args)
      if (result.code !== 0) throw new Error(`host.cc does not compile:\n${lastLines(result.stderr, 15)}`)
    },
  )
  return require(join(folder, 'host.node')) as HostAddon
}
