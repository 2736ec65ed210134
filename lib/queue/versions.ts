import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { readBuildInfo } from '../addon/build-info.js'
import { isRecord } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { buildInfoFile, packageRoot } from '../base/paths.js'

/** What a worker, or who enqueued a job, runs. */
export interface Versions {
  /** That of this package. */
  readonly package: string
  /** That of LibTorch, without what it was built for, e.g. '2.13.0'; null where it is not known. */
  readonly libtorch: string | null
}

/** What a worker does with a job of other versions than its own. */
export type OtherVersions = 'refuse' | 'record'

/** The versions of this process. */
export function ownVersions(): Versions {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
  const addon = process.env['GRADCAM_ADDON']
  const file = addon ? join(dirname(resolve(addon)), 'build-info.json') : buildInfoFile
  return { package: version, libtorch: readBuildInfo(file)?.libtorch.version.split('+')[0] ?? null }
}

/** Whether two give the same results, as far as their versions tell: one that is not known is not compared. */
function areSame(one: Versions, other: Versions): boolean {
  const isOther = one.libtorch !== null && other.libtorch !== null && one.libtorch !== other.libtorch
  return one.package === other.package && !isOther
}

/**
 * Whether a job was enqueued with other versions than a worker's own.
 *
 * Throws ERR_QUEUE_REFUSED where it was, and the worker refuses them.
 */
export function isOfOtherVersions(job: Versions | undefined, own: Versions, otherVersions: OtherVersions): boolean {
  if (job === undefined || areSame(job, own)) return false
  if (otherVersions === 'record') return true
  throw new GradCamError(
    'ERR_QUEUE_REFUSED',
    `The job was enqueued with ${describe(job)}, and this worker runs ${describe(own)}.`,
    {
      remedy: 'Give all machines the same versions, or have workers record other versions.',
      details: { job, worker: own },
    },
  )
}

export function isVersions(value: unknown): value is Versions {
  if (!isRecord(value) || typeof value['package'] !== 'string') return false
  return value['libtorch'] === null || typeof value['libtorch'] === 'string'
}

function describe(versions: Versions): string {
  const libtorch = versions.libtorch === null ? '' : ` and LibTorch ${versions.libtorch}`
  return `version ${versions.package} of this package${libtorch}`
}
