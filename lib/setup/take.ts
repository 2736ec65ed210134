import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { platform, readBuildInfo, addonStamp, type Builder } from '../addon/build-info.js'
import { sameLibraries, currentFingerprint, type LibTorch } from '../addon/describe.js'
import { addonsFolder, makeTakenFolder, takenFolders, type Taken } from '../addon/taken.js'
import { GradCamError } from '../base/errors.js'
import { withLock } from '../base/lock.js'
import { findCachedAddon, prune } from './addon-cache.js'
import { cacheKey, describeBuild } from './describe-build.js'
import { lookForLibTorch } from './libtorch/find.js'
import { placeAddon } from './place-addon.js'
import { findPrebuilt, leftOutRemedy, prebuiltLeftOut, prebuiltMinors, prebuiltPackage } from './prebuilt.js'

/** What {@link takeFitting} took. */
export interface Fit extends Taken {
  readonly how: 'prebuilt' | 'cached' | 'current' | null
  readonly libtorch: LibTorch | null
}

/**
 * Finds an addon that needs no compiler: for the first LibTorch of the search for which npm installed one, or any project of
 * this user built one. It is put into the user's cache folder, where the loader finds it. Nothing is downloaded.
 */
export async function takeFitting(): Promise<Fit> {
  const looked: string[] = []
  const versions: string[] = []
  const broken: string[] = []
  try {
    for await (const { libtorch, said } of lookForLibTorch()) {
      if (!libtorch) {
        looked.push(said)
        continue
      }
      versions.push(libtorch.version)
      const taken = await take(libtorch, broken)
      if (taken) return taken
    }
  } catch (error) {
    if (!(error instanceof GradCamError)) throw error
    return {
      folder: null,
      why: error.problem.replace(/\.$/, ''),
      instead: error.remedy ?? null,
      how: null,
      libtorch: null,
    }
  }
  const minors = prebuiltMinors()
  if (broken.length > 0) return { folder: null, why: broken.join('; '), instead: null, how: null, libtorch: null }
  if (versions.length === 0) {
    const instead = minors.length > 0 ? 'Run: npx gradcam setup' : whereLeftOut()
    return { folder: null, why: `LibTorch was not found: ${looked.join('; ')}`, instead, how: null, libtorch: null }
  }
  const has = minors.length > 0 ? `${prebuiltPackage} has ${minors.join(', ')}` : `${prebuiltPackage} is not installed`
  const why = `LibTorch ${[...new Set(versions)].join(', ')} is here, ${has}, and no other project was built for it`
  return { folder: null, why, instead: whereLeftOut(), how: null, libtorch: null }
}

const whereLeftOut = (): string | null => (prebuiltLeftOut() ? leftOutRemedy : null)

/** @param broken gets the reason where there is an addon that does not load here */
async function take(libtorch: LibTorch, broken: string[]): Promise<Fit | null> {
  const prebuilt = findPrebuilt(libtorch)
  const found = prebuilt === null ? findCached(libtorch) : { file: prebuilt, builder: 'prebuilt' as const }
  if (found === null) return null
  const { builder, file } = found
  for (const folder of takenFolders()) {
    try {
      makeTakenFolder(folder)
      const info = { ...describeBuild(libtorch, 'cmake-js', {}), builder }
      const linked = builder === 'prebuilt' ? libtorch : undefined
      // Two that begin at once take one and the same file: a process cannot load the addon from two.
      const how = await withLock(
        join(dirname(folder), '.take-lock'),
        () => {},
        async () => {
          if (isTaken(folder, libtorch)) return 'current' as const
          await placeAddon(file, info, folder, { linked })
          return builder === 'prebuilt' ? ('prebuilt' as const) : ('cached' as const)
        },
      )
      if (folder.startsWith(addonsFolder())) prune()
      return { folder, why: '', instead: null, how, libtorch }
    } catch (error) {
      // One that does not load here is passed over; a folder that cannot be written has another after it.
      const loads = !(error instanceof GradCamError && error.code === 'ERR_BUILD')
      const reason = (error instanceof GradCamError ? error.problem : (error as Error).message).replace(
        /^.*left in place\. /,
        '',
      )
      broken.push(loads ? `${folder} cannot be written (${reason})` : `${file} does not load (${reason})`)
      if (!loads) return null
    }
  }
  return null
}

/** Whether an addon for this LibTorch was taken into the folder before. */
function isTaken(folder: string, libtorch: LibTorch): boolean {
  const info = readBuildInfo(join(folder, 'build-info.json'))
  const file = join(folder, 'gradcam.node')
  if (!info || !existsSync(file) || info.addon !== addonStamp(file) || info.platform !== platform) return false
  const now = currentFingerprint(info.libtorch.root)
  return info.libtorch.root === libtorch.root && now !== null && sameLibraries(now, info.libtorch.fingerprint)
}

/** An addon of another project: neither the builder nor how strictly it was built makes a difference to what it does. */
function findCached(libtorch: LibTorch): { file: string; builder: Builder } | null {
  for (const builder of ['cmake-js', 'node-gyp'] as const)
    for (const unity of [true, false])
      for (const werror of [false, true]) {
        const settings = { unity, werror }
        const key = cacheKey(describeBuild(libtorch, builder, settings), libtorch, settings)
        const file = key === null ? null : findCachedAddon(key)
        if (file !== null) return { file, builder }
      }
  return null
}
