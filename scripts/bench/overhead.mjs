// What it costs to go from TypeScript to LibTorch and back, for a model that has next to nothing to do (a 1x1 convolution
// of 8x8 pixels): the time of GradCam.explain() less that of the same native code called from C++.
//
//   npm run build && node scripts/bench/overhead.mjs
import { join } from 'node:path'
import { testPython } from '#test-support/python.js'
import { compile } from './compile.mjs'
import { modelFiles } from './models.mjs'
import { median } from './statistics.mjs'
import { Worker } from './worker.mjs'
import { itemAt } from '../support/access.mjs'

const runs = 300
const rounds = 41

/** In microseconds for one explanation. */
export async function measureOverhead(/** @type {string} */ files, /** @type {import('./types.d.mts').Say} */ say) {
  say('overhead of an explanation')
  const args = [join(files, 'one-convolution.pt'), 'conv']
  const program = await compile('overhead', { core: true })
  const commands = [
    {
      command: process.execPath,
      args: [join(import.meta.dirname, 'workers', 'overhead.mjs'), ...args],
      env: process.env,
    },
    { command: program, args, env: process.env },
  ]
  const measured = commands.map((command) => ({
    worker: new Worker(command, 1),
    times: /** @type {number[]} */ ([]),
  }))
  try {
    for (let round = -1; round < rounds; round++) {
      for (const { worker, times } of measured) {
        const { us } = await worker.overhead(runs)
        if (round >= 0) times.push(us) // the first warms up
      }
    }
    const [typescript, native] = [itemAt(measured, 0).times, itemAt(measured, 1).times]
    const differences = typescript.map((time, round) => time - itemAt(native, round))
    return { typescriptUs: median(typescript), nativeUs: median(native), crossingUs: median(differences), runs, rounds }
  } finally {
    await Promise.all(measured.map(({ worker }) => worker.end()))
  }
}

export function overheadLine(/** @type {import('./types.d.mts').Overhead} */ { typescriptUs, nativeUs, crossingUs }) {
  const text = (/** @type {number} */ us) => `${us.toFixed(0)} µs`
  return `One explanation of a 1x1 convolution on 8x8 pixels: ${text(typescriptUs)} from TypeScript, ${text(nativeUs)} from C++, so the crossing costs ${text(crossingUs)}.`
}

if (process.argv[1] === import.meta.filename) {
  const files = await modelFiles(await testPython(), [], 8, 1)
  console.log(overheadLine(await measureOverhead(files, (text) => console.error(text))))
}
