import type { ParseArgsConfig } from 'node:util'

/** One option of a command, as parseArgs requires it, with its text for --help. */
export type Option = NonNullable<ParseArgsConfig['options']>[string] & {
  /** What it does, in a few words. Without it the option is not listed. */
  readonly help?: string
  /** The name of its value in --help, e.g. FILE. */
  readonly value?: string
}

export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

/** One subcommand of `gradcam`: a file in lib/cli/commands exports it as `command`. */
export interface Command {
  /** What comes after `gradcam NAME`, e.g. 'IMAGE… --model FILE'. */
  readonly usage: string
  /** A few lines on what it does. */
  readonly description: string
  readonly options: Readonly<Record<string, Option>>
  /** Whether it takes arguments that are not options. */
  readonly positionals: boolean
  /** Does the work and returns the exit code: 0 done, 1 failed. An error that it throws is printed in one line. */
  readonly run: (values: Values, positionals: readonly string[]) => Promise<number>
}
