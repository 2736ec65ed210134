import test, { type ExecutionContext } from 'ava'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { askPython, pythonCommand, withPythonPath } from '../../lib/setup/libtorch/python.js'
import { packageRoot } from '../../lib/base/paths.js'
import { BucketFolder } from '../../lib/storage/bucket-folder.js'
import { openStorage } from '../../lib/storage/client.js'
import { cachedFolder } from './cached-folder.js'
import { needing, orMissing } from './needs.js'
import { PackagesUnavailable, pipInto } from './pip-into.js'
import { freePort, untilListening } from './queue-server.js'

const requirements = join(packageRoot, 'test', 'python', 'requirements-storage.txt')

/** The environment of a Python that can import moto: pip is there in CI, unlike Go and Rust, which other storages are built with. */
const python = await orMissing('storage', async () => {
  const found = await askPython()
  if (!found) throw new PackagesUnavailable(`there is no ${pythonCommand} on PATH`)
  const key = [readFileSync(requirements, 'utf8'), found.version, found.executable]
  const folder = await cachedFolder('storage', key, (partial) =>
    pipInto(partial, ['--only-binary', ':all:', '--requirement', requirements]),
  )
  return withPythonPath([folder])
})

/** Declares tests that start an object storage of their own. */
export const withStorage = needing('storage', python, test.serial)

/** What no output may show. */
export const secretKey = 'a/secret+key-of-the-tests'

/**
 * Starts a storage on a port of the loopback interface, for this process and those that it starts, until the end of the test file.
 *
 * @returns a bucket that no other test has
 */
export async function startStorage(t: ExecutionContext): Promise<BucketFolder> {
  const port = await (starting ??= start())
  t.truthy(port)
  const name = `tests-${process.pid}-${count++}`
  const { client, sdk } = await openStorage()
  await client.send(new sdk.CreateBucketCommand({ Bucket: name }))
  return new BucketFolder(`s3://${name}`)
}

test.after.always(async () => {
  if (!running || running.exitCode !== null) return
  running.kill('SIGKILL')
  await once(running, 'exit')
})

let starting: Promise<number> | undefined
let running: ChildProcess | undefined
let count = 0

async function start(): Promise<number> {
  const port = await freePort()
  const child = spawn(pythonCommand, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], {
    env: { ...process.env, ...python },
    stdio: 'ignore',
  })
  running = child
  process.once('exit', () => child.kill('SIGKILL'))
  await untilListening(port, child, 6000) // Python reads a hundred files first, on a machine that is busy
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
    AWS_ACCESS_KEY_ID: 'tests',
    AWS_SECRET_ACCESS_KEY: secretKey,
  })
  return port
}

/** The names of all objects of a folder, in order. */
export async function namesIn(folder: BucketFolder): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of folder.list()) names.push(name)
  return names
}
