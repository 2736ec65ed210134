import { isRecord } from '../base/check.js'
import type { TaskInput } from './task.js'

/** The inputs of a chunk in a listing; null for anything else. They are checked in full by whoever takes the chunk. */
export function parseInputs(text: string): TaskInput[] | null {
  try {
    const found: unknown = JSON.parse(text)
    return Array.isArray(found) && found.every((one) => isRecord(one) && typeof one['id'] === 'string') ? found : null
  } catch {
    return null
  }
}
