import { spawn, type SpawnOptions } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** How a child process ended, with what it wrote. `code` is null when a signal ended it, `failed` when it never began. */
export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly failed?: NodeJS.ErrnoException
}

/** Runs a command to its end. It never throws: a command that is not there is a result with `failed`. */
export function run(
  command: string,
  args: readonly string[],
  options: SpawnOptions & RunOptions = {},
): Promise<Finished> {
  const { onOutput, onSpawn, ...spawnOptions } = options
  return new Promise((resolve) => {
    let stdout = ''
    let stderr = ''
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...spawnOptions })
    onSpawn?.(() => child.kill())
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      onOutput?.(text)
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
      onOutput?.(text)
    })
    child.on('error', (failed) => resolve({ code: null, signal: null, stdout, stderr, failed }))
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}

export interface RunOptions {
  /** Called with each piece of piped output as it comes. */
  readonly onOutput?: (text: string) => void
  /** Called once with a function that ends the child. */
  readonly onSpawn?: (kill: () => void) => void
}

/** The full path of a command on PATH, or null. */
export function which(command: string, path: string = process.env['PATH'] ?? ''): string | null {
  const names = process.platform === 'win32' ? [`${command}.exe`, `${command}.cmd`, command] : [command]
  for (const folder of path.split(delimiter)) {
    for (const name of names) {
      const file = join(folder || '.', name)
      if (isExecutable(file)) return file
    }
  }
  return null
}

/** The last non-empty lines of a command's output, for an error message. */
export function lastLines(text: string, count: number): string {
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .join('\n')
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
