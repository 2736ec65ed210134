import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { LibTorch } from './describe.js'
import { addonFile, buildInfoFile, packageRoot } from '../base/paths.js'

/** The two programs that can build the addon. */
export type Builder = 'cmake-js' | 'node-gyp'

/** The record that lies beside an addon: what it was built with. Node's version is not in it: the addon speaks Node-API, which is stable. */
export interface BuildInfo {
  /** 'prebuilt' for the addon of a package that npm installed. */
  readonly builder: Builder | 'prebuilt'
  readonly platform: string
  readonly libtorch: Omit<LibTorch, 'cxx11Abi'>
  /** Of everything that the builders are told apart from the sources: when it changes, everything is built again. */
  readonly settings: string
  /** Of the sources and of the files that configure the build. */
  readonly sources: string
  /** Hash of the addon, so that a file which was put there by hand is not taken for this build's. */
  readonly addon: string
}

/** `process.platform` and `process.arch`, e.g. 'linux-x64'. */
export const platform = `${process.platform}-${process.arch}`

/** The record of the last build; null where nothing was built, or where the record is not valid. */
export function readBuildInfo(file: string = buildInfoFile): BuildInfo | null {
  try {
    const info = JSON.parse(readFileSync(file, 'utf8')) as Partial<BuildInfo>
    return info.libtorch && info.builder && info.platform ? (info as BuildInfo) : null
  } catch {
    return null
  }
}

/** The folder of the LibTorch that the addon in use was built with; null where its record is missing. */
export function libtorchRoot(): string | null {
  const named = process.env['GRADCAM_ADDON']
  const file = named ? join(dirname(resolve(named)), 'build-info.json') : buildInfoFile
  return readBuildInfo(file)?.libtorch.root ?? null
}

/** Changes when the addon file is replaced by another, not when it is copied. 'none' where there is no such file. */
export function addonStamp(file: string = addonFile): string {
  return existsSync(file) ? createHash('sha256').update(readFileSync(file)).digest('hex') : 'none'
}

/** The C++ sources by their paths from the package's folder: whatever lies in native/core and native/node. */
export function nativeSources(): string[] {
  return nativeFiles().filter((file) => file.endsWith('.cc') && /^native\/(core|node)\//.test(file))
}

/**
 * The sources in groups that are compiled as one file each: LibTorch's headers are parsed once for a group. No group mixes
 * native/core and native/node. CMake makes groups of the same size (UNITY_BUILD_BATCH_SIZE in CMakeLists.txt).
 */
export function nativeBatches(): { readonly name: string; readonly files: string[] }[] {
  const size = 8
  return ['core', 'node'].flatMap((part) => {
    const sources = nativeSources().filter((file) => file.startsWith(`native/${part}/`))
    return Array.from({ length: Math.ceil(sources.length / size) }, (_, i) => ({
      name: `${part}-${i}`,
      files: sources.slice(i * size, (i + 1) * size),
    }))
  })
}

/** A hash of all that the addon is compiled from, and of what says how. */
export function hashSources(): string {
  const hash = createHash('sha256')
  for (const file of ['CMakeLists.txt', ...nativeFiles()]) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(packageRoot, file)))
      .update('\0')
  }
  return hash.digest('hex')
}

export function hashText(...parts: string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex')
}

function nativeFiles(): string[] {
  return readdirSync(join(packageRoot, 'native'), { recursive: true, encoding: 'utf8' })
    .map((name) => `native/${name.replaceAll('\\', '/')}`)
    .filter((name) => /\.(cc|h|txt|gyp)$/.test(name) && !name.startsWith('native/test/'))
    .sort()
}
