import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How a program that was given a request ended. */
export interface ChildEnd {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Whether it was ended because of its time limit. */
  readonly late: boolean
  readonly stdout: Buffer
  readonly stderr: string
}

export interface ChildLimits {
  readonly seconds: number
  /** Bytes of output after which it is ended. */
  readonly output: number
  /** Ends it; the promise rejects with the signal's reason. */
  readonly signal: AbortSignal | undefined
}

/**
 * Runs one of this package's programs in a Node.js process of its own, for work that may have to be ended at any time.
 *
 * @param request its argument, as JSON
 * @param input its standard input
 */
export async function runNodeChild(
  script: URL,
  request: unknown,
  input: Uint8Array,
  { seconds, output, signal }: ChildLimits,
): Promise<ChildEnd> {
  if (signal?.aborted) throw signal.reason
  const child = spawn(process.execPath, [fileURLToPath(script), JSON.stringify(request)])
  const stdout: Buffer[] = []
  let stderr = ''
  let late = false
  const kill = (): void => void child.kill('SIGKILL')
  let written = 0
  const count = (piece: Buffer | string): boolean => {
    written += piece.length
    if (written > output) kill()
    return written <= output
  }
  child.stdout.on('data', (piece: Buffer) => count(piece) && stdout.push(piece))
  child.stderr.setEncoding('utf8').on('data', (text: string) => count(text) && (stderr += text))
  child.stdin.on('error', () => {}) // it ended before it read everything: how it ended says why
  child.stdin.end(input)
  const timer = setTimeout(() => {
    late = true
    kill()
  }, seconds * 1000)
  signal?.addEventListener('abort', kill, { once: true })
  try {
    const [code, by] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (exitCode, killedBy) => resolve([exitCode, killedBy]))
    })
    if (signal?.aborted) throw signal.reason
    return { code, signal: by, late, stdout: Buffer.concat(stdout), stderr }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', kill)
  }
}
