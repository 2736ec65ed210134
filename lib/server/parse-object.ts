import { GradCamError } from '../base/errors.js'

/**
 * An object that a request gives as JSON.
 *
 * @param what it is, as the subject of an error
 * @throws GradCamError ERR_REQUEST
 */
export function parseObject(text: string, what: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new GradCamError('ERR_REQUEST', `${what} is not JSON: ${(cause as Error).message}.`, { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw new GradCamError('ERR_REQUEST', `${what} must be a JSON object.`)
}
