import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Schema } from './schema.js'

/** A route: what Fastify is told of it, and what /openapi.json says. */
export interface Route {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly summary: string
  readonly query?: Schema
  readonly params?: Schema
  /** By media type, what a body may be. */
  readonly body?: Readonly<Record<string, Schema>>
  /** By media type, what the answer is. */
  readonly answer: Readonly<Record<string, Schema>>
  /** Whether it is answered without a token. */
  readonly isOpen?: boolean
  /** Whether it is a file of the page, and no part of the API that /openapi.json describes. */
  readonly isFile?: boolean
  readonly handler: (request: FastifyRequest, reply: FastifyReply) => unknown
}
