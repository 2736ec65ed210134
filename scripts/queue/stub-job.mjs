import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { FileSource, makeJobSpec } from 'libtorch-gradcam'

/** Files in each folder of inputs. */
const perFolder = 1000

/**
 * Makes empty files that are named like images: a stub does not read them.
 *
 * @returns what `enqueueJob` takes
 */
export async function stubInputs(/** @type {string} */ folder, /** @type {number} */ count) {
  const source = [join(folder, 'in')]
  for (let i = 0; i < count; i++) {
    const inner = join(folder, 'in', String(Math.floor(i / perFolder)).padStart(6, '0'))
    if (i % perFolder === 0) mkdirSync(inner, { recursive: true })
    writeFileSync(join(inner, `${i % perFolder}.jpg`), '')
  }
  writeFileSync(join(folder, 'model.pt'), 'not loaded')
  const { base } = await FileSource.open(source, { exclude: join(folder, 'out') })
  const spec = await makeJobSpec({ model: join(folder, 'model.pt'), layer: 'features', sources: source, base })
  return { spec, source }
}

/** Starts a worker with a stub. @returns its process, once it works */
export async function startStub(/** @type {string} */ url, /** @type {string} */ folder, chunks = 4, maxWaiting = 256) {
  const args = [url, folder, String(chunks), String(maxWaiting)]
  const child = fork(join(import.meta.dirname, 'stub-worker.mjs'), args)
  await once(child, 'message')
  return child
}

/** The memory of a process in MB, of Linux. */
export function residentOf(/** @type {number} */ pid) {
  const found = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(found) / 1024
}

/**
 * A number that Redis tells of itself, by its name in INFO.
 *
 * @returns {Promise<number>}
 */
export function askRedis(/** @type {number} */ port, /** @type {string} */ name) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('error', reject)
    socket.on('data', (data) => {
      text += data.toString()
      const found = new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1]
      if (found === undefined) return
      socket.destroy()
      resolve(Number(found))
    })
    socket.write('INFO everything\r\n')
  })
}
