import { GradCamError } from '../base/errors.js'

/** The flags of options that the library's remedies speak of. */
const hints: Readonly<Record<string, string>> = {
  ERR_IMAGE_TOO_LARGE: '--max-pixels',
  ERR_TARGET: '--target and --of',
  ERR_MODEL_OPERATOR: '--library',
}

/** For an error, or a code: ' (here: --max-pixels)'; '' for most. */
export function hintOf(error: unknown): string {
  const code = error instanceof GradCamError ? error.code : error
  const flag = typeof code === 'string' && Object.hasOwn(hints, code) ? hints[code] : undefined
  return flag === undefined ? '' : ` (here: ${flag})`
}
