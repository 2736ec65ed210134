import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { packageRoot } from '../../lib/base/paths.js'
import { PackagesUnavailable } from './pip-into.js'

/** What a test may need that a machine may lack. `inCi`: CI has to have it, so that its lack fails there. */
const needs = {
  peers: { what: 'pytorch-grad-cam and Captum, which pip installs', inCi: true },
  packages: { what: 'numpy, Pillow and matplotlib, which pip installs', inCi: true },
  models: { what: 'torchvision and timm, which pip installs', inCi: true },
  browser: {
    what: 'a Chromium, which @sparticuz/chromium has for Linux on x64',
    inCi: process.platform === 'linux' && process.arch === 'x64',
  },
  registry: { what: 'the registry of npm, and CMake, on Linux', inCi: process.platform === 'linux' },
  builder: { what: 'CMake and node-gyp', inCi: true },
  cuda: { what: 'a CUDA device', inCi: false },
  cudaLibraries: {
    what: "LibTorch's CUDA libraries, which the operators that pip installs are linked with",
    inCi: false,
  },
  sharedTorch: { what: 'a PyTorch that Python imports and the addon is built against', inCi: false },
  linux: { what: 'Linux', inCi: false },
  posix: { what: 'a POSIX system', inCi: false },
  mount: { what: 'the right to mount a file system', inCi: false },
  user: { what: 'a user that is not root', inCi: false },
  gcov: { what: 'GCC with gcov', inCi: false },
  redis: { what: 'redis-server, of the package redis-server of Debian', inCi: process.platform === 'linux' },
  postgres: { what: 'initdb and postgres, of the package postgresql of Debian', inCi: process.platform === 'linux' },
  storage: { what: 'moto, which pip installs', inCi: true },
  faults: { what: 'Linux with the GNU C library, and a C compiler', inCi: false },
} as const satisfies Record<string, { what: string; inCi: boolean }>

export type Need = keyof typeof needs

/** A line of the file that the environment variable GRADCAM_SKIPS names: scripts/build/test.mjs shows them at the end. */
interface Skip {
  readonly file: string
  readonly title: string
  readonly what: string
  readonly why: string | null
  readonly inCi: boolean
}

type Declare = (title: string, run: (t: ExecutionContext) => void | Promise<void>) => void

const reasons = new Map<Need, string>()

/** Notes a test that does not run, or not all of it. Every test that is skipped goes through here. */
export function noteSkip(need: Need, title: string): void {
  const { what, inCi } = needs[need]
  const file = new URL(test.meta.file).pathname.slice(join(packageRoot, 'dist/').length)
  const skip: Skip = { file, title, what, why: reasons.get(need) ?? null, inCi }
  const record = process.env['GRADCAM_SKIPS']
  if (record) appendFileSync(record, `${JSON.stringify(skip)}\n`)
  else process.stderr.write(`skipped, for lack of ${what}: ${title}\n`)
}

/**
 * Declares tests where what they need is there, and elsewhere tests that are skipped and noted.
 *
 * @param met anything true where it is there
 * @param declare `test` or `test.serial`
 */
export function needing(need: Need, met: unknown, declare: Declare = test): Declare {
  if (met) return declare
  return (title) => {
    noteSkip(need, title)
    test.skip(title, () => {})
  }
}

/**
 * What `make` gives; null where pip could not install what it needs. In CI that is thrown: nothing may pass for compared
 * that was not.
 */
export async function orMissing<Made>(need: Need, make: () => Promise<Made>): Promise<Made | null> {
  try {
    return await make()
  } catch (error) {
    if (!(error instanceof PackagesUnavailable) || process.env['CI']) throw error
    return missing(need, error)
  }
}

/** Says why something is not there. */
export function missing(need: Need, why: Error): null {
  reasons.set(need, why.message)
  return null
}
