import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The package's own folder: the compiled files lie two levels deeper in a checkout and in an installed package alike. */
export const packageRoot: string = findPackageRoot(import.meta.url)

/** Everything a build makes: the addon, the record of what it was made with, and the builders' own folders. */
export const buildFolder: string = join(packageRoot, 'build')

/** The addon that `gradcam build` puts in place, whichever builder made it. */
export const addonFile: string = join(buildFolder, 'gradcam.node')

/** What the addon was built with, see BuildInfo. It lies beside the addon. */
export const buildInfoFile: string = join(buildFolder, 'build-info.json')

/** @param module the address of this file; a bundler may leave it out, or give that of the bundle */
function findPackageRoot(module: string | undefined): string {
  const file = module?.startsWith('file:') ? fileURLToPath(module) : null
  if (file === null || !/[\\/]lib[\\/]base[\\/]paths\.[jt]s$/.test(file)) throw new Error(bundled(file))
  let folder = dirname(file)
  while (!existsSync(join(folder, 'CMakeLists.txt'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error(`libtorch-gradcam is not complete: no CMakeLists.txt above ${file}`)
    folder = parent
  }
  return folder
}

/** The message for this package inside a bundle, where it has lost the addon, the programs and the images beside it. */
export function bundled(file: string | null): string {
  return (
    `libtorch-gradcam is in a bundle${file === null ? '' : ` (${file})`}, where it cannot find its own files. Leave it external: ` +
    '--external:libtorch-gradcam for esbuild, externals for webpack and Rollup, serverExternalPackages in next.config.js, ' +
    'ssr.external for Vite.'
  )
}
