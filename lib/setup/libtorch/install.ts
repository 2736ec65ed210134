import { join } from 'node:path'
import { GradCamError } from '../../base/errors.js'
import { describeWait, withLock, type LockWait } from '../../base/lock.js'
import { which } from '../../base/processes.js'
import { cacheFolder, cleanPartials } from '../cache.js'
import { compareVersions, describeLibTorch, type LibTorch } from '../../addon/describe.js'
import { hasNvidiaDriver } from './driver.js'
import { pinnedVersion, searchLibTorch, type Search } from './find.js'
import { pipInstall } from './pip.js'
import { pythonCommand, type PythonFacts } from './python.js'

const oldestPython = '3.10'

export interface InstallOptions {
  /** Called with each line for the user; they go to stderr unless told otherwise. */
  readonly say?: (line: string) => void
  /** Whether an NVIDIA driver is here; found out unless told. */
  readonly driver?: boolean
}

/**
 * The LibTorch to build against: the one that a search finds, else the pinned PyTorch, which pip puts into the user's
 * cache folder (the CPU build where there is no NVIDIA driver, the CUDA build where there is one).
 *
 * Throws ERR_LIBTORCH_NOT_FOUND (LIBTORCH names something else), ERR_TOOL_MISSING (no Python, no pip),
 * ERR_LIBTORCH_INSTALL (pip failed) or ERR_LOCK_FAILED.
 */
export async function ensureLibTorch(options: InstallOptions = {}): Promise<LibTorch> {
  const first = await searchLibTorch()
  if (first.libtorch && first.libtorch.source !== 'private install') return first.libtorch
  const driver = options.driver ?? (await hasNvidiaDriver())
  const found = driver && first.libtorch ? (await searchLibTorch({ cuda: true })).libtorch : first.libtorch
  if (found) return found
  return installPrivate(first, driver, options.say ?? printLine)
}

/** Where the lines for the user go unless told otherwise. */
export function printLine(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Installs the pinned PyTorch into the cache folder; a second process that installs the same waits for the first. */
export async function installPrivate(search: Search, driver: boolean, say: (line: string) => void): Promise<LibTorch> {
  const python = usablePython(search)
  const cache = cacheFolder()
  const waiting = (wait: LockWait): void => say(describeWait(wait, 'is installing PyTorch already'))
  return withLock(join(cache, '.install-lock'), waiting, async () => {
    const meanwhile = (await searchLibTorch({ cuda: driver })).libtorch
    if (meanwhile?.source === 'private install') return meanwhile
    const leftovers = cleanPartials(cache)
    if (leftovers.length > 0) say('Removed the partial files of an interrupted install.')
    say(`No PyTorch found: pip installs PyTorch ${pinnedVersion} into ${cache} (${driver ? 'CUDA' : 'CPU'} build).`)
    const folder = await pipInstall({
      cache,
      python,
      say,
      ...wanted(driver),
      nameFor: (site) =>
        `pytorch-${pinnedVersion}-${describeLibTorch(join(site, 'torch'), 'private install').cuda ? 'cuda' : 'cpu'}`,
    })
    const libtorch = describeLibTorch(join(folder, 'site', 'torch'), 'private install')
    if (driver && !libtorch.cuda) {
      say(`The index gave a CPU build of PyTorch ${libtorch.version}: the GPU will not be used.`)
    }
    return libtorch
  })
}

/** The requirements for pip, in order. `===` takes the index's plain build where a local version beside it would win. */
function wanted(driver: boolean): { alternatives: string[][]; fallback: string } {
  const plain = [`torch==${pinnedVersion}`]
  if (driver) {
    const fallback = `The index has no plain build of PyTorch ${pinnedVersion}: taking the one that it has.`
    return { alternatives: [[`torch===${pinnedVersion}`], plain], fallback }
  }
  // For macOS there is one build only, and it is a CPU build.
  if (process.platform === 'darwin') return { alternatives: [plain], fallback: '' }
  const fallback = `The index has no CPU build of PyTorch ${pinnedVersion} (torch==${pinnedVersion}+cpu): taking the build that it has, which may be a CUDA build of several gigabytes. It runs on the CPU too.`
  return { alternatives: [[`torch==${pinnedVersion}+cpu`], plain], fallback }
}

function usablePython({ python, tried }: Search): PythonFacts {
  const before = `No LibTorch was found (${tried.join('; ')}) and it cannot be installed`
  if (!python) {
    throw new GradCamError('ERR_TOOL_MISSING', `${before}: there is no ${pythonCommand}.`, { remedy: pythonRemedy() })
  }
  if (compareVersions(python.version, oldestPython) < 0) {
    const text = `${before}: PyTorch ${pinnedVersion} requires Python ${oldestPython} or newer and ${python.executable} is ${python.version}.`
    throw new GradCamError('ERR_TOOL_MISSING', text, {
      remedy: 'Put a newer python3 on PATH, or name a LibTorch in LIBTORCH.',
    })
  }
  if (!python.pip) {
    throw new GradCamError('ERR_TOOL_MISSING', `${before}: ${python.executable} has no pip.`, {
      remedy: pipRemedy(python),
    })
  }
  return python
}

/** What to do where there is no Python. */
export function pythonRemedy(): string {
  if (process.platform === 'darwin') return 'Install it with: xcode-select --install (or brew install python).'
  if (which('apt-get')) return 'Install it with: sudo apt-get install python3 python3-pip.'
  if (which('dnf')) return 'Install it with: sudo dnf install python3 python3-pip.'
  return 'Install Python 3.10 or newer with pip, or name an unpacked LibTorch in LIBTORCH.'
}

/** What to do where Python has no pip. */
export function pipRemedy(python: PythonFacts): string {
  if (which('apt-get') && python.executable.startsWith('/usr/bin/'))
    return 'Install it with: sudo apt-get install python3-pip.'
  return `Install it with: ${pythonCommand} -m ensurepip --upgrade.`
}
