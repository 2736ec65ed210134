import { isInstance } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { objectUrl, type ObjectAddress } from './object-url.js'

/** What a storage, or the way to it, says of a request that failed. */
interface Failure {
  readonly name: string
  readonly status: number | null
  readonly message: string
}

export function failureOf(error: unknown): Failure {
  const { name, code, message, $metadata } = error as Error & {
    readonly code?: string
    readonly $metadata?: { readonly httpStatusCode?: number }
  }
  const text = message || (error instanceof AggregateError ? error.errors.map(String).join('; ') : '')
  return { name: code ?? name, status: $metadata?.httpStatusCode ?? null, message: text }
}

/** Whether the storage says that an object does not exist, rather than that it fails. */
export function isMissing(error: unknown): boolean {
  const { name, status } = failureOf(error)
  return name !== 'NoSuchBucket' && (name === 'NoSuchKey' || name === 'NotFound' || status === 404)
}

/** Whether a write was refused because the object is there, or is not the one that was expected. */
export function isConflict(error: unknown): boolean {
  const { name, status } = failureOf(error)
  return status === 412 || status === 409 || name === 'PreconditionFailed' || name === 'ConditionalRequestConflict'
}

const remedies: readonly (readonly [RegExp, string])[] = [
  [/^NoSuchBucket\b/, 'Make the bucket, or check its name.'],
  [
    /Credential|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken/i,
    'Check the credentials, e.g. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.',
  ],
  [/AccessDenied|Forbidden/, 'Allow these credentials to list, read and write there.'],
  [/Region/i, 'Set AWS_REGION to the region of the bucket.'],
  [/^PermanentRedirect\b/, 'Set AWS_REGION to the region of the bucket.'],
]

/**
 * The error for a request that failed. The error of the SDK is left out: it holds the request, with what signs it.
 *
 * @param doing e.g. 'cannot be read'
 */
export function storageError(address: ObjectAddress, doing: string, error: unknown): GradCamError {
  if (error instanceof GradCamError) return error
  const { name, status, message } = failureOf(error)
  const why = message === '' || message === 'UnknownError' ? name : message.replace(/\.$/, '')
  const shown = name === 'UnknownError' || why.includes(name) ? '' : `${name}: `
  const text = `${name} ${message}`
  return new GradCamError('ERR_STORAGE', `'${objectUrl(address)}' ${doing}: ${shown}${why}.`, {
    remedy:
      remedies.find(([pattern]) => pattern.test(text))?.[1] ??
      'Check the address, AWS_ENDPOINT_URL where the storage is not that of AWS, and whether it can be reached.',
    details: { url: objectUrl(address), reason: name, status },
  })
}

/** Whether an error is about the storage, which every other object would meet too. */
export function isStorageFailure(error: unknown): boolean {
  return isInstance(error, GradCamError) && error.code === 'ERR_STORAGE'
}
