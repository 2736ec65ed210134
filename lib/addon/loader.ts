import { existsSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { GradCamError } from '../base/errors.js'
import { currentFingerprint, sameLibraries } from './describe.js'
import { addonFile, buildInfoFile, bundled } from '../base/paths.js'
import type { NativeBinding } from './binding.js'
import { addonStamp, platform, readBuildInfo, type BuildInfo } from './build-info.js'
import { explainLoadError } from './load-errors.js'
import { takeAddon, takenFolders, touch } from './taken.js'
import { withShortSpin } from './spinning-threads.js'

const require = createRequire(import.meta.url)
const rebuild = 'Run: npx gradcam build'
const namedRemedy = 'Correct or unset GRADCAM_ADDON'

let loaded: { readonly binding: NativeBinding; readonly file: string } | undefined

/**
 * Loads the addon: the file that GRADCAM_ADDON names, else the one that `gradcam build` made, else one that needs no compiler: the
 * one that npm installed for this platform, or that another project of this user built, for the LibTorch of this machine. Calls
 * after the first return the same binding.
 *
 * Throws ERR_ADDON_NOT_BUILT when there is none for this platform, ERR_ADDON_LOAD when there is one that cannot be used;
 * the message says what was tried, and the remedy how to fix it.
 */
export function loadAddon(): NativeBinding {
  return (loaded ??= load()).binding
}

/** The file of the addon that {@link loadAddon} loads; it is loaded for that. */
export function loadedFile(): string {
  return (loaded ??= load()).file
}

function load(): { binding: NativeBinding; file: string } {
  const file = findAddon()
  const info = readBuildInfo(join(dirname(file), 'build-info.json'))
  try {
    return { binding: withShortSpin(() => require(/* turbopackIgnore: true */ file) as NativeBinding), file }
  } catch (cause) {
    // A bundler put something else instead of `require`.
    if ((cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND' && existsSync(file))
      throw new GradCamError('ERR_ADDON_LOAD', bundled(null), { details: { file }, cause })
    const builtWith = info
      ? ` It was built with ${info.builder} against LibTorch ${info.libtorch.version} in ${info.libtorch.root}.`
      : ''
    const { meaning, remedy } = explainLoadError((cause as Error).message, info)
    const system = (cause as Error).message.split('\n')[0]
    throw new GradCamError(
      'ERR_ADDON_LOAD',
      `The addon ${file} does not load: ${meaning}.${builtWith} (The system reports: ${system})`,
      { remedy: `${remedy}.`, details: { file, system }, cause },
    )
  }
}

function findAddon(): string {
  const named = process.env['GRADCAM_ADDON']
  if (named) {
    const file = resolve(named)
    if (!existsSync(file)) throw notBuilt(`GRADCAM_ADDON names ${file}, which does not exist`, namedRemedy)
    const problem = findProblem(file, readBuildInfo(join(dirname(file), 'build-info.json')))
    if (problem) throw problem
    return file
  }
  const built = findProblem(addonFile, readBuildInfo(buildInfoFile))
  if (!built) return addonFile
  const before = findTaken()
  if (before !== undefined) {
    touch(before)
    return join(before, 'gradcam.node')
  }
  const { folder, why, instead } = takeAddon()
  if (folder !== null) return join(folder, 'gradcam.node')
  if (existsSync(addonFile)) throw built
  throw notBuilt(`none that is ready fits (${why}), and ${addonFile} does not exist`, instead ?? rebuild)
}

/** The folder of an addon that was taken before and still fits its LibTorch. */
function findTaken(): string | undefined {
  return takenFolders().find((folder) => takenProblem(folder) === null)
}

/** Whether {@link loadAddon} has a file to load without a search: one that was named, built, or taken before. */
export function isAddonPlaced(): boolean {
  return Boolean(process.env['GRADCAM_ADDON']) || existsSync(addonFile) || findTaken() !== undefined
}

/** Unlike one that a person put somewhere, one that was taken has a record. */
function takenProblem(folder: string): GradCamError | null {
  const file = join(folder, 'gradcam.node')
  const info = existsSync(file) ? readBuildInfo(join(folder, 'build-info.json')) : null
  return info ? findProblem(file, info) : notBuilt(`${file} does not exist`, rebuild)
}

/** Problems that can be detected before the addon is loaded, whose own errors would be less clear. */
function findProblem(file: string, info: BuildInfo | null): GradCamError | null {
  if (!existsSync(file)) return notBuilt(`${file} does not exist`, rebuild)
  if (!info) return null
  if (info.platform !== platform) {
    return notBuilt(`${file} was built for ${info.platform} and this is ${platform}`, `${rebuild} on this machine`)
  }
  // A file put there by hand has nothing to do with the record beside it.
  if (info.addon !== addonStamp(file)) return null
  const { root, version, fingerprint } = info.libtorch
  const against = `The addon was built against LibTorch ${version} in ${root}`
  const now = currentFingerprint(root)
  if (now === null) {
    return new GradCamError('ERR_ADDON_LOAD', `${against}, which no longer exists.`, {
      remedy: `${rebuild} (it finds or installs another LibTorch).`,
    })
  }
  if (!sameLibraries(now, fingerprint)) {
    return new GradCamError('ERR_ADDON_LOAD', `${against}, which has changed since (it is ${now.split(' ')[0]} now).`, {
      remedy: `${rebuild}.`,
    })
  }
  const named = process.env['LIBTORCH']
  if (named && realPath(named) !== root) {
    return new GradCamError('ERR_ADDON_LOAD', `${against}, and LIBTORCH now names ${named}.`, {
      remedy: `${rebuild}, or unset LIBTORCH.`,
    })
  }
  return null
}

function notBuilt(problem: string, remedy: string): GradCamError {
  const needs =
    'It requires a C++ compiler, and Python 3 with pip where PyTorch is not installed yet; `npx gradcam doctor` lists what is missing'
  const stop = remedy.endsWith('.') ? '' : '.'
  return new GradCamError('ERR_ADDON_NOT_BUILT', `The native addon is not built: ${problem}.`, {
    remedy: remedy.startsWith(rebuild) ? `${remedy}. ${needs}.` : `${remedy}${stop}`,
  })
}

function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path)
}
