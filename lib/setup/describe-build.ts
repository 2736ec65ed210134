import { createRequire } from 'node:module'
import { hashSources, hashText, platform, type Builder, type BuildInfo } from '../addon/build-info.js'
import type { LibTorch } from '../addon/describe.js'
import { packageRoot } from '../base/paths.js'

const require = createRequire(import.meta.url)

/** What is chosen for a build; all else follows from the machine. */
export interface BuildSettings {
  /** cmake-js where it and a CMake are there, else node-gyp. */
  readonly builder?: Builder
  /** Let a warning in our own C++ fail the build: for CI. */
  readonly werror?: boolean
  /** For -fsanitize, e.g. 'address'. */
  readonly sanitize?: string
  /** Compile sources in batches (default true). */
  readonly unity?: boolean
}

/** What the record of a build says before there is an addon. */
export type NewBuild = Omit<BuildInfo, 'addon'> & { readonly builder: Builder }

/** What an addon depends on, whichever project builds it; null for one with a sanitizer, which is not kept. */
export function cacheKey(info: Omit<BuildInfo, 'addon'>, libtorch: LibTorch, options: BuildSettings): string | null {
  if (options.sanitize) return null
  return hashText(info.builder, info.sources, ...settingsOf(libtorch, options))
}

/** The record of a build with these settings. */
export function describeBuild(libtorch: LibTorch, builder: Builder, options: BuildSettings): NewBuild {
  const { cxx11Abi: _, ...rest } = libtorch
  const settings = hashText(packageRoot, ...settingsOf(libtorch, options))
  return { builder, platform, libtorch: rest, settings, sources: hashSources() }
}

/** All that a build depends on besides the sources and where they lie. */
function settingsOf(libtorch: LibTorch, options: BuildSettings): string[] {
  const environment = ['CXX', 'CXXFLAGS', 'LDFLAGS', 'CMAKE_GENERATOR'].map(
    (name) => `${name}=${process.env[name] ?? ''}`,
  )
  const { werror = false, sanitize = '', unity = true } = options
  const flags = [String(libtorch.cxx11Abi), String(werror), sanitize, String(unity), ...environment]
  return [platform, libtorch.root, libtorch.fingerprint, ...flags, ...headerVersions()]
}

/** The versions of the headers that are compiled in, wherever npm put them: dependencies may lie beside an installed package. */
function headerVersions(): string[] {
  return ['node-addon-api', 'node-api-headers'].map(
    (name) => (require(`${name}/package.json`) as { version: string }).version,
  )
}
