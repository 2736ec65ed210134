// What it costs to go from TypeScript to LibTorch and back, for a model that has next to nothing to do (a 1x1 convolution
// of 8x8 pixels): the time of GradCam.explain() less that of the same native code called from C++.
//
//   npm run build && node scripts/bench/overhead.mjs
import { join } from 'node:path'
import { testPython } from '#test-support/python.js'
import { compile } from './compile.mjs'
import { modelFiles } from './prepare.mjs'
import { median } from './statistics.mjs'
import { Worker } from './worker.mjs'

const runs = 300
const rounds = 41

/** In microseconds for one explanation. */
export async function measureOverhead(files, say) {
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
  const workers = commands.map((command) => new Worker(command, 1))
  try {
    const times = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([])]
    for (let round = -1; round < rounds; round++) {
      for (const [at, worker] of workers.entries()) {
        const { us } = await worker.ask(`run ${runs}`)
        if (round >= 0) times[at].push(us) // the first warms up
      }
    }
    const [typescript, native] = times
    const differences = typescript.map((time, round) => time - native[round])
    return { typescriptUs: median(typescript), nativeUs: median(native), crossingUs: median(differences), runs, rounds }
  } finally {
    await Promise.all(workers.map((worker) => worker.end()))
  }
}

export function overheadLine({ typescriptUs, nativeUs, crossingUs }) {
  const [whole, native, crossing] = [typescriptUs, nativeUs, crossingUs].map((us) => us.toFixed(0))
  return `One explanation of a 1x1 convolution on 8x8 pixels: ${whole} µs from TypeScript, ${native} µs from C++, so the crossing costs ${crossing} µs.`
}

if (process.argv[1] === import.meta.filename) {
  const files = await modelFiles(await testPython(), [], 8, 1)
  console.log(overheadLine(await measureOverhead(files, (text) => console.error(text))))
}
