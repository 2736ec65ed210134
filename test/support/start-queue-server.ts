import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export const hasRedis = spawnSync('redis-server', ['--version']).status === 0

/** Where Debian's package of PostgreSQL has its programs, besides the PATH. */
const debian = '/usr/lib/postgresql'
const versions = existsSync(debian) ? readdirSync(debian).sort().reverse() : []
const postgresFolders = ['', ...versions.map((version) => `${debian}/${version}/bin/`)]
export const postgresFolder = postgresFolders.find((folder) =>
  ['initdb', 'postgres'].every((program) => spawnSync(`${folder}${program}`, ['--version']).status === 0),
)

/** A server that a test started on a port of the loopback interface. */
export interface TestServer {
  readonly url: string
  readonly port: number
  /** Kills it without warning, and starts it again on the same files. */
  readonly restart: () => Promise<void>
  readonly stop: () => Promise<void>
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** @param most how often it is tried, every 20 ms */
export async function untilListening(port: number, child: ChildProcess, most = 500): Promise<void> {
  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null || tries > most) throw new Error('the server did not start')
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

/** Starts a server, which `signal` ends at once. */
async function restartable(
  start: () => Promise<ChildProcess>,
  signal: NodeJS.Signals,
): Promise<Pick<TestServer, 'stop' | 'restart'>> {
  let child = await start()
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
  const restart = async (): Promise<void> => {
    await stop()
    child = await start()
  }
  return { stop, restart }
}

/**
 * @param password where it has one
 * @param tls files of a certificate and its key, where it speaks TLS alone
 */
export async function startRedis(
  folder: string,
  password?: string,
  tls?: { readonly certificate: string; readonly key: string },
): Promise<TestServer> {
  const port = await freePort()
  const options = ['--bind', '127.0.0.1', '--dir', folder, '--save', '']
  if (!tls) options.push('--port', String(port))
  else {
    options.push('--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no')
    options.push('--tls-cert-file', tls.certificate, '--tls-key-file', tls.key)
  }
  options.push('--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction')
  if (password !== undefined) options.push('--requirepass', password)
  const start = async (): Promise<ChildProcess> => {
    const child = spawn('redis-server', options, { stdio: 'ignore' })
    await untilListening(port, child)
    return child
  }
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}@`
  return {
    url: `${tls ? 'rediss' : 'redis'}://${secret}127.0.0.1:${port}`,
    port,
    ...(await restartable(start, 'SIGKILL')),
  }
}

/** PostgreSQL refuses to run as root: there it runs as nobody. */
const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

export async function startPostgres(folder: string, password: string): Promise<TestServer> {
  const port = await freePort()
  const data = join(folder, 'data')
  const secret = join(folder, 'password')
  writeFileSync(secret, password)
  mkdirSync(data)
  for (const path of [folder, secret, data]) if (nobody.uid !== undefined) chownSync(path, nobody.uid, nobody.gid)
  const options = { ...nobody, cwd: folder, stdio: 'ignore' } as const
  const init = [
    '-D',
    data,
    '-U',
    'gradcam',
    '--pwfile',
    secret,
    '-A',
    'scram-sha-256',
    '--no-sync',
    '--no-locale',
    '-E',
    'UTF8',
  ]
  if (spawnSync(`${postgresFolder}initdb`, init, options).status !== 0) throw new Error('initdb failed')
  const start = async (): Promise<ChildProcess> => {
    const args = ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-k', folder]
    const child = spawn(`${postgresFolder}postgres`, args, options)
    await untilListening(port, child)
    return child
  }
  return {
    url: `postgres://gradcam:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`,
    port,
    // SIGQUIT ends it at once, without writing what is in memory, so that it recovers from its log when it starts.
    ...(await restartable(start, 'SIGQUIT')),
  }
}
