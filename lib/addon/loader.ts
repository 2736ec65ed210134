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
 * the message says what was tried and how to fix it.
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
    throw notBuilt([`GRADCAM_ADDON names ${file}, which is not there`], 'Correct or unset GRADCAM_ADDON')
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
    const said = (cause as Error).message.split('\n')[0]
    throw new GradCamError(
      'ERR_ADDON_LOAD',
      `The addon ${file} does not load: ${meaning}.${builtWith} ${remedy}. (The system said: ${said})`,
      { cause },
    )
  }
}

/** What can be seen before the addon is loaded: loading it into this process could do no more than fail less clearly. */
function findProblem(file: string, info: BuildInfo | null): GradCamError | null {
  if (!existsSync(file)) return notBuilt([`${file} is not there`], rebuild)
  if (!info) return null
  if (info.platform !== platform) {
    return notBuilt([`${file} was built for ${info.platform} and this is ${platform}`], `${rebuild} on this machine`)
  }
  // A file put there by hand has nothing to do with the record beside it.
  if (info.addon !== addonStamp(file)) return null
  const { root, version, fingerprint } = info.libtorch
  const against = `The addon was built against LibTorch ${version} in ${root}`
  const now = currentFingerprint(root)
  if (now === null) {
    return new GradCamError(
      'ERR_ADDON_LOAD',
      `${against}, which is gone. ${rebuild} (it finds or installs another LibTorch).`,
    )
  }
  if (!sameLibraries(now, fingerprint)) {
    return new GradCamError(
      'ERR_ADDON_LOAD',
      `${against}, which has changed since (it is ${now.split(' ')[0]} now). ${rebuild}.`,
    )
  }
  const named = process.env['LIBTORCH']
  if (named && realPath(named) !== root) {
    return new GradCamError(
      'ERR_ADDON_LOAD',
      `${against}, and LIBTORCH now names ${named}. ${rebuild}, or unset LIBTORCH.`,
    )
  }
  return null
}

function notBuilt(tried: string[], remedy: string): GradCamError {
  const needs =
    'It takes a C++ compiler, and Python 3 with pip where there is no PyTorch yet; `npx gradcam doctor` says what is missing'
  return new GradCamError(
    'ERR_ADDON_NOT_BUILT',
    `The native addon is not built: ${tried.join('; ')}. ${remedy}. ${needs}.`,
  )
}

function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path)
}
