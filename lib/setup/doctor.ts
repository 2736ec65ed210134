import { dirname, join } from 'node:path'
import { addonStamp, platform, readBuildInfo, type BuildInfo } from '../addon/build-info.js'
import type { LibTorch, LibTorchSource } from '../addon/describe.js'
import { probeAddon } from '../addon/probe.js'
import type { RuntimeFacts } from '../addon/probe-child.js'
import {
  cmakeRemedy,
  compilerRemedy,
  findCMake,
  findCMakeJs,
  findCompiler,
  findMake,
  findNodeGyp,
  cmakeJsRemedy,
} from './tools.js'
import { GradCamError } from '../base/errors.js'
import { cacheFolder } from '../base/cache-folder.js'
import { hasNvidiaDriver } from './libtorch/driver.js'
import { lookForLibTorch, pinnedVersion } from './libtorch/find.js'
import { pipRemedy, pythonRemedy } from './libtorch/install.js'
import { askPython } from './libtorch/python.js'
import { addonFile } from '../base/paths.js'
import { servesPinned } from './prebuilt.js'
import { sharpRemedy } from '../base/sharp-remedy.js'

/** One thing that doctor checked. */
export interface Check {
  /** Its name, e.g. 'LibTorch'. */
  readonly name: string
  /** Where it is 'missing', the package cannot work; a 'note' is only worth knowing. */
  readonly status: 'ok' | 'note' | 'missing'
  /** What was found, or what is wrong. */
  readonly found: string
  /** What to do, where something is missing. */
  readonly remedy?: string
  /** The facts in `found`, for programs. */
  readonly details: Readonly<Record<string, string | number | boolean | null>>
}

/** The result of `gradcam doctor`. */
export interface DoctorReport {
  /** Whether everything needed is there: the addon is built and loads. */
  readonly ok: boolean
  readonly checks: readonly Check[]
}

/**
 * Checks everything that the package needs on this machine: Node, compiler, CMake, Python, sharp, LibTorch, the addon, its
 * devices and threads. It changes nothing and never throws; the addon is loaded in a process of its own.
 */
export async function doctor(): Promise<DoctorReport> {
  const [search, addon] = await Promise.all([checkLibTorch(), checkAddon()])
  // The tools to build an addon are not needed where one loads, nor where npm installed one for the LibTorch that pip would install.
  const missing = addon.check.status === 'missing'
  const needed = missing && (process.env['LIBTORCH'] !== undefined || !servesPinned())
  const checks = [
    checkNode(),
    {
      name: 'System',
      status: 'ok' as const,
      found: platform,
      details: { platform: process.platform, arch: process.arch },
    },
    await checkCompiler(needed),
    await checkCMake(needed),
    await checkPython(search.libtorchFound || !missing),
    await checkSharp(),
    search.check,
    addon.check,
    ...(addon.facts ? [await checkDevices(addon.facts), checkThreads(addon.facts)] : []),
  ]
  return { ok: checks.every(({ status }) => status !== 'missing'), checks }
}

function checkNode(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const supported = (major === 20 && minor >= 19) || major === 22 || major >= 24
  const details = { version: process.versions.node, path: process.execPath }
  const found = `${process.versions.node} (${process.execPath})`
  if (supported) return { name: 'Node', status: 'ok', found, details }
  return {
    name: 'Node',
    status: 'missing',
    found,
    remedy: 'Use Node 20.19 or newer of 20, 22, or 24 and newer.',
    details,
  }
}

async function checkCompiler(needed: boolean): Promise<Check> {
  const compiler = await findCompiler()
  const make = findMake()
  const details = { command: compiler?.command ?? null, version: compiler?.version ?? null, make }
  if (compiler && make)
    return { name: 'Compiler', status: 'ok', found: `${compiler.command} ${compiler.version}, ${make}`, details }
  const found = compiler ? 'make or Ninja was not found' : 'a C++ compiler was not found'
  return { name: 'Compiler', status: needed ? 'missing' : 'note', found, remedy: compilerRemedy(), details }
}

async function checkCMake(needed: boolean): Promise<Check> {
  const cmake = await findCMake()
  const cmakeJs = findCMakeJs()
  const both = cmake !== null && cmakeJs !== null
  const nodeGyp = both ? null : findNodeGyp()
  const details = { version: cmake?.version ?? null, cmakeJs, nodeGyp }
  if (both) return { name: 'CMake', status: 'ok', found: cmake.version, details }
  const here = cmake ? `${cmake.version}, without the package cmake-js` : 'none'
  if (nodeGyp)
    return { name: 'CMake', status: 'note', found: `${here}; node-gyp builds the addon (${nodeGyp})`, details }
  if (cmake) {
    const found = `${here}, and no node-gyp, which npm carries`
    return { name: 'CMake', status: needed ? 'missing' : 'note', found, remedy: cmakeJsRemedy, details }
  }
  const found = 'none of 3.18 or newer, and no node-gyp, which npm carries'
  return { name: 'CMake', status: needed ? 'missing' : 'note', found, remedy: cmakeRemedy(), details }
}

async function checkPython(optional: boolean): Promise<Check> {
  const python = await askPython()
  const details = { version: python?.version ?? null, path: python?.executable ?? null, pip: python?.pip ?? null }
  const status = optional ? 'note' : 'missing'
  if (!python) return { name: 'Python', status, found: 'python3 was not found', remedy: pythonRemedy(), details }
  const found = `${python.version} (${python.executable})`
  if (!python.pip) return { name: 'Python', status, found: `${found} without pip`, remedy: pipRemedy(python), details }
  return { name: 'Python', status: 'ok', found: `${found}, pip ${python.pip}`, details }
}

/** Why a LibTorch is the one that is taken, by where it was found. */
const reasons: Readonly<Record<LibTorchSource, string>> = {
  LIBTORCH: 'named by LIBTORCH',
  environment: "the Python environment's PyTorch",
  python3: "python3's PyTorch",
  'private install': 'private install',
  'another Python': 'the PyTorch of another Python, for nothing nearer is here',
  system: "the system's, for nothing nearer is here",
}

async function checkLibTorch(): Promise<{ check: Check; libtorchFound: boolean }> {
  const name = 'LibTorch'
  const all: LibTorch[] = []
  const tried: string[] = []
  try {
    for await (const { libtorch, said } of lookForLibTorch()) {
      if (!libtorch) tried.push(said)
      else if (all.every(({ root }) => root !== libtorch.root)) all.push(libtorch)
    }
  } catch (error) {
    const { problem, remedy } = asFailure(error as Error)
    const check: Check = { name, status: 'missing', found: problem, remedy, details: { version: null } }
    return { check, libtorchFound: false }
  }
  const [first, ...others] = all
  if (!first) {
    const remedy = `Run: npx gradcam setup (pip installs PyTorch ${pinnedVersion} into ${cacheFolder()}).`
    const check: Check = { name, status: 'missing', found: tried.join('; '), remedy, details: { version: null } }
    return { check, libtorchFound: false }
  }
  const { version, cuda, root, source } = first
  const also = others.map((other) => `${other.version} in ${other.root}`)
  const found =
    `${version}, ${cuda ? 'CUDA' : 'CPU'} build, ${reasons[source]} (${root})` +
    (also.length > 0 ? `; also here: ${also.join(', ')}` : '')
  const details = { version, cuda, root, source, others: others.map((other) => other.root).join('\n') }
  return { check: { name, status: 'ok', found, details }, libtorchFound: true }
}

async function checkSharp(): Promise<Check> {
  const name = 'sharp'
  try {
    const { default: sharp } = await import('sharp')
    const { sharp: version = null, vips = null } = sharp.versions as Readonly<Record<string, string | undefined>>
    return { name, status: 'ok', found: `${version}, which reads and writes images`, details: { version, vips } }
  } catch (error) {
    const found = `images can be neither read nor written: ${(error as Error).message.split('\n')[0]}`
    return { name, status: 'missing', found, remedy: sharpRemedy, details: { version: null } }
  }
}

async function checkAddon(): Promise<{ check: Check; facts?: RuntimeFacts }> {
  const name = 'Addon'
  const probe = await probeAddon()
  if (!probe.ok) {
    const { problem, remedy = 'Run: npx gradcam build.' } = probe
    const file = process.env['GRADCAM_ADDON'] ?? addonFile
    const details = { file, builder: null, builtAgainst: null, loads: false }
    return { check: { name, status: 'missing', found: problem, remedy, details } }
  }
  const { file, facts } = probe
  const info = readBuildInfo(join(dirname(file), 'build-info.json'))
  const builtWith = info && info.addon === addonStamp(file) ? info : null
  const details = { file, builder: builtWith?.builder ?? null, builtAgainst: builtWith?.libtorch.version ?? null }
  const built = builtWith ? `, ${describeBuilder(builtWith)} LibTorch ${builtWith.libtorch.version}` : ''
  const found = `loads${built} (${file})`
  return { check: { name, status: 'ok', found, details: { ...details, loads: true } }, facts }
}

const describeBuilder = ({ builder }: BuildInfo): string =>
  builder === 'prebuilt' ? 'as npm installed it, with' : `built with ${builder} against`

async function checkDevices({ cuda, cudaDevices, cudaBuild, cudaProblem }: RuntimeFacts): Promise<Check> {
  const details = { cpu: true, cuda, cudaDevices, cudaBuild }
  const name = 'Devices'
  if (cuda) return { name, status: 'ok', found: `cpu, cuda (${cudaDevices})`, details }
  const driver = await hasNvidiaDriver()
  const found = 'cpu; cuda: false'
  if (!driver) return { name, status: 'ok', found: `${found} (no NVIDIA driver on this machine)`, details }
  if (cudaProblem) {
    const why = `${found}: LibTorch's CUDA libraries do not load (${cudaProblem})`
    const remedy = 'Install PyTorch with all that it depends on, and run this again.'
    return { name, status: 'note', found: why, remedy, details: { ...details, cudaProblem } }
  }
  if (cudaBuild) {
    const remedy = 'Check nvidia-smi and CUDA_VISIBLE_DEVICES: LibTorch finds no GPU that it can use.'
    return { name, status: 'note', found: `${found}, although there is an NVIDIA driver`, remedy, details }
  }
  const remedy = 'Install a CUDA build of PyTorch, or name one in LIBTORCH, and run: npx gradcam build.'
  return { name, status: 'note', found: `${found}: LibTorch is a CPU build`, remedy, details }
}

function checkThreads({ threads }: RuntimeFacts): Check {
  return { name: 'Threads', status: 'ok', found: `${threads} (OMP_NUM_THREADS changes it)`, details: { threads } }
}

/** An error as a finding. */
function asFailure(error: Error): { problem: string; remedy: string } {
  const unknown = { problem: error.message, remedy: 'Run: npx gradcam build.' }
  return error instanceof GradCamError ? { problem: error.problem, remedy: error.remedy ?? unknown.remedy } : unknown
}
