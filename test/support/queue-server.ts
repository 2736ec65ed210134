import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { needing, type Need } from './needs.js'

const hasRedis = spawnSync('redis-server', ['--version']).status === 0

/** Declares tests that start a Redis of their own. */
export const withRedis = needing('redis' satisfies Need, hasRedis)

/** A server that a test started on a port of the loopback interface. */
export interface TestServer {
  readonly url: string
  readonly port: number
  /** Kills it without warning, and starts it again on the same files. */
  readonly restart: () => Promise<void>
  readonly stop: () => Promise<void>
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null || tries > 500) throw new Error('the server did not start')
    const socket = connect(port, '127.0.0.1')
    const connected = await Promise.race([
      once(socket, 'connect').then(
        () => true,
        () => false,
      ),
      sleep(1000, false),
    ])
    socket.destroy()
    if (connected) return
    await sleep(20)
  }
}

/** @param password where it has one */
export async function startRedis(folder: string, password?: string): Promise<TestServer> {
  const port = await freePort()
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
  options.push('--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction')
  if (password !== undefined) options.push('--requirepass', password)
  const start = async (): Promise<ChildProcess> => {
    const child = spawn('redis-server', options, { stdio: 'ignore' })
    await untilListening(port, child)
    return child
  }
  let child = await start()
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}@`
  return {
    url: `redis://${secret}127.0.0.1:${port}`,
    port,
    stop,
    restart: async () => {
      await stop()
      child = await start()
    },
  }
}
