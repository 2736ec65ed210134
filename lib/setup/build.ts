import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { createRequire } from 'node:module'
import { join, sep } from 'node:path'
import { GradCamError } from '../base/errors.js'
import { ensureLibTorch } from './libtorch/install.js'
import type { LibTorch } from '../addon/describe.js'
import { describeWait, withLock, type LockWait } from '../base/lock.js'
import { addonFile, buildFolder, buildInfoFile, packageRoot } from '../base/paths.js'
import {
  addonStamp,
  hashSources,
  hashText,
  platform,
  readBuildInfo,
  type Builder,
  type BuildInfo,
} from '../addon/build-info.js'
import { cacheAddon, findCachedAddon } from './addon-cache.js'
import { findPrebuilt } from './prebuilt.js'
import { builders, logFile, objectSources, objectsRecord, workFolder, type BuildPlan } from './build-with.js'
import { probeAddon } from '../addon/probe.js'
import { cmakeRemedy, compilerRemedy, findCMake, findCompiler, findMake, findNodeGyp, toolMissing } from './tools.js'

const require = createRequire(import.meta.url)

export interface BuildOptions {
  /** cmake-js where there is a CMake, else node-gyp. */
  readonly builder?: Builder
  /** Let a warning in our own C++ fail the build: for CI. */
  readonly werror?: boolean
  /** For -fsanitize, e.g. 'address'. */
  readonly sanitize?: string
  /** Compile sources in batches (default true). */
  readonly unity?: boolean
  /** Compile even where this machine has an addon that was built from the same (default false). */
  readonly fresh?: boolean
  /** Compilers at once: as many as cores and memory allow (LibTorch's headers take about 2 GB each). */
  readonly jobs?: number
  /** Called with each line for the user. */
  readonly say?: (line: string) => void
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
  const libtorch = await ensureLibTorch({ say })
  const builder = options.builder ?? ((await findCMake()) ? 'cmake-js' : 'node-gyp')
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
    await compile(info, plan)
    if (key !== null) cacheAddon(key, addonFile)
    return { how: 'compiled', ...result }
  })
}

/** What the record of a build says before there is an addon. */
type NewBuild = Omit<BuildInfo, 'addon'> & { readonly builder: Builder }

async function compile(info: NewBuild, plan: BuildPlan): Promise<void> {
  const { builder } = info
  const settingsFile = join(workFolder(builder), 'settings')
  // Object files and CMake's cache are valid for exactly the same settings only: headers of another LibTorch may be no newer.
  if (readIfThere(settingsFile) !== info.settings) rmSync(workFolder(builder), { recursive: true, force: true })
  mkdirSync(workFolder(builder), { recursive: true })
  writeFileSync(settingsFile, info.settings)
  writeFileSync(logFile, '')
  rmSync(objectsRecord(builder), { force: true })
  const made = await builders[builder](plan)
  writeFileSync(objectsRecord(builder), info.sources)
  await putInPlace(made, info, { sanitize: plan.sanitize })
  // An installed package is built once: half a gigabyte of object files has no further use there.
  if (packageRoot.includes(`${sep}node_modules${sep}`)) rmSync(workFolder(builder), { recursive: true, force: true })
}

/** @param linked the LibTorch that a prebuilt addon finds by a link beside it; else it knows the path itself */
async function putInPlace(
  made: string,
  info: Omit<BuildInfo, 'addon'>,
  { sanitize = '', linked }: { sanitize?: string; linked?: LibTorch } = {},
): Promise<void> {
  // A folder of its own: the record of the earlier build does not concern the new addon.
  const folder = join(buildFolder, `new-${process.pid}`)
  const [next, link] = [join(folder, 'gradcam.node'), join(folder, 'torch')]
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  try {
    copyFileSync(made, next)
    if (linked) symlinkSync(linked.root, link)
    await tryOut(next, sanitize)
    // The record goes first and comes back last: between the two the addon counts as not built, never as something else.
    rmSync(buildInfoFile, { force: true })
    if (linked) renameSync(link, join(buildFolder, 'torch'))
    renameSync(next, addonFile)
    writeFileSync(`${buildInfoFile}.new`, `${JSON.stringify({ ...info, addon: addonStamp() }, null, 2)}\n`)
    renameSync(`${buildInfoFile}.new`, buildInfoFile)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
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
    await putInPlace(prebuilt, { ...info, builder: 'prebuilt' }, { linked: libtorch })
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
    await putInPlace(cached, info)
    return true
  } catch {
    return false
  }
}

/** What an addon depends on, whichever project builds it; null for one with a sanitizer, which is not kept. */
function cacheKey(info: Omit<BuildInfo, 'addon'>, libtorch: LibTorch, options: BuildOptions): string | null {
  if (options.sanitize) return null
  return hashText(info.builder, info.sources, ...settingsOf(libtorch, options))
}

function defaultJobs(): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / 2 ** 31)))
}

/** A sanitizer's runtime has to be preloaded, so such an addon cannot be loaded here. */
async function tryOut(addon: string, sanitize: string): Promise<void> {
  if (sanitize) return
  const probe = await probeAddon(addon)
  if (probe.ok) return
  throw new GradCamError(
    'ERR_BUILD',
    `The addon was compiled but does not load; the addon of an earlier build is left in place. ${probe.problem}`,
    { remedy: probe.remedy },
  )
}

function describeBuild(libtorch: LibTorch, builder: Builder, options: BuildOptions): NewBuild {
  const { cxx11Abi: _, ...rest } = libtorch
  const settings = hashText(packageRoot, ...settingsOf(libtorch, options))
  return { builder, platform, libtorch: rest, settings, sources: hashSources() }
}

/** All that a build depends on besides the sources and where they lie. */
function settingsOf(libtorch: LibTorch, options: BuildOptions): string[] {
  const environment = ['CXX', 'CXXFLAGS', 'LDFLAGS', 'CMAKE_GENERATOR'].map(
    (name) => `${name}=${process.env[name] ?? ''}`,
  )
  const { werror = false, sanitize = '', unity = true } = options
  const flags = [String(libtorch.cxx11Abi), String(werror), sanitize, String(unity), ...environment]
  return [platform, libtorch.root, libtorch.fingerprint, ...flags, ...headerVersions()]
}

/** The versions of the headers that are compiled in, wherever npm put them: dependencies may lie beside an installed package. */
function headerVersions(): string[] {
  return ['node-addon-api', 'node-api-headers'].map(
    (name) => (require(`${name}/package.json`) as { version: string }).version,
  )
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
      compilerRemedy(),
    )
  if (builder === 'cmake-js') {
    if (!(await findCMake())) throw toolMissing('CMake 3.18 or newer', cmakeRemedy())
    if (!findMake()) throw toolMissing('make (or Ninja)', compilerRemedy())
  } else {
    if (!findNodeGyp()) throw toolMissing('CMake, or the node-gyp that npm carries,', cmakeRemedy())
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
