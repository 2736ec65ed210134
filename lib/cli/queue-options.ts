import { readQueueUrl } from '../queue/queue-url.js'
import { single, usageError } from './arguments.js'
import type { Option, Values } from './command.js'

/** The environment variable for the password of a queue's server: other users see the arguments of a command. */
const passwordVariable = 'GRADCAM_QUEUE_PASSWORD'

/** The option --queue of the commands that are about a queue alone. */
export const queueOption: Readonly<Record<'queue', Option>> = {
  queue: {
    type: 'string',
    value: 'URL',
    help: `redis://host:6379, rediss:// (TLS) or postgres://host/database; a password comes from ${passwordVariable}`,
  },
}

/** The address that --queue gives, with the password; null where it is not given. */
export function queueUrl(values: Values): string | null {
  const text = single(values, 'queue')
  if (text === undefined) return null
  let url: URL
  try {
    url = new URL(readQueueUrl(text).url)
  } catch {
    throw usageError('--queue requires an address such as redis://host:6379 or postgres://host:5432/database.')
  }
  const password = process.env[passwordVariable]
  if (password && url.password === '') url.password = encodeURIComponent(password)
  return url.href
}

/** The same for a command that requires it. */
export function requiredQueueUrl(values: Values, command: string): string {
  const url = queueUrl(values)
  if (url === null) throw usageError(`${command} requires --queue URL. See: gradcam ${command} --help`)
  return url
}
