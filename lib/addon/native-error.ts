import { GradCamError, type GradCamErrorCode } from '../base/errors.js'
import { nearestPaths } from '../base/nearest.js'

/** The facts of a native error's message: see ErrorDetails in native/core/base/error.h. */
export type NativeErrorDetails = Readonly<Record<string, unknown>>

/** The error that JavaScript sees for one of the addon's. */
export function nativeError(
  code: GradCamErrorCode,
  problem: string,
  remedy?: string,
  details?: NativeErrorDetails,
): GradCamError {
  return new GradCamError(code, problem + suggestion(details), { remedy, details })
}

/** Names that may have been meant, where the details say what was asked for and what there is. */
function suggestion({ layer, candidates }: NativeErrorDetails = {}): string {
  if (typeof layer !== 'string' || !Array.isArray(candidates)) return ''
  const nearest = nearestPaths(layer, candidates as readonly string[])
  return nearest.length === 0 ? '' : ` Nearest: ${nearest.map((path) => `'${path}'`).join(', ')}.`
}
