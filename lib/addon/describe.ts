import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { GradCamError } from '../base/errors.js'

/**
 * Where a LibTorch was found: in the LIBTORCH variable, in the Python environment that is active or lies in the project's folder,
 * as python3's own PyTorch, in this package's private install, in another Python on the machine, or as a package of the system.
 */
export type LibTorchSource = 'LIBTORCH' | 'environment' | 'python3' | 'private install' | 'another Python' | 'system'

/** One LibTorch on this machine: headers, libraries and the facts that are needed to compile against them. */
export interface LibTorch {
  /** Absolute path of the folder with include/ and lib/, symbolic links resolved. */
  readonly root: string
  /** LibTorch's own version, e.g. '2.13.0+cpu'; 'unknown' where it carries no version file. */
  readonly version: string
  /** Whether it is a CUDA build: it may well run on a machine without a GPU. */
  readonly cuda: boolean
  /** The std::string it was compiled with: false for the pip wheels up to 2.5, whose string predates C++11. */
  readonly cxx11Abi: boolean
  /** Changes when the libraries change, although they are in the same folder. */
  readonly fingerprint: string
  readonly source: LibTorchSource
}

/** The oldest and newest minor versions that the native sources have been compiled against. */
export const oldestSupported = '2.4'
export const newestTried = '2.15'

const suffix = process.platform === 'darwin' ? 'dylib' : 'so'
const needed = ['torch', 'torch_cpu', 'c10']
const optional = ['torch_cuda', 'c10_cuda']

/** Debian and Ubuntu have a folder of libraries for each processor. */
const triple: Partial<Record<NodeJS.Architecture, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }

/**
 * The folder of LibTorch's libraries: `lib`, or for a LibTorch that the system's package manager put into /usr, the folder where
 * that puts libraries.
 */
export function libraryFolder(root: string): string {
  const folders = ['lib', 'lib64', join('lib', triple[process.arch] ?? '')].map((name) => join(root, name))
  return folders.find((folder) => existsSync(join(folder, `libc10.${suffix}`))) ?? join(root, 'lib')
}

/** The path of one of LibTorch's libraries, e.g. `libraryPath(root, 'c10')`. */
export function libraryPath(root: string, name: string): string {
  return join(libraryFolder(root), `lib${name}.${suffix}`)
}

/**
 * The files that a folder lacks to be a LibTorch; empty when it is one. Only names are checked, so it is cheap.
 */
export function missingFiles(root: string): string[] {
  const files = [join(root, 'include', 'torch', 'script.h'), ...needed.map((name) => libraryPath(root, name))]
  return files.filter((file) => !existsSync(file)).map((file) => relative(root, file))
}

/**
 * Describes the LibTorch in a folder.
 *
 * Throws ERR_LIBTORCH_NOT_FOUND when the folder is not a LibTorch or one older than 2.4.
 */
export function describeLibTorch(folder: string, source: LibTorchSource): LibTorch {
  const missing = missingFiles(folder)
  if (missing.length > 0) {
    throw new GradCamError(
      'ERR_LIBTORCH_NOT_FOUND',
      `${folder} is not a LibTorch: it has no ${missing.join(', no ')}.`,
      { details: { folder, missing } },
    )
  }
  const root = realpathSync(resolve(folder))
  const version = readVersion(root)
  if (version !== 'unknown' && compareVersions(version, oldestSupported) < 0) {
    throw new GradCamError(
      'ERR_LIBTORCH_NOT_FOUND',
      `${folder} is LibTorch ${version}: ${oldestSupported} or newer is required.`,
      { details: { folder, version } },
    )
  }
  return {
    root,
    version,
    cuda: existsSync(libraryPath(root, 'torch_cuda')),
    cxx11Abi: usesCxx11Strings(root),
    fingerprint: fingerprint(root, version),
    source,
  }
}

/**
 * Whether two fingerprints are of the same libraries wherever they were copied to: a container image, for one, gives
 * its files new times. A build compares the times too: an unnecessary build is better than a missed one.
 */
export function sameLibraries(a: string, b: string): boolean {
  const withoutTimes = (text: string): string => text.replace(/:\d+(?= |$)/g, '')
  return withoutTimes(a) === withoutTimes(b)
}

/** The fingerprint of the LibTorch that lies in a folder now, null where there is none any more. */
export function currentFingerprint(root: string): string | null {
  return missingFiles(root).length === 0 ? fingerprint(root, readVersion(root)) : null
}

/** Negative, zero or positive as version `a` is older than, as new as or newer than `b`; only `b`'s parts are compared. */
export function compareVersions(a: string, b: string): number {
  const left = a.split(/[.+]/).map(Number)
  for (const [index, part] of b.split('.').map(Number).entries()) {
    const difference = (left[index] ?? 0) - part
    if (difference !== 0) return difference
  }
  return 0
}

function fingerprint(root: string, version: string): string {
  const libraries = [...needed, ...optional].map((name) => {
    const stat = statSync(libraryPath(root, name), { throwIfNoEntry: false })
    return stat ? `${name}:${stat.size}:${Math.floor(stat.mtimeMs / 1000)}` : `${name}:none`
  })
  return [version, ...libraries].join(' ')
}

function readVersion(root: string): string {
  // The package that pip installs carries version.py, the archive on the site of PyTorch carries build-version.
  const python = readIfThere(join(root, 'version.py'))?.match(/^__version__\s*=\s*['"]([^'"]+)['"]/m)?.[1]
  const archive = readIfThere(join(root, 'build-version'))?.trim()
  const header = readIfThere(join(root, 'include', 'torch', 'csrc', 'api', 'include', 'torch', 'version.h'))
  return python ?? archive ?? header?.match(/^#define TORCH_VERSION "?([\d.]+)/m)?.[1] ?? headerParts(root) ?? 'unknown'
}

function headerParts(root: string): string | undefined {
  const text = readIfThere(join(root, 'include', 'torch', 'headeronly', 'version.h')) ?? ''
  const parts = ['MAJOR', 'MINOR', 'PATCH'].map((name) => text.match(new RegExp(`TORCH_VERSION_${name} (\\d+)`))?.[1])
  return parts.every((part) => part !== undefined) ? parts.join('.') : undefined
}

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/**
 * c10::Error's constructor takes a std::string: its mangled name says which one. The library is read rather than the
 * version, because builds of the same version differed.
 */
function usesCxx11Strings(root: string): boolean {
  if (process.platform !== 'linux') return true
  return !readFileSync(libraryPath(root, 'c10')).includes('_ZN3c105ErrorC1ENS_14SourceLocationESs')
}
