import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { packageRoot } from '../../lib/base/paths.js'
import { temporaryFolder } from './package-copy.js'

/** How the python3 of a test behaves. */
export interface FakePython {
  readonly version?: string
  readonly pip?: string | null
  /** The requirements that its index has, each with the build that comes of it. */
  readonly index?: Readonly<Record<string, 'cpu' | 'cuda'>>
  /** What pip says before it fails, instead of installing. */
  readonly fails?: string
  /** pip stops half-way, and waits to be killed. */
  readonly hangs?: boolean
}

/** A machine for a test: a cache folder, and a PATH on which python3 is a program that only pretends. */
export interface FakeMachine {
  readonly cache: string
  readonly env: NodeJS.ProcessEnv
  /** What pip was asked for, one list of arguments for each time. */
  readonly asked: () => string[][]
  /** The number of the pip process that hangs, once it does. */
  readonly hanging: () => number | null
  readonly behave: (python: FakePython | null) => void
}

export function fakeMachine(t: ExecutionContext, python: FakePython | null): FakeMachine {
  const folder = temporaryFolder(t)
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const behaviour = join(folder, 'behaviour.json')
  const log = join(folder, 'asked.log')
  const hangs = join(folder, 'hangs')
  const program = join(packageRoot, 'dist', 'test', 'support', 'fake-python-program.js')
  const command = join(bin, 'python3')
  const behave = (next: FakePython | null): void => {
    writeFileSync(behaviour, JSON.stringify({ ...next, there: next !== null, log, hangsFile: hangs }))
  }
  behave(python)
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${program}" "${behaviour}" "$@"\n`)
  chmodSync(command, 0o755)
  return {
    cache: join(folder, 'cache'),
    env: {
      PATH: [bin, '/usr/bin', '/bin'].join(delimiter),
      GRADCAM_CACHE: join(folder, 'cache'),
      LIBTORCH: undefined,
      PYTHONPATH: undefined,
    },
    asked: () =>
      existsSync(log)
        ? readFileSync(log, 'utf8')
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as string[])
        : [],
    hanging: () => (existsSync(hangs) ? Number(readFileSync(hangs, 'utf8')) : null),
    behave,
  }
}
