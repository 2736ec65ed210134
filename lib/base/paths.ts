import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

// The package runs from either: a folder with one file for each module, or one with the few that scripts/build/bundle.mjs
// makes of them.
const inLib = /^(.*[\\/]lib)[\\/]base[\\/]paths\.[jt]s$/
const inBundle = /^(.*[\\/]dist[\\/]bundle)[\\/].*\.js$/

/** The folder that holds index.js. */
const modules = modulesFolder(import.meta.url)

/** The package's own folder: the compiled modules lie two levels deeper in a checkout and in an installed package alike. */
export const packageRoot: string = dirname(dirname(modules))

/**
 * A program of lib that runs in a process or a thread of its own, e.g. model/trial-child.js: beside the modules that run now,
 * which are those of dist/bundle for a user and those of dist/lib for the tests. scripts/build/bundle.mjs finds the
 * programs by the calls of this function, each with a plain string.
 */
export function program(name: string): URL {
  return pathToFileURL(join(modules, name))
}

/** Everything a build makes: the addon, the record of what it was made with, and the builders' own folders. */
export const buildFolder: string = join(packageRoot, 'build')

/** The addon that `gradcam build` puts in place, whichever builder made it. */
export const addonFile: string = join(buildFolder, 'gradcam.node')

/** What the addon was built with, see BuildInfo. It lies beside the addon. */
export const buildInfoFile: string = join(buildFolder, 'build-info.json')

/** @param module the address of this file; another bundler may leave it out, or give that of its bundle */
function modulesFolder(module: string | undefined): string {
  const file = module?.startsWith('file:') ? fileURLToPath(module) : null
  const [, folder] = file?.match(inLib) ?? file?.match(inBundle) ?? []
  if (folder === undefined || !isOurs(dirname(dirname(folder)))) throw new Error(bundled(file))
  return folder
}

/** Somebody else's bundle may lie in a folder of that name, too. */
function isOurs(root: string): boolean {
  const file = join(root, 'package.json')
  return existsSync(file) && /"name": *"libtorch-gradcam"/.test(readFileSync(file, 'utf8'))
}

/** The message for this package inside a bundle, where it has lost the addon, the programs and the images beside it. */
export function bundled(file: string | null): string {
  return (
    `libtorch-gradcam is in a bundle${file === null ? '' : ` (${file})`}, where it cannot find its own files. Leave it external: ` +
    '--external:libtorch-gradcam for esbuild, externals for webpack and Rollup, serverExternalPackages in next.config.js, ' +
    'ssr.external for Vite.'
  )
}
