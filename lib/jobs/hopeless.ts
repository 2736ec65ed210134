import { GradCamError } from '../base/errors.js'
import type { JobEntry } from './job.js'
import type { JobSpec } from './job-spec.js'

/** Errors that are about the model or the job: every other input would meet them too. */
const hopeless: readonly string[] = [
  'ERR_LAYER_NOT_REACHED',
  'ERR_LAYER_OUTPUT',
  'ERR_MODEL_DEVICE',
  'ERR_NO_GRADIENT',
  'ERR_NO_ATTENTION',
  'ERR_NO_RELU',
  'ERR_DISPOSED',
  'ERR_CLOSED',
]

/** Whether the model refused an image as it refused noise of the same size: then it refuses every image. */
export function isSameRefusal(error: unknown, refused: unknown): boolean {
  return error instanceof GradCamError && refused instanceof GradCamError && error.code === refused.code
}

function isAboutTarget({ code }: GradCamError, { target }: JobSpec): boolean {
  // Whether there is such a box depends on the image.
  const isBox = typeof target === 'object' && target.kind === 'box'
  return code === 'ERR_TARGET_OUT_OF_RANGE' || (code === 'ERR_TARGET' && !isBox)
}

/** Whether an error of an entry is one of the job, which all other entries would meet. */
export function isHopeless(error: unknown, { target }: JobEntry, spec: JobSpec): boolean {
  if (!(error instanceof GradCamError)) return false
  // The target of the job; a target of an entry concerns that entry alone.
  return hopeless.includes(error.code) || (isAboutTarget(error, spec) && target === undefined)
}
