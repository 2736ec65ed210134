import { errorCodes } from '../base/error-codes.js'
import { GradCamError, type GradCamErrorCode } from '../base/errors.js'
import { nearestName } from '../base/nearest.js'

/** The body of every error: problem details, RFC 9457. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail?: string
  readonly code: string
  readonly remedy?: string
}

/** The media type of a {@link Problem}. */
export const problemType = 'application/problem+json'

/** What a client is told of an error. Of one that is not about its request it learns no more than the code. */
export function toProblem(error: unknown): Problem {
  const known = toKnown(error)
  if (!known)
    return {
      type: 'urn:libtorch-gradcam:ERR_INTERNAL',
      title: errorCodes.ERR_INTERNAL.meaning,
      status: 500,
      code: 'ERR_INTERNAL',
    }
  const { code, problem } = known
  const remedy = known.remedy === undefined ? undefined : forClient(known.remedy)
  const { status, meaning, group } = errorCodes[code]
  const type = `urn:libtorch-gradcam:${code}`
  const isOurs = status >= 500 && group !== 'server'
  if (isOurs) return { type, title: meaning, status, code }
  if (remedy === undefined) return { type, title: meaning, status, detail: problem, code }
  return { type, title: meaning, status, detail: `${problem} ${remedy}`, code, remedy }
}

/** What a remedy says of options that whoever runs the server sets, and what a client can do in their stead. */
const setByServer: readonly (readonly [string, string])[] = [
  ['Make it smaller, or raise maxPixels if you trust it.', 'Make it smaller.'],
  ['Raise decodeSeconds if you trust it, or save', 'Save'],
  ['Allow it with the option svg, or convert', 'Convert'],
  [', and SVG on request: ', ': '],
]

const forClient = (remedy: string): string =>
  setByServer.reduce((text, [said, instead]) => text.replace(said, instead), remedy)

/** Whether an error says that there is more to do than the server can do: the server itself did not fail. */
export function isLoad({ code }: Problem): boolean {
  return ['ERR_BUSY', 'ERR_DRAINING', 'ERR_DEADLINE', 'ERR_ABORTED', 'ERR_OUT_OF_MEMORY'].includes(code)
}

/** An error of Fastify, of Node's HTTP parser, or of ours. */
interface AnyError {
  readonly code?: string
  readonly message: string
  readonly statusCode?: number
  readonly validation?: readonly Violation[]
  readonly validationContext?: string
}

interface Violation {
  readonly keyword: string
  readonly instancePath: string
  readonly message?: string
  readonly params: Readonly<Record<string, unknown>>
  readonly propertyName?: string
}

const codesOfOthers: Readonly<Record<string, GradCamErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'ERR_REQUEST_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'ERR_MEDIA_TYPE',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'ERR_REQUEST',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'ERR_REQUEST',
  ERR_HTTP_REQUEST_TIMEOUT: 'ERR_REQUEST_TIMEOUT',
  HPE_HEADER_OVERFLOW: 'ERR_REQUEST_TOO_LARGE',
}

function toKnown(error: unknown): GradCamError | null {
  if (error instanceof GradCamError) return error
  if (!(error instanceof Error)) return null
  const { code = '', message, statusCode = 500, validation } = error as AnyError
  if (validation?.[0]) return ofViolation(validation[0], (error as AnyError).validationContext ?? 'request')
  const own = codesOfOthers[code]
  if (own !== undefined) return new GradCamError(own, errorCodes[own].meaning)
  // What Fastify and Node refuse besides is about how the request is written.
  return statusCode >= 400 && statusCode < 500 ? new GradCamError('ERR_REQUEST', message) : null
}

function ofViolation(violation: Violation, context: string): GradCamError {
  const { keyword, instancePath, message = 'is not valid', params } = violation
  const details = { argument: instancePath.split('/')[1] ?? context }
  const name = violation.propertyName ?? params['propertyName']
  if (typeof name === 'string' && (keyword === 'enum' || keyword === 'propertyNames')) {
    const near = nearestName(name, (params['allowedValues'] as readonly string[] | undefined) ?? [])
    return new GradCamError('ERR_INVALID_ARGUMENT', `Unknown option '${name}'.`, {
      remedy: near === null ? '/openapi.json lists the options.' : `Did you mean '${near}'?`,
      details: { argument: name },
    })
  }
  const where = instancePath === '' ? context : instancePath.slice(1).replaceAll('/', '.')
  if (keyword !== 'enum') return new GradCamError('ERR_INVALID_ARGUMENT', `\`${where}\` ${message}.`, { details })
  const allowed = (params['allowedValues'] as readonly string[]).join(', ')
  return new GradCamError('ERR_INVALID_ARGUMENT', `\`${where}\` must be one of ${allowed}.`, { details })
}
