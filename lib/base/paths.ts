import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The package's own folder: the compiled files lie two levels deeper in a checkout and in an installed package alike. */
export const packageRoot: string = findPackageRoot(dirname(fileURLToPath(import.meta.url)))

/** Everything a build makes: the addon, the record of what it was made with, and the builders' own folders. */
export const buildFolder: string = join(packageRoot, 'build')

/** The addon that `gradcam build` puts in place, whichever builder made it. */
export const addonFile: string = join(buildFolder, 'gradcam.node')

/** What the addon was built with, see BuildInfo. It lies beside the addon. */
export const buildInfoFile: string = join(buildFolder, 'build-info.json')

function findPackageRoot(from: string): string {
  let folder = from
  while (!existsSync(join(folder, 'CMakeLists.txt'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error(`libtorch-gradcam is not complete: no CMakeLists.txt above ${from}`)
    folder = parent
  }
  return folder
}
