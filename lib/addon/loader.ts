import { existsSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { GradCamError } from '../base/errors.js'
import { currentFingerprint, sameLibraries } from './describe.js'
import { addonFile, buildInfoFile } from '../base/paths.js'
import type { NativeBinding } from './binding.js'
import { addonStamp, platform, readBuildInfo, type BuildInfo } from './build-info.js'
import { explainLoadError } from './load-errors.js'
import { withShortSpin } from './spinning-threads.js'

const require = createRequire(import.meta.url)
const rebuild = 'Run: npx gradcam build'

let loaded: NativeBinding | undefined

/**
 * Loads the addon: the file that GRADCAM_ADDON names, else the one that `gradcam build` made. Calls after the first
 * return the same binding.
 *
 * Throws ERR_ADDON_NOT_BUILT when there is none for this platform, ERR_ADDON_LOAD when there is one that cannot be used;
 * the message says what was tried, and the remedy how to fix it.
 */
export function loadAddon(): NativeBinding {
  loaded ??= load()
  return loaded
}

function load(): NativeBinding {
  const named = process.env['GRADCAM_ADDON']
  const file = named ? resolve(named) : addonFile
  const info = readBuildInfo(named ? join(dirname(file), 'build-info.json') : buildInfoFile)
  if (named && !existsSync(file)) {
    throw notBuilt(`GRADCAM_ADDON names ${file}, which does not exist`, 'Correct or unset GRADCAM_ADDON')
  }
  const problem = findProblem(file, info)
  if (problem) throw problem
  try {
    return withShortSpin(() => require(file) as NativeBinding)
  } catch (cause) {
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
    'It requires a C++ compiler, and Python 3 with pip where there is no PyTorch yet; `npx gradcam doctor` lists what is missing'
  return new GradCamError('ERR_ADDON_NOT_BUILT', `The native addon is not built: ${problem}.`, {
    remedy: `${remedy}. ${needs}.`,
  })
}

function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path)
}
