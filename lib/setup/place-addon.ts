import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addonStamp, type BuildInfo } from '../addon/build-info.js'
import { libraryFolder, type LibTorch } from '../addon/describe.js'
import { probeAddon } from '../addon/probe.js'
import { GradCamError } from '../base/errors.js'

/** How {@link placeAddon} places. */
export interface Placing {
  /** The LibTorch that a prebuilt addon finds by a link beside it; else it knows the path itself. */
  readonly linked?: LibTorch | undefined
  /** Whether it is loaded for a trial first (default true). */
  readonly tried?: boolean
}

/**
 * Puts an addon into a folder, beside the record of what it was built with. What lies there stays until the new addon has been
 * loaded in a process of its own. Throws ERR_BUILD where it does not load.
 */
export async function placeAddon(
  made: string,
  info: Omit<BuildInfo, 'addon'>,
  folder: string,
  { linked, tried = true }: Placing = {},
): Promise<void> {
  const [addon, record, link] = ['gradcam.node', 'build-info.json', 'torch'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  // A folder of its own: the record of the earlier build does not concern the new addon.
  const next = join(folder, `new-${process.pid}`)
  rmSync(next, { recursive: true, force: true })
  mkdirSync(next, { recursive: true })
  try {
    copyFileSync(made, join(next, 'gradcam.node'))
    if (linked) linkLibraries(linked.root, join(next, 'torch'))
    if (tried) await tryOut(join(next, 'gradcam.node'))
    // The record goes first and comes back last: between the two the addon counts as not built, never as something else.
    rmSync(record, { force: true })
    rmSync(link, { recursive: true, force: true })
    if (linked) renameSync(join(next, 'torch'), link)
    renameSync(join(next, 'gradcam.node'), addon)
    writeFileSync(`${record}.new`, `${JSON.stringify({ ...info, addon: addonStamp(addon) }, null, 2)}\n`)
    renameSync(`${record}.new`, record)
  } finally {
    rmSync(next, { recursive: true, force: true })
  }
}

/** A prebuilt addon looks for its libraries in torch/lib. A package of the system has them elsewhere. */
function linkLibraries(root: string, link: string): void {
  const libraries = libraryFolder(root)
  if (libraries === join(root, 'lib')) return symlinkSync(root, link)
  mkdirSync(link)
  symlinkSync(libraries, join(link, 'lib'))
}

async function tryOut(addon: string): Promise<void> {
  const probe = await probeAddon(addon)
  if (probe.ok) return
  throw new GradCamError(
    'ERR_BUILD',
    `The addon was compiled but does not load; the addon of an earlier build is left in place. ${probe.problem}`,
    { remedy: probe.remedy },
  )
}
