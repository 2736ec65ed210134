import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join, sep } from 'node:path'
import { GradCamError } from '../base/errors.js'
import { ensureLibTorch } from './libtorch/install.js'
import type { LibTorch } from '../addon/describe.js'
import { describeWait, withLock, type LockWait } from '../base/lock.js'
import { addonFile, buildFolder, packageRoot } from '../base/paths.js'
import {
  addonStamp,
  nativeBatches,
  nativeSources,
  readBuildInfo,
  type Builder,
  type BuildInfo,
} from '../addon/build-info.js'
import { cacheKey, describeBuild, type BuildSettings, type NewBuild } from './describe-build.js'
import type { Confirm } from './libtorch/steps.js'
import { cacheAddon, findCachedAddon } from './addon-cache.js'
import { findPrebuilt, leftOutRemedy, prebuiltLeftOut } from './prebuilt.js'
import { builders, logFile, objectSources, objectsRecord, workFolder, type BuildPlan } from './build-with.js'
import { placeAddon } from './place-addon.js'
import {
  cmakeJsRemedy,
  cmakeRemedy,
  compilerRemedy,
  findCMake,
  findCMakeJs,
  findCompiler,
  findMake,
  findNodeGyp,
  noBuilder,
  toolMissing,
  usualBuilder,
} from './tools.js'

export interface BuildOptions extends BuildSettings {
  /** Compile even where this machine has an addon that was built from the same (default false). */
  readonly fresh?: boolean
  /** Compilers at once: as many as cores and memory allow (LibTorch's headers take about 2 GB each). */
  readonly jobs?: number
  /** Called with each line for the user. */
  readonly say?: (line: string) => void
  /** Asked before a large download; without it nobody is asked. */
  readonly confirm?: Confirm
  /** Called before the compiler begins, with how many files it compiles from nothing, and how many at once. */
  readonly onCompile?: (files: number, jobs: number) => void
  /** Called with each piece of the builder's output. */
  readonly onOutput?: (text: string) => void
}

export interface BuildResult {
  /**
   * Compiled now; the one that npm installed for this platform; taken from the user's cache, where a build from the same lay;
   * or 'current', which it was before.
   */
  readonly how: 'compiled' | 'prebuilt' | 'cached' | 'current'
  readonly addon: string
  readonly libtorch: LibTorch
}

/**
 * Builds the addon against the LibTorch that is found (or installed, where there is none). Does nothing when LibTorch,
 * sources, builder and settings are those of the last build, and compiles nothing where npm installed an addon for this platform
 * and LibTorch, or any project of this user was built from the same. The addon of an earlier build stays in place until the new one has been loaded in a process of its own.
 *
 * Throws ERR_TOOL_MISSING, ERR_LIBTORCH_NOT_FOUND, ERR_LIBTORCH_INSTALL, ERR_LOCK_FAILED or ERR_BUILD.
 */
export async function build(options: BuildOptions = {}): Promise<BuildResult> {
  const say = options.say ?? (() => {})
  const libtorch = await ensureLibTorch({ say, ...(options.confirm && { confirm: options.confirm }) })
  const builder = options.builder ?? (await usualBuilder())
  makeBuildFolder()
  const waiting = (wait: LockWait): void => say(describeWait(wait, 'is building already'))
  return withLock(join(buildFolder, '.lock'), waiting, async () => {
    const info = describeBuild(libtorch, builder, options)
    const result = { addon: addonFile, libtorch }
    if (isCurrent(info, options)) return { how: 'current', ...result }
    const key = cacheKey(info, libtorch, options)
    if (await takePrebuilt(info, libtorch, options)) return { how: 'prebuilt', ...result }
    if (await takeCached(key, info, options)) return { how: 'cached', ...result }
    await checkTools(builder)
    const plan: BuildPlan = {
      libtorch,
      werror: options.werror ?? false,
      sanitize: options.sanitize ?? '',
      unity: options.unity ?? true,
      jobs: options.jobs ?? defaultJobs(),
      onOutput: options.onOutput ?? (() => {}),
      say,
    }
    say(
      `Building the addon with ${builder} against LibTorch ${libtorch.version} (${libtorch.source}: ${libtorch.root}).`,
    )
    options.onCompile?.(plan.unity ? nativeBatches().length : nativeSources().length, plan.jobs)
    await compile(info, plan)
    if (key !== null) cacheAddon(key, addonFile)
    return { how: 'compiled', ...result }
  })
}

async function compile(info: NewBuild, plan: BuildPlan): Promise<void> {
  const { builder } = info
  const settingsFile = join(workFolder(builder), 'settings')
  // Object files and CMake's cache are valid for exactly the same settings only: headers of another LibTorch need not be newer.
  if (readIfThere(settingsFile) !== info.settings) rmSync(workFolder(builder), { recursive: true, force: true })
  mkdirSync(workFolder(builder), { recursive: true })
  writeFileSync(settingsFile, info.settings)
  writeFileSync(logFile, '')
  rmSync(objectsRecord(builder), { force: true })
  const made = await builders[builder](plan)
  writeFileSync(objectsRecord(builder), info.sources)
  // A sanitizer's runtime has to be preloaded, so such an addon cannot be loaded here.
  await placeAddon(made, info, buildFolder, { tried: plan.sanitize === '' })
  // An installed package is built once: half a gigabyte of object files has no further use there.
  if (packageRoot.includes(`${sep}node_modules${sep}`)) rmSync(workFolder(builder), { recursive: true, force: true })
}

/** Puts the addon that npm installed in place. One that does not load here is passed over. */
async function takePrebuilt(
  info: Omit<BuildInfo, 'addon'>,
  libtorch: LibTorch,
  options: BuildOptions,
): Promise<boolean> {
  if (options.fresh || options.builder || options.sanitize || options.werror) return false
  const prebuilt = findPrebuilt(libtorch)
  if (prebuilt === null) return false
  try {
    await placeAddon(prebuilt, { ...info, builder: 'prebuilt' }, buildFolder, { linked: libtorch })
    return true
  } catch {
    return false
  }
}

/** Puts an addon of the user's cache in place. One that does not load here is passed over. */
async function takeCached(
  key: string | null,
  info: Omit<BuildInfo, 'addon'>,
  { fresh = false }: BuildOptions,
): Promise<boolean> {
  const cached = key === null || fresh ? null : findCachedAddon(key)
  if (cached === null) return false
  try {
    await placeAddon(cached, info, buildFolder)
    return true
  } catch {
    return false
  }
}

function defaultJobs(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / 2 ** 31)))
}

function isCurrent(info: NewBuild, { builder, werror, fresh }: BuildOptions): boolean {
  const last = readBuildInfo()
  if (!last || last.addon === 'none' || last.addon !== addonStamp()) return false
  // From the cache: there is nothing that could be called compiled.
  if (fresh && objectSources(info.builder) !== info.sources) return false
  const asPrebuilt = last.builder === 'prebuilt' && !builder && !werror && !fresh
  return (
    (last.builder === info.builder || asPrebuilt) && last.settings === info.settings && last.sources === info.sources
  )
}

async function checkTools(builder: Builder): Promise<void> {
  if (!(await findCompiler()))
    throw toolMissing(
      process.env['CXX'] ? `The compiler that CXX names (${process.env['CXX']})` : 'A C++ compiler',
      prebuiltLeftOut() ? `${leftOutRemedy} Or compile it. ${compilerRemedy()}` : compilerRemedy(),
    )
  if (builder === 'cmake-js') {
    if (!(await findCMake())) throw toolMissing('CMake 3.18 or newer', cmakeRemedy())
    if (!findCMakeJs()) throw toolMissing('The package cmake-js', cmakeJsRemedy)
    if (!findMake()) throw toolMissing('make (or Ninja)', compilerRemedy())
  } else {
    if (!findNodeGyp()) throw await noBuilder()
    if (!findMake(['make'])) throw toolMissing('make', compilerRemedy())
  }
}

function makeBuildFolder(): void {
  try {
    mkdirSync(buildFolder, { recursive: true })
    const trial = join(buildFolder, `.trial-${process.pid}`)
    writeFileSync(trial, '')
    rmSync(trial)
  } catch (cause) {
    const text = `The build folder ${buildFolder} cannot be written (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`
    const remedy = 'Run the build as the user who owns the package, or install the package in a folder of your own.'
    throw new GradCamError('ERR_BUILD', `${text}.`, { remedy, details: { folder: buildFolder }, cause })
  }
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
