import { invalid } from '../base/check.js'

/** Where the server of a queue is. The password is in `url` alone, which no message may show. */
export interface QueueAddress {
  readonly kind: 'redis' | 'postgres'
  readonly url: URL
  /** Without password and parameters, for people. */
  readonly shown: string
}

const kinds: Readonly<Record<string, QueueAddress['kind']>> = {
  'redis:': 'redis',
  'rediss:': 'redis',
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
}

/**
 * Reads the address of a queue: redis://, rediss:// (TLS), postgres:// or postgresql://.
 *
 * Throws ERR_INVALID_ARGUMENT, without the address: it may hold a password.
 */
export function readQueueUrl(text: unknown): QueueAddress {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : null
  const kind = url && kinds[url.protocol]
  if (!url || !kind || url.hostname === '')
    throw invalid('queue', 'an address such as redis://host:6379 or postgres://host:5432/database', hidden)
  const user = url.username === '' ? '' : `${url.username}@`
  return { kind, url, shown: `${url.protocol}//${user}${url.host}${url.pathname.replace(/\/$/, '')}` }
}

const hidden = { toString: () => 'another value', [Symbol.for('nodejs.util.inspect.custom')]: () => 'another value' }

/** A text without the password of the address, in whatever form a driver may have put it there. */
export function withoutPassword({ url }: QueueAddress, text: string): string {
  const secrets = [url.password, plain(url.password), url.searchParams.get('password') ?? '']
  return secrets.filter((secret) => secret !== '').reduce((left, secret) => left.replaceAll(secret, '***'), text)
}

/** A part of a URL without its percent signs. */
export function plain(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
