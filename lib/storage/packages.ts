import { GradCamError } from '../base/errors.js'

/** The package that only object storage uses. */
export type StoragePackage = typeof import('@aws-sdk/client-s3')

/**
 * The AWS SDK is an optional peer: who has no objects requires none.
 *
 * Throws ERR_TOOL_MISSING.
 */
export async function storagePackage(): Promise<StoragePackage> {
  try {
    return await import('@aws-sdk/client-s3')
  } catch (cause) {
    const why = ((cause as Error).message.split('\n')[0] as string).replace(/\.$/, '')
    throw new GradCamError('ERR_TOOL_MISSING', `s3:// requires a package that cannot be loaded: ${why}.`, {
      remedy: 'Install it: npm install @aws-sdk/client-s3@3',
      cause,
    })
  }
}
