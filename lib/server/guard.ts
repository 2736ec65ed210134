import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { GradCamError } from '../base/errors.js'
import type { ServerSettings } from './options.js'

/** The headers that a request is judged by. */
export interface GuardedRequest {
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly authorization: string | undefined
  /** Whether the address is open to those without a token. */
  readonly isOpen: boolean
}

/**
 * Refuses requests that a page of another site had a browser send, and those without the token.
 *
 * A browser cannot be kept from sending requests to this machine. It says in `Origin` which page did it, and in `Host` by which name
 * it found the server: a page whose own name was led here (DNS rebinding) has its own name there, never an IP address.
 */
export class Guard {
  readonly #token: Buffer | null

  /** @param hosts the names that are answered besides IP addresses and localhost; null: all */
  constructor(
    private readonly hosts: readonly string[] | null,
    private readonly settings: Pick<ServerSettings, 'corsOrigins' | 'token'>,
  ) {
    this.#token = settings.token === null ? null : digest(settings.token)
  }

  /** Throws ERR_ORIGIN, ERR_TOKEN. */
  check({ host, origin, authorization, isOpen }: GuardedRequest): void {
    if (this.hosts && !this.#answers(host ?? '', this.hosts))
      throw new GradCamError('ERR_ORIGIN', `The server does not answer to the host '${(host ?? '').slice(0, 200)}'.`, {
        remedy: 'Address it by its IP address or localhost, or have its operator allow that name.',
      })
    if (origin !== undefined && !this.allows(origin) && !(this.hosts === null || isSameOrigin(origin, host)))
      throw new GradCamError('ERR_ORIGIN', `Pages of '${origin.slice(0, 200)}' may not use this server.`, {
        remedy: 'Its operator can allow them.',
      })
    if (this.#token && !isOpen && !this.#hasToken(authorization ?? ''))
      throw new GradCamError('ERR_TOKEN', 'The request has no valid token.', {
        remedy: 'Send the header Authorization: Bearer TOKEN.',
      })
  }

  /** Whether pages of that origin may read answers. */
  allows(origin: string): boolean {
    return this.settings.corsOrigins.includes(origin)
  }

  #answers(host: string, names: readonly string[]): boolean {
    const name = nameOf(host)
    return name !== null && (name === 'localhost' || isIP(name) > 0 || names.includes(name))
  }

  #hasToken(header: string): boolean {
    const [, given = ''] = /^Bearer +(\S+)$/i.exec(header) ?? []
    // Digests have one length, which timingSafeEqual requires.
    return timingSafeEqual(digest(given), this.#token as Buffer)
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** The name or address in a Host header, without the port. */
function nameOf(host: string): string | null {
  const [, address, name] = /^(?:\[([^\]]+)\]|([^:@/]+))(?::\d{1,5})?$/.exec(host) ?? []
  return (address ?? name)?.toLowerCase() ?? null
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase()
}
