import type { S3Client } from '@aws-sdk/client-s3'
import { storagePackage, type StoragePackage } from './packages.js'

export interface Storage {
  readonly client: S3Client
  readonly sdk: StoragePackage
}

let opening: Promise<Storage> | undefined

/** The storage of this process. Credentials, region and endpoint are found by the SDK's usual chain when they are first used. */
export function openStorage(): Promise<Storage> {
  return (opening ??= open().catch((error: unknown) => {
    opening = undefined // another call may find the package installed
    throw error
  }))
}

async function open(): Promise<Storage> {
  const sdk = await storagePackage()
  const own = process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL']
  const region = process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? (own ? 'us-east-1' : undefined)
  const client = new sdk.S3Client({
    // Names of buckets are names of hosts at AWS alone.
    ...(own && { forcePathStyle: true }),
    ...(region && { region }),
    maxAttempts: 5,
    requestHandler: {
      connectionTimeout: 5_000,
      requestTimeout: 60_000,
      httpAgent: { maxSockets: 128 },
      httpsAgent: { maxSockets: 128 },
    },
  })
  return { client, sdk }
}
