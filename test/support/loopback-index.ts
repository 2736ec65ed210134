import { createServer } from 'node:http'
import { readFileSync, readdirSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { run } from '../../lib/base/processes.js'
import { packageRoot } from '../../lib/base/paths.js'
import { temporaryFolder } from './package-copy.js'

/** A wheel for an index of a test: what it requires, and its files. */
export interface Wheel {
  readonly name: string
  readonly version: string
  readonly requires?: readonly string[]
  readonly extras?: readonly string[]
  readonly files?: Readonly<Record<string, string>>
}

/** An index of packages on the loopback, as pip asks it. */
export interface LoopbackIndex {
  /** For --index-url. */
  readonly url: string
  /** The names of the wheels that were downloaded. */
  readonly downloaded: () => string[]
  /** How many requests came. */
  readonly requests: () => number
}

/** Serves wheels. One that `hangs` accepts every request and answers none. */
export async function loopbackIndex(
  t: ExecutionContext,
  wheels: readonly Wheel[],
  { hangs = false } = {},
): Promise<LoopbackIndex> {
  const folder = temporaryFolder(t)
  const program = join(packageRoot, 'test', 'python', 'make_wheels.py')
  const made = await run('python3', [program, folder, JSON.stringify(wheels)])
  if (made.code !== 0) throw new Error(made.stderr)
  const downloaded: string[] = []
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    if (hangs) return
    const path = decodeURIComponent(request.url ?? '')
    const [, kind, name = ''] = /^\/(simple|files)\/([^/]+)/.exec(path) ?? []
    const files = readdirSync(folder)
    if (kind === 'files' && files.includes(name)) {
      downloaded.push(name)
      response.end(readFileSync(join(folder, name)))
      return
    }
    const of = files.filter((file) => file.split('-')[0]?.replaceAll('_', '-') === name)
    if (kind !== 'simple' || of.length === 0) {
      response.statusCode = 404
      response.end()
      return
    }
    response.setHeader('content-type', 'text/html')
    response.end(of.map((file) => `<a href="/files/${encodeURIComponent(file)}">${file}</a>`).join('\n'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/simple/`, downloaded: () => downloaded, requests: () => requests }
}
