import test from 'ava'
import { needing, type Need } from './needs.js'
import { hasRedis, postgresFolder } from './start-queue-server.js'

export * from './start-queue-server.js'

/** Declares tests that start a PostgreSQL of their own. */
export const withPostgres = needing('postgres' satisfies Need, postgresFolder !== undefined, test.serial)

/** Declares tests that start a Redis of their own. */
export const withRedis = needing('redis' satisfies Need, hasRedis, test.serial)
