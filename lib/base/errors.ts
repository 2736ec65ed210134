import { inspect } from 'node:util'

/**
 * Every way this package refuses, by its stable `code`. The text of an error may be improved in any release; its code
 * may not change.
 */
export type GradCamErrorCode =
  // Finding, building and loading the addon
  | 'ERR_ADDON_NOT_BUILT'
  | 'ERR_ADDON_LOAD'
  | 'ERR_BUILD'
  | 'ERR_LIBTORCH_NOT_FOUND'
  | 'ERR_LIBTORCH_INSTALL'
  | 'ERR_TOOL_MISSING'
  // Model files
  | 'ERR_FILE_NOT_FOUND'
  | 'ERR_FILE_UNREADABLE'
  | 'ERR_MODEL_CORRUPT'
  | 'ERR_MODEL_IS_STATE_DICT'
  | 'ERR_MODEL_IS_EAGER_PICKLE'
  | 'ERR_MODEL_IS_EXPORTED_PROGRAM'
  | 'ERR_MODEL_NOT_TORCHSCRIPT'
  | 'ERR_MODEL_NO_FORWARD'
  | 'ERR_MODEL_FROZEN'
  // Layers
  | 'ERR_LAYER_NOT_FOUND'
  | 'ERR_LAYER_NOT_HOOKABLE'
  | 'ERR_LAYER_NOT_REACHED'
  | 'ERR_LAYER_OUTPUT'
  | 'ERR_NOT_SPLITTABLE'
  // Targets and order of calls
  | 'ERR_TARGET_OUT_OF_RANGE'
  | 'ERR_TARGET_COUNT'
  | 'ERR_TARGET'
  | 'ERR_NO_FORWARD'
  | 'ERR_NO_BACKWARD'
  | 'ERR_NO_GRADIENT'
  | 'ERR_NO_RELU'
  | 'ERR_ACTIVATION'
  // Lifetime
  | 'ERR_CLOSED'
  | 'ERR_DISPOSED'
  | 'ERR_ABORTED'
  // Locks
  | 'ERR_LOCKED'
  | 'ERR_LOCK_FAILED'
  // Values
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_SHAPE'
  | 'ERR_DTYPE'
  | 'ERR_DEVICE'
  | 'ERR_HOOK_RESULT'
  // Images
  | 'ERR_IMAGE_NOT_FOUND'
  | 'ERR_IMAGE_UNREADABLE'
  | 'ERR_IMAGE_CORRUPT'
  | 'ERR_IMAGE_TOO_LARGE'
  | 'ERR_IMAGE_WRITE'
  // Jobs
  | 'ERR_JOB_EXISTS'
  | 'ERR_JOB_CHANGED'
  | 'ERR_JOB_VERSION'
  // The command line
  | 'ERR_USAGE'
  // LibTorch itself
  | 'ERR_TORCH'
  | 'ERR_OUT_OF_MEMORY'

/** Options as they were given. Refuses what is no object, which destructuring would do in words of its own. */
export function checkOptions<Options>(options: Options): Options {
  if (typeof options === 'object' && options !== null) return options
  throw new GradCamError('ERR_INVALID_ARGUMENT', `${inspect(options)} are no options: give an object.`)
}

/** Anything this package refuses: `code` says what is wrong, `message` says it in words and what to do about it. */
export class GradCamError extends Error {
  override readonly name = 'GradCamError'
  readonly code: GradCamErrorCode

  constructor(code: GradCamErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
