import { join } from 'node:path'
import { GradCamError } from '../../base/errors.js'
import { describeWait, withLock, type LockWait } from '../../base/lock.js'
import { which } from '../../base/processes.js'
import { cacheFolder } from '../../base/cache-folder.js'
import { cleanPartials } from '../cache.js'
import { compareVersions, describeLibTorch, type LibTorch } from '../../addon/describe.js'
import { hasNvidiaDriver } from './driver.js'
import { pinnedVersion, readInstallRecord, searchLibTorch, type Search } from './find.js'
import { pipInstall, unwritable } from './pip.js'
import { pythonCommand, type PythonFacts } from './python.js'
import { installSteps, type Confirm } from './steps.js'

const oldestPython = '3.10'

export interface InstallOptions {
  /** Called with each line for the user; they go to stderr unless told otherwise. */
  readonly say?: (line: string) => void
  /** Whether an NVIDIA driver is here; found out unless told. */
  readonly driver?: boolean
  /** Asked before a large download; without it nobody is asked. */
  readonly confirm?: Confirm
}

/**
 * The LibTorch to build against: the one that a search finds, else the pinned PyTorch, which pip puts into the user's
 * cache folder (the CPU build where there is no NVIDIA driver, the CUDA build where there is one).
 *
 * Throws ERR_LIBTORCH_NOT_FOUND (LIBTORCH names something else), ERR_TOOL_MISSING (no Python, no pip),
 * ERR_LIBTORCH_INSTALL (pip failed, or the user declined) or ERR_LOCK_FAILED.
 */
export async function ensureLibTorch(options: InstallOptions = {}): Promise<LibTorch> {
  const first = await searchLibTorch()
  if (first.libtorch && isChosen(first.libtorch)) return first.libtorch
  const driver = options.driver ?? (await hasNvidiaDriver())
  const found = driver && first.libtorch ? (await searchLibTorch({ cuda: true })).libtorch : first.libtorch
  if (found) return found
  return installPrivate(first, { ...options, driver })
}

/** Where the lines for the user go unless told otherwise. */
export function printLine(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** What {@link installPrivate} installs. */
export interface PrivateInstall extends InstallOptions {
  readonly driver: boolean
  /** With all that Python requires to import it, which a program that only loads its libraries does not. */
  readonly importable?: boolean
}

/** Installs the pinned PyTorch into the cache folder; a second process that installs the same waits for the first. */
export async function installPrivate(search: Search, install: PrivateInstall): Promise<LibTorch> {
  const { say = printLine, driver, importable = false, confirm } = install
  const python = usablePython(search)
  const cache = cacheFolder()
  const waiting = (wait: LockWait): void => say(describeWait(wait, 'is installing PyTorch already'))
  return lockInstalls(cache, waiting, async () => {
    const meanwhile = (await searchLibTorch({ cuda: driver })).libtorch
    if (meanwhile?.source === 'private install' && (!importable || isImportable(meanwhile, cache))) return meanwhile
    const leftovers = cleanPartials(cache)
    if (leftovers.length > 0) say('Removed the partial files of an interrupted install.')
    const steps = await installSteps({ driver, importable, confirm })
    say(`No PyTorch found: pip installs PyTorch ${pinnedVersion} into ${cache} (${driver ? 'CUDA' : 'CPU'} build).`)
    const folder = await pipInstall({
      cache,
      python,
      say,
      steps,
      nameFor: (site, whole) => `pytorch-${pinnedVersion}-${kindOf(site, whole)}`,
    })
    const libtorch = describeLibTorch(join(folder, 'site', 'torch'), 'private install')
    if (driver && !libtorch.cuda) {
      say(`The index gave a CPU build of PyTorch ${libtorch.version}: the GPU will not be used.`)
    }
    return libtorch
  })
}

/** 'cuda'; 'cpu', or 'cpu-python' where Python can import it; or 'small': a CUDA build without what a CPU does not need. */
function kindOf(site: string, importable: boolean): string {
  const { cuda, version } = describeLibTorch(join(site, 'torch'), 'private install')
  if (cuda) return 'cuda'
  if (importable) return 'cpu-python'
  return /\+cu/.test(version) ? 'small' : 'cpu'
}

/** What somebody chose for this project; the others are only what lies on the machine. */
const isChosen = ({ source }: LibTorch): boolean => ['LIBTORCH', 'environment', 'python3'].includes(source)

function isImportable(libtorch: LibTorch, cache: string): boolean {
  const name = libtorch.root.split(/[\\/]/).at(-3) ?? ''
  return readInstallRecord(cache, name)?.importable !== false
}

async function lockInstalls<T>(cache: string, waiting: (wait: LockWait) => void, work: () => Promise<T>): Promise<T> {
  return withLock(join(cache, '.install-lock'), waiting, work).catch((error: unknown) => {
    throw error instanceof GradCamError || (error as NodeJS.ErrnoException).code === undefined
      ? error
      : unwritable(cache, error)
  })
}

function usablePython({ python, tried }: Search): PythonFacts {
  const before = `No LibTorch was found (${tried.join('; ')}) and it cannot be installed`
  if (!python) {
    throw new GradCamError('ERR_TOOL_MISSING', `${before}: ${pythonCommand} was not found.`, { remedy: pythonRemedy() })
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
