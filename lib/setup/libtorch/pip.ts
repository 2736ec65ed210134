import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { GradCamError } from '../../base/errors.js'
import { lastLines, run } from '../../base/processes.js'
import { keepPartial, makePartial } from '../cache.js'
import type { InstallRecord } from './find.js'
import { pythonCommand, type PythonFacts } from './python.js'

export interface PipInstall {
  readonly cache: string
  /** Tried in order: the next one only where the user's index has no such build. */
  readonly alternatives: readonly (readonly string[])[]
  readonly python: PythonFacts
  /** Called with each line for the user. */
  readonly say: (line: string) => void
  /** Printed when an alternative is not available and the next is tried. */
  readonly fallback: string
  /** The name of the folder, when the install is done; `site` holds the packages. */
  readonly nameFor: (site: string, requirement: string) => string
}

/**
 * Has pip install packages into a folder of their own in the cache and returns it. The folder gets its name only when
 * pip has finished: an interrupted install leaves nothing that could be taken for a complete one. pip's index, proxies, caches
 * and checks are the user's own: no option is passed that would change them.
 *
 * Throws ERR_LIBTORCH_INSTALL with pip's last lines and what to do about them.
 */
export async function pipInstall(install: PipInstall): Promise<string> {
  const { cache, alternatives, python, say } = install
  for (const [index, requirements] of alternatives.entries()) {
    const partial = makePartial(cache)
    const undo = removeOnSignal(partial)
    try {
      const result = await runPip(requirements, partial, undo)
      if (result.code === 0) {
        const requirement = requirements.join(' ')
        const name = install.nameFor(join(partial, 'site'), requirement)
        const record: InstallRecord = { requirement, python: python.version.split('.').slice(0, 2).join('.') }
        writeFileSync(join(partial, 'install.json'), JSON.stringify(record))
        return keepPartial(partial, name, cache)
      }
      const last = index === alternatives.length - 1
      if (last || !/No matching distribution found/.test(result.stderr)) throw failure(requirements, result, python)
      say(install.fallback)
    } finally {
      undo.forget()
      rmSync(partial, { recursive: true, force: true })
    }
  }
  throw new Error('pipInstall was given nothing to install')
}

async function runPip(requirements: readonly string[], partial: string, undo: Undo) {
  const temporary = join(partial, 'tmp')
  mkdirSync(temporary)
  const args = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '--no-warn-script-location']
  const result = await run(pythonCommand, [...args, '--target', join(partial, 'site'), ...requirements], {
    // pip's own progress goes to the user's terminal as it is; its errors are kept for our error as well.
    stdio: ['ignore', process.stderr.fd, 'pipe'],
    // pip --target fills TMPDIR first: beside the target its last step is a rename, and /tmp need not hold gigabytes.
    env: { ...process.env, TMPDIR: temporary, PIP_ROOT_USER_ACTION: 'ignore' },
    onOutput: (text) => process.stderr.write(text),
    onSpawn: undo.alsoKill,
  })
  rmSync(temporary, { recursive: true, force: true })
  return result
}

interface Undo {
  readonly alsoKill: (kill: () => void) => void
  readonly forget: () => void
}

/** Ctrl-C and the like end pip too and leave no gigabytes behind; SIGKILL cannot be caught: the next run cleans up. */
function removeOnSignal(partial: string): Undo {
  let kill = (): void => {}
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const onSignal = (signal: NodeJS.Signals): void => {
    kill()
    forget()
    rmSync(partial, { recursive: true, force: true })
    process.kill(process.pid, signal)
  }
  const forget = (): void => {
    for (const signal of signals) process.off(signal, onSignal)
  }
  for (const signal of signals) process.on(signal, onSignal)
  return { alsoKill: (killChild) => (kill = killChild), forget }
}

function failure(
  requirements: readonly string[],
  result: { stderr: string; code: number | null; signal: string | null },
  python: PythonFacts,
): GradCamError {
  const ending = result.signal ? `was ended by ${result.signal}` : `failed with exit code ${String(result.code)}`
  const problem = `pip ${ending} installing ${requirements.join(' ')}. Its last lines are:\n${lastLines(result.stderr, 6)}\n`
  const details = { requirements, exitCode: result.code, signal: result.signal }
  return new GradCamError('ERR_LIBTORCH_INSTALL', problem, { remedy: remedy(result.stderr, python), details })
}

const other = 'Or install PyTorch yourself where python3 finds it, or unpack a LibTorch and name it in LIBTORCH.'

/** pip has no codes: the remedy follows from the errors of Python and of the network that it prints. */
function remedy(stderr: string, python: PythonFacts): string {
  if (/No space left on device|Errno 28/.test(stderr)) {
    return 'The disk is full: free some space, or let GRADCAM_CACHE name a folder on a larger disk.'
  }
  if (/externally-managed|Permission denied|Errno 13/.test(stderr)) {
    return `pip may not write: check the rights of the cache folder, or name another in GRADCAM_CACHE. ${other}`
  }
  if (/CERTIFICATE_VERIFY_FAILED|SSLError/.test(stderr)) {
    return `pip does not trust the index's certificate: give it your organisation's (pip config set global.cert FILE). ${other}`
  }
  if (/ProxyError|407 /.test(stderr))
    return `pip cannot get through the proxy: check HTTPS_PROXY or pip's own setting. ${other}`
  if (
    /NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Connection (broken|aborted|refused)|Retrying/.test(
      stderr,
    )
  ) {
    return `pip cannot reach its index: check the network, the proxy and the index in pip's configuration. ${other}`
  }
  if (/No matching distribution found/.test(stderr)) {
    return `The index in pip's configuration has no such build for Python ${python.version} on ${process.platform}-${process.arch}: use a Python that this PyTorch supports (3.10 to 3.14). ${other}`
  }
  return other
}
