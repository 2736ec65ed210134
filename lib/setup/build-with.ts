import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { GradCamError } from '../base/errors.js'
import { compareVersions, libraryFolder, libraryPath, newestTried, type LibTorch } from '../addon/describe.js'
import { buildFolder, packageRoot } from '../base/paths.js'
import { lastLines, run } from '../base/processes.js'
import { nativeBatches, nativeSources, type Builder } from '../addon/build-info.js'
import { cmakeJsRemedy, findCMakeJs, findNodeGyp, noBuilder, toolMissing } from './tools.js'

const require = createRequire(import.meta.url)

/** The settings of both builders. */
export interface BuildPlan {
  readonly libtorch: LibTorch
  /** A warning in our own code fails the build. */
  readonly werror: boolean
  /** For -fsanitize, e.g. 'address'; 'coverage' counts the lines that run instead; '' for none. */
  readonly sanitize: string
  /** Compiles sources in batches: a quarter of the time from nothing, but more work after a change of one file. */
  readonly unity: boolean
  readonly jobs: number
  /** Called with each piece of the builder's output. */
  readonly onOutput: (text: string) => void
  /** Called with the compiler's first errors where it fails. */
  readonly say: (line: string) => void
}

/** Where one of the builders works. It keeps its object files there, so that a changed source alone is compiled. */
export const workFolder = (builder: Builder): string => join(buildFolder, builder)

/** The hash of the sources that the object files in a builder's folder were compiled from; null where that is not known. */
export function objectSources(builder: Builder): string | null {
  const file = objectsRecord(builder)
  return existsSync(file) ? readFileSync(file, 'utf8') : null
}

export const objectsRecord = (builder: Builder): string => join(workFolder(builder), 'sources')

/** The whole output of the builder, of the last build. */
export const logFile: string = join(buildFolder, 'build.log')

/** Runs a builder and returns the addon it made. Throws ERR_BUILD where it fails. */
export const builders: Readonly<Record<Builder, (plan: BuildPlan) => Promise<string>>> = {
  'cmake-js': async (plan) => {
    const work = workFolder('cmake-js')
    const script = findCMakeJs()
    if (!script) throw toolMissing('The package cmake-js', cmakeJsRemedy)
    const common = ['--directory', packageRoot, '--out', work]
    const entries = {
      LIBTORCH: plan.libtorch.root,
      GRADCAM_CXX11_ABI: plan.libtorch.cxx11Abi ? '1' : '0',
      GRADCAM_WERROR: plan.werror ? 'ON' : 'OFF',
      GRADCAM_SANITIZE: plan.sanitize,
      GRADCAM_UNITY: plan.unity ? 'ON' : 'OFF',
    }
    // `build` ignores changed entries once there is a cache, and an empty value is not passed on at all.
    const settings = Object.entries(entries).flatMap(([key, value]) => (value ? [`--CD${key}=${value}`] : []))
    if (!existsSync(join(work, 'build.ninja')) && !existsSync(join(work, 'Makefile'))) {
      await step(plan, process.execPath, [script, 'configure', ...common, ...settings], packageRoot)
    }
    await step(plan, process.execPath, [script, 'build', ...common, '--parallel', String(plan.jobs)], packageRoot)
    return join(work, 'Release', 'gradcam.node')
  },

  'node-gyp': async (plan) => {
    const work = workFolder('node-gyp')
    const script = findNodeGyp()
    if (!script) throw await noBuilder()
    prepareGyp(work, plan)
    // The headers come from node-api-headers: an empty Node folder keeps node-gyp from downloading any.
    const options = ['--directory', work, '--nodedir', join(work, 'node'), '--force-process-config']
    await step(plan, process.execPath, [script, 'configure', ...options], work)
    await step(plan, process.execPath, [script, 'build', ...options, '--jobs', String(plan.jobs)], work)
    return join(work, 'build', 'Release', 'gradcam.node')
  },
}

/**
 * node-gyp builds in the folder of binding.gyp and knows no other: it gets a folder of its own with links to the
 * sources, beside a file with what was found on this machine.
 */
function prepareGyp(work: string, { libtorch, werror, sanitize, unity }: BuildPlan): void {
  mkdirSync(join(work, 'node', 'include', 'node'), { recursive: true })
  link(join(packageRoot, 'native'), join(work, 'native'))
  link(join(packageRoot, 'native', 'binding.gyp'), join(work, 'binding.gyp'))
  // Instead of Node's own common.gypi, whose flags are for Node itself.
  const common = { target_defaults: { default_configuration: 'Release', configurations: { Release: {} } } }
  writeIfChanged(join(work, 'node', 'include', 'node', 'common.gypi'), JSON.stringify(common))
  const flags = readFileSync(join(packageRoot, 'native', 'flags.txt'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('-'))
  const headers = [
    (require('node-api-headers') as { include_dir: string }).include_dir,
    dirname(require.resolve('node-addon-api/package.json')),
    join(libtorch.root, 'include'),
    join(libtorch.root, 'include', 'torch', 'csrc', 'api', 'include'),
  ]
  // The compiler searches /usr/include by itself, and must do so last: its own headers say which one comes next.
  const includes = headers.filter((folder) => folder !== '/usr/include').map((folder) => `-isystem${folder}`)
  const sanitizer = sanitize === 'coverage' ? ['--coverage'] : sanitize ? [`-fsanitize=${sanitize}`] : []
  const variables = {
    sources: unity ? writeBatches(work) : nativeSources(),
    // As system headers: warnings inside headers of other projects cannot be fixed here.
    flags: [...flags, ...includes, ...(werror ? ['-Werror'] : []), ...sanitizer],
    link_flags: sanitizer,
    libraries: ['torch_cpu', 'c10'].map((name) => libraryPath(libtorch.root, name)),
    libtorch_lib: libraryFolder(libtorch.root),
    defines: [`_GLIBCXX_USE_CXX11_ABI=${libtorch.cxx11Abi ? 1 : 0}`],
  }
  writeIfChanged(join(work, 'found.gypi'), JSON.stringify({ variables }, null, 2))
}

/** Writes a source for each batch, which includes the batch's files. Returns their paths from the work folder. */
function writeBatches(work: string): string[] {
  mkdirSync(join(work, 'batches'), { recursive: true })
  return nativeBatches().map(({ name, files }) => {
    const path = join('batches', `${name}.cc`)
    writeIfChanged(join(work, path), files.map((file) => `#include "../${file}"\n`).join(''))
    return path
  })
}

async function step(plan: BuildPlan, command: string, args: readonly string[], cwd: string): Promise<void> {
  const onOutput = (text: string): void => {
    appendFileSync(logFile, text)
    plan.onOutput(text)
  }
  const result = await run(command, args, { cwd, env: builderEnv(), onOutput })
  if (result.code === 0) return
  const output = `${result.stdout}\n${result.stderr}`
  const errors = output
    .split('\n')
    .filter((line) => /(^|\s)(fatal )?error:|CMake Error|gyp ERR! stack Error/i.test(line))
  plan.say(errors.length > 0 ? errors.slice(0, 8).join('\n') : lastLines(output, 12))
  const { version } = plan.libtorch
  const untried = compareVersions(version, newestTried) > 0
  const hint = untried
    ? ` LibTorch ${version} is newer than ${newestTried}, the newest that this package was tried with.`
    : ''
  const text = `The addon could not be built: the output of the builder is in ${logFile}.`
  throw new GradCamError('ERR_BUILD', text + hint, { details: { log: logFile, libtorch: version } })
}

/** node-gyp lets npm's settings, such as a nodedir in the user's .npmrc, win over its own options. */
function builderEnv(): NodeJS.ProcessEnv {
  const unwanted = /^npm_(package_)?config_(node_gyp_)?(nodedir|target|dist-?_?url|runtime|devdir)$/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !unwanted.test(name)))
}

function link(target: string, path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })) rmSync(path, { recursive: true })
  symlinkSync(target, path)
}

/** make compares times: a file whose text has not changed must keep its time. */
function writeIfChanged(file: string, text: string): void {
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text)
}
