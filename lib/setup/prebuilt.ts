import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { hashSources, platform } from '../addon/build-info.js'
import type { LibTorch } from '../addon/describe.js'
import { packageRoot } from '../base/paths.js'
import { pinnedVersion } from './libtorch/find.js'

const require = createRequire(import.meta.url)

/** The package that holds the addons of this platform; it is an optional dependency of the published package. */
export const prebuiltPackage = `@libtorch-gradcam/${platform}`

/** What such a package says of its addons, in prebuilt.json. */
export interface PrebuiltManifest {
  /** The hash of the sources that they were built from: addons of other sources do not fit the TypeScript here. */
  readonly sources: string
  /** The file of each minor version of LibTorch, e.g. '2.13': its functions change from one to the next. */
  readonly addons: Readonly<Record<string, string>>
}

/**
 * The addon that was built for this platform and LibTorch, from the package that npm installed beside this one; null where
 * there is none.
 */
export function findPrebuilt(libtorch: LibTorch): string | null {
  // The wheels up to 2.5 have the std::string of before C++11, which no prebuilt addon has.
  if (!libtorch.cxx11Abi) return null
  const manifest = readManifest()
  const minor = /^\d+\.\d+/.exec(libtorch.version)?.[0]
  const file = minor === undefined ? undefined : manifest?.addons[minor]
  if (!manifest || file === undefined || manifest.sources !== hashSources()) return null
  const path = join(manifest.folder, file)
  return existsSync(path) ? path : null
}

/** The minor versions of LibTorch for which npm installed an addon; none where it installed none. */
export const prebuiltMinors = (): string[] => Object.keys(readManifest()?.addons ?? {})

/** Whether npm installed an addon for the PyTorch that pip would install. */
export const servesPinned = (): boolean => prebuiltMinors().some((minor) => pinnedVersion.startsWith(`${minor}.`))

/** Whether the package with the addons of this platform is published and was not installed: npm leaves it out with --omit=optional. */
export function prebuiltLeftOut(): boolean {
  const { optionalDependencies = {} } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    optionalDependencies?: Readonly<Record<string, string>>
  }
  return prebuiltPackage in optionalDependencies && readManifest() === null
}

/** What to do where it was left out. */
export const leftOutRemedy = `Run: npm install --include=optional (${prebuiltPackage}, which holds the addon, is an optional dependency).`

function readManifest(): (PrebuiltManifest & { readonly folder: string }) | null {
  try {
    const file = require.resolve(`${prebuiltPackage}/prebuilt.json`)
    return { ...(JSON.parse(readFileSync(file, 'utf8')) as PrebuiltManifest), folder: dirname(file) }
  } catch {
    return null
  }
}
