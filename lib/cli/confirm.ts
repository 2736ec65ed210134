import { createInterface } from 'node:readline/promises'
import type { Confirm } from '../setup/libtorch/steps.js'
import type { Option, Values } from './command.js'

/** The option by which a large download is agreed to beforehand. */
export const yesOption = {
  yes: { type: 'boolean', help: 'do not ask before a download of more than 1 GB' },
} as const satisfies Record<string, Option>

/** How the user is asked before a large download; undefined where nobody is there to answer, or `--yes` was given. */
export function confirmation(values: Values): Confirm | undefined {
  if (values['yes'] === true || !process.stdin.isTTY || !process.stderr.isTTY) return undefined
  return async (what, gigabytes) => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    try {
      const answer = await terminal.question(`${what}: about ${gigabytes} GB are to be downloaded. Go on? [y/N] `)
      return /^y(es)?$/i.test(answer.trim())
    } finally {
      terminal.close()
    }
  }
}

/** The same as an option of a call. */
export function withConfirmation(values: Values): { confirm?: Confirm } {
  const confirm = confirmation(values)
  return confirm ? { confirm } : {}
}
