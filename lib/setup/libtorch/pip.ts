import { accessSync, constants, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { GradCamError } from '../../base/errors.js'
import { lastLines, run } from '../../base/processes.js'
import { keepPartial, makePartial } from '../cache.js'
import type { InstallRecord } from './find.js'
import { explainPip, isMissingBuild, lastWords } from './pip-errors.js'
import { pythonCommand, type PythonFacts } from './python.js'

/** One way to get PyTorch. */
export interface PipStep {
  /** Of pip: what to install, and its options for this step alone. */
  readonly requirements: readonly string[]
  readonly options?: readonly string[]
  /** What it does and how large it is, for the user. */
  readonly about: string
  /** Printed when it gives nothing and the next step is tried; the reason is put in place of `$why`. */
  readonly otherwise?: string
  /** When the next step is tried: the index has no such build, or the step failed for any reason. */
  readonly next?: 'no such build' | 'any failure'
  /** What remains to be done in the folder of packages when pip has finished. */
  readonly complete?: (site: string, pip: RunPip) => Promise<void>
  /** Whether Python can import what it gives (default true). */
  readonly importable?: boolean
}

/** Has pip install into the same folder. Throws ERR_LIBTORCH_INSTALL. */
export type RunPip = (requirements: readonly string[]) => Promise<void>

export interface PipInstall {
  readonly cache: string
  readonly steps: readonly PipStep[]
  readonly python: PythonFacts
  /** Called with each line for the user. */
  readonly say: (line: string) => void
  /** The name of the folder, when the install is done; `site` holds the packages. */
  readonly nameFor: (site: string, importable: boolean) => string
}

/**
 * Has pip install packages into a folder of their own in the cache and returns it: by the first step that gives something. The
 * folder gets its name only when pip has finished: an interrupted install leaves nothing that could be taken for a complete one.
 * pip's index, proxies, caches and checks are the user's own, except where a step names another index.
 *
 * Throws ERR_LIBTORCH_INSTALL with pip's last lines and what to do about them.
 */
export async function pipInstall(install: PipInstall): Promise<string> {
  const { cache, steps, python, say } = install
  for (const [index, step] of steps.entries()) {
    const partial = makeInstallFolder(cache)
    const undo = removeOnSignal(partial)
    // PyTorch's Python is never imported here, and compiling it takes twice as long as all the rest.
    const always = step.importable === false ? ['--no-compile'] : []
    const pip = (requirements: readonly string[], options: readonly string[] = []): Promise<PipEnd> =>
      runPip([...always, ...options, ...requirements], partial, undo)
    say(step.about)
    try {
      const ended = await pip(step.requirements, step.options)
      if (ended.code === 0) {
        const site = join(partial, 'site')
        await step.complete?.(site, async (requirements) => {
          const more = await pip(requirements)
          if (more.code !== 0) throw failure(requirements, more, python)
        })
        const record: InstallRecord = {
          requirement: step.requirements.join(' '),
          python: python.version.split('.').slice(0, 2).join('.'),
          importable: step.importable ?? true,
        }
        writeFileSync(join(partial, 'install.json'), JSON.stringify(record))
        return keepPartial(partial, install.nameFor(site, record.importable !== false), cache)
      }
      const last = index === steps.length - 1
      const goesOn = step.next === 'any failure' || isMissingBuild(ended.stderr)
      if (last || !goesOn) throw failure(step.requirements, ended, python)
      if (step.otherwise) say(step.otherwise.replace('$why', lastLines(ended.stderr, 1).replace(/^ERROR: /, '')))
    } finally {
      undo.forget()
      rmSync(partial, { recursive: true, force: true })
    }
  }
  throw new Error('pipInstall was given nothing to install')
}

/** Whether pip's own configuration or environment names an index: then no other one is tried. */
export async function namesIndex(): Promise<boolean> {
  const listed = await run(pythonCommand, ['-m', 'pip', 'config', 'list'])
  return listed.code !== 0 || /^[^=]*\b(?:extra-)?index-url=|^[^=]*\bno-index=/m.test(listed.stdout)
}

function makeInstallFolder(cache: string): string {
  try {
    return makePartial(cache)
  } catch (cause) {
    throw unwritable(cache, cause)
  }
}

/** The error for a cache folder in which nothing can be installed. */
export function unwritable(cache: string, cause: unknown): GradCamError {
  const { code: said = String(cause) } = cause as NodeJS.ErrnoException
  // Of a file system that is read-only Node says that the folder to be made does not exist.
  const code = said === 'ENOENT' ? (whyNoFolder(cache) ?? said) : said
  return new GradCamError('ERR_LIBTORCH_INSTALL', `The cache folder ${cache} cannot be written (${code}).`, {
    remedy: 'Name a folder of your own in GRADCAM_CACHE, or an installed LibTorch in LIBTORCH.',
    details: { folder: cache },
    cause,
  })
}

/** Why no folder can be made at a path, by the nearest folder above it that exists; null where that can be written. */
function whyNoFolder(path: string): string | null {
  let above = path
  while (!existsSync(above) && dirname(above) !== above) above = dirname(above)
  try {
    accessSync(above, constants.W_OK)
    return null
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? null
  }
}

interface PipEnd {
  readonly code: number | null
  readonly signal: string | null
  readonly stderr: string
}

async function runPip(args: readonly string[], partial: string, undo: Undo): Promise<PipEnd> {
  const temporary = join(partial, 'tmp')
  mkdirSync(temporary)
  const common = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '--no-warn-script-location']
  const result = await run(pythonCommand, [...common, '--target', join(partial, 'site'), ...args], {
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

function failure(requirements: readonly string[], { stderr, code, signal }: PipEnd, python: PythonFacts): GradCamError {
  const ending = signal ? `was ended by ${signal}` : `failed with exit code ${String(code)}`
  const words = lastWords(stderr)
  const problem = `pip ${ending} installing ${requirements.join(' ')}${words === '' ? '' : `: ${words}`}.`
  const details = { requirements, exitCode: code, signal }
  return new GradCamError('ERR_LIBTORCH_INSTALL', problem, { remedy: explainPip(stderr, python), details })
}
