import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { platform, readBuildInfo } from '../../lib/addon/build-info.js'
import { packageRoot } from '../../lib/base/paths.js'
import { lastLines, which } from '../../lib/base/processes.js'
import type { Ended } from './package-copy.js'

/** The packed packages of a release. */
export interface Tarballs {
  readonly folder: string
  readonly main: string
  readonly addons: string
}

let packed: Tarballs | undefined

/** Packs a release of this checkout, from the addon that is built; once for a test process. */
export function tarballs(): Tarballs {
  return (packed ??= pack())
}

function pack(): Tarballs {
  const folder = mkdtempSync(join(tmpdir(), 'gradcam-tarballs-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const script = join(packageRoot, 'scripts', 'build', 'release.mjs')
  const args = [script, '--dry-run', '--unchecked', '--out', folder]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: packageRoot, encoding: 'utf8' })
  if (status !== 0) throw new Error(`the release was not made:\n${lastLines(`${stdout}${stderr}`, 20)}`)
  const named = (pattern: RegExp): string => {
    const name = readdirSync(folder).find((one) => pattern.test(one))
    if (name === undefined) throw new Error(`${folder} has no ${String(pattern)}`)
    return join(folder, name)
  }
  return {
    folder,
    main: named(/^libtorch-gradcam-\d.*\.tgz$/),
    addons: named(new RegExp(`^libtorch-gradcam-${platform}-.*\\.tgz$`)),
  }
}

/** The program of a package manager, and what it adds the two packages with. */
const managers = {
  npm: { package: null, args: ['install', '--prefer-offline', '--no-audit', '--no-fund'] },
  pnpm: { package: 'pnpm@10', args: ['install', '--prefer-offline', '--no-frozen-lockfile'] },
  yarn: { package: 'yarn@1.22.22', args: ['install', '--prefer-offline', '--no-lockfile', '--non-interactive'] },
} as const

export type Manager = keyof typeof managers

/** Runs a package manager. npm fetches the others, of the version that is pinned here. */
export function runManager(manager: Manager, args: readonly string[], cwd: string): Ended {
  const { package: name } = managers[manager]
  const words = name === null ? [manager, ...args] : ['npx', '--yes', '--package', name, '--', manager, ...args]
  const [command = '', ...rest] = words
  const { status, signal, stdout, stderr } = spawnSync(command, rest, { cwd, encoding: 'utf8', env: bareEnv() })
  return { code: status, signal, stdout, stderr }
}

/** This process's environment without what npm told the tests' own run. */
function bareEnv(): NodeJS.ProcessEnv {
  const own = /^(npm_|INIT_CWD$|NODE_ENV$|GRADCAM_|LIBTORCH$|PYTHONPATH$|VIRTUAL_ENV$)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name)))
}

/** A project that depends on the packed packages. */
export interface Consumer {
  readonly folder: string
  /** Where Node finds this package from there. */
  readonly installed: string
  /** No compiler, no CMake, no Python: Node alone is on PATH. The cache is the project's own. */
  readonly env: NodeJS.ProcessEnv
  /** Runs a program in it. */
  readonly run: (command: string, args: readonly string[], env?: NodeJS.ProcessEnv) => Ended
}

/** Makes a project in an empty folder, with a LibTorch in a Python environment beside it, and installs the packages there. */
export function makeConsumer(t: ExecutionContext | null, manager: Manager, type: 'module' | 'commonjs'): Consumer {
  const folder = mkdtempSync(join(tmpdir(), `gradcam-${manager}-`))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  if (t) t.teardown(remove)
  else process.once('exit', remove)
  const { main, addons } = tarballs()
  const dependencies = { 'libtorch-gradcam': `file:${main}`, [`@libtorch-gradcam/${platform}`]: `file:${addons}` }
  const same = { [`@libtorch-gradcam/${platform}`]: `file:${addons}` }
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({
      name: 'consumer',
      version: '1.0.0',
      private: true,
      type,
      dependencies,
      // As if it had been published: what the package depends on is the file, too.
      ...(manager === 'pnpm' && { pnpm: { overrides: same } }),
      ...(manager === 'yarn' && { resolutions: same }),
    }),
  )
  const { code, stdout, stderr } = runManager(manager, managers[manager].args, folder)
  if (code !== 0) throw new Error(`${manager} install failed:\n${lastLines(`${stdout}\n${stderr}`, 20)}`)
  linkLibTorch(folder)
  const bin = join(folder, '.bin-for-test')
  mkdirSync(bin)
  symlinkSync(process.execPath, join(bin, 'node'))
  const env = { ...bareEnv(), PATH: bin, HOME: folder, GRADCAM_CACHE: join(folder, '.cache'), PYENV_ROOT: folder }
  return {
    folder,
    installed: join(folder, 'node_modules', 'libtorch-gradcam'),
    env,
    run: (command, args, more = {}) => {
      const {
        status,
        signal,
        stdout: out,
        stderr: err,
      } = spawnSync(command, args, {
        cwd: folder,
        encoding: 'utf8',
        env: { ...env, ...more },
      })
      return { code: status, signal, stdout: out, stderr: err }
    },
  }
}

/** The LibTorch of the package under test, as a Python environment of the project would have it. */
function linkLibTorch(folder: string): void {
  const root = readBuildInfo()?.libtorch.root
  if (root === undefined) throw new Error('the package under test is not built')
  const site = join(folder, '.venv', 'lib', 'python3.11', 'site-packages')
  mkdirSync(site, { recursive: true })
  writeFileSync(join(folder, '.venv', 'pyvenv.cfg'), 'home = /nowhere\n')
  symlinkSync(root, join(site, 'torch'))
}

/** Whether the registry of npm can be reached, or has what is needed in its cache: outside of CI it need not. */
export function canInstall(): boolean {
  if (!which('npm')) return false
  const asked = spawnSync('npm', ['view', '--prefer-offline', 'sharp', 'version'], { encoding: 'utf8', env: bareEnv() })
  return asked.status === 0
}

/** Copies the samples to where the snippets of README expect them. */
export function copySamples({ folder, installed }: Consumer): void {
  if (!existsSync(join(folder, 'samples')))
    cpSync(join(installed, 'samples'), join(folder, 'samples'), { recursive: true })
}
