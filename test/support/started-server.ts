import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ExecutionContext } from 'ava'
import { packageRoot } from '../../lib/base/paths.js'

/** A server in a process of its own. */
export interface StartedServer {
  /** Where it listens, as its first line says. */
  readonly address: string
  /** Sends SIGTERM, and resolves with the exit code. */
  readonly end: () => Promise<number | null>
}

/** Starts a program that takes a port as its argument, on a free port. It is killed at the end of the test. */
export async function startedServer(t: ExecutionContext, program: string): Promise<StartedServer> {
  const child = spawn(process.execPath, [program, '0'], { cwd: packageRoot, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  while (!said.includes('\n')) await once(child.stdout, 'data')
  const [address = ''] = /http:\S+/.exec(said) ?? []
  const end = async () => {
    child.kill('SIGTERM')
    const [code] = (await once(child, 'exit')) as [number | null]
    return code
  }
  return { address, end }
}
