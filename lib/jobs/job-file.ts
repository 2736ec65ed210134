import { GradCamError } from '../base/errors.js'
import type { JobSpec } from './job-spec.js'

/** Of job.json and manifest.jsonl. Files without a version have the format of version 1. */
const formatVersion = 1

/** What job.json holds. */
export function jobSpecText(spec: JobSpec): string {
  return `${JSON.stringify({ version: formatVersion, ...spec }, null, 2)}\n`
}

/**
 * The specification in a job.json.
 *
 * @throws GradCamError ERR_FILE_UNREADABLE, ERR_JOB_VERSION
 */
export function parseJobSpec(text: string, path: string): JobSpec {
  const { version = 1, ...spec } = parse(text, path)
  if (version === formatVersion) return spec
  throw new GradCamError(
    'ERR_JOB_VERSION',
    `'${path}' has the format version ${JSON.stringify(version)}; this version of the package reads ${formatVersion}. ` +
      'Use the version of the package that wrote it, or choose another folder.',
  )
}

function parse(text: string, path: string): JobSpec & { readonly version?: unknown } {
  let cause: unknown
  try {
    const found: unknown = JSON.parse(text)
    if (typeof found === 'object' && found !== null && ('version' in found || 'model' in found)) return found as JobSpec
  } catch (error) {
    cause = error
  }
  throw new GradCamError('ERR_FILE_UNREADABLE', `'${path}' is damaged. Choose another folder.`, { cause })
}

/** Of results that a new job must not be mixed with. */
export function jobExists(folder: string): GradCamError {
  return new GradCamError('ERR_JOB_EXISTS', `'${folder}' already holds a job.`, {
    remedy: 'Resume it, or choose another folder.',
    details: { folder },
  })
}

export function queueIsAtWork(folder: string): GradCamError {
  return new GradCamError('ERR_LOCKED', `A job of a queue is at work on '${folder}'.`, {
    remedy: 'Wait until it ends, or cancel it there.',
    details: { folder },
  })
}
