import { existsSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { GradCamError } from '../base/errors.js'
import { compareVersions } from '../addon/describe.js'
import { run, which } from '../base/processes.js'

/** A program that was found, with the version that it prints. */
export interface Tool {
  readonly command: string
  readonly version: string
}

const require = createRequire(import.meta.url)
const oldestCMake = '3.18'

/** The C++ compiler that the builders will use: what CXX names, else the platform's. */
export async function findCompiler(env: NodeJS.ProcessEnv = process.env): Promise<Tool | null> {
  for (const command of env['CXX'] ? [env['CXX']] : ['c++', 'g++', 'clang++']) {
    const tool = await ask(command, env)
    if (tool) return tool
  }
  return null
}

/** CMake, when it is there and new enough. */
export async function findCMake(env: NodeJS.ProcessEnv = process.env): Promise<Tool | null> {
  const tool = await ask('cmake', env)
  return tool && compareVersions(tool.version, oldestCMake) >= 0 ? tool : null
}

/** What runs the compiler: cmake-js takes Ninja where it is there, node-gyp always takes make. */
export function findMake(names: readonly string[] = ['ninja', 'make']): string | null {
  return names.map((name) => which(name)).find((file) => file !== null) ?? null
}

/**
 * node-gyp's script. npm carries one and names it in npm_config_node_gyp to the scripts that it runs; outside of npm it
 * is looked for in npm's own folder, beside the running Node and beside the `npm` on PATH.
 */
export function findNodeGyp(env: NodeJS.ProcessEnv = process.env): string | null {
  const inNpm = join('node_modules', 'node-gyp', 'bin', 'node-gyp.js')
  const prefix = dirname(dirname(realpathSync(process.execPath)))
  const npm = which('npm', env['PATH'])
  const candidates = [
    env['npm_config_node_gyp'],
    join(prefix, 'lib', 'node_modules', 'npm', inNpm),
    join(dirname(process.execPath), 'node_modules', 'npm', inNpm),
    npm ? join(dirname(dirname(realpathSync(npm))), inNpm) : undefined,
  ]
  return candidates.find((file) => file !== undefined && existsSync(file)) ?? null
}

/**
 * cmake-js's script; null where the package is not installed. It is an optional peer: most users get an addon that needs no compiler,
 * and node-gyp, which npm carries, compiles one as well.
 */
export function findCMakeJs(): string | null {
  try {
    return join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js')
  } catch {
    return null
  }
}

/** What builds the addon where nobody chose: cmake-js where it and CMake are there, else node-gyp. */
export async function usualBuilder(): Promise<'cmake-js' | 'node-gyp'> {
  return findCMakeJs() !== null && (await findCMake()) !== null ? 'cmake-js' : 'node-gyp'
}

/** What to install where there is no compiler. */
export function compilerRemedy(): string {
  if (process.platform === 'darwin') return 'Install it with: xcode-select --install.'
  if (which('apt-get')) return 'Install it with: sudo apt-get install g++ make.'
  if (which('dnf')) return 'Install it with: sudo dnf install gcc-c++ make.'
  return 'Install g++ 11 or clang 14, or newer, with make.'
}

/** What to install where there is no CMake. */
export function cmakeRemedy(): string {
  if (process.platform === 'darwin') return 'Install it with: brew install cmake.'
  if (which('apt-get')) return 'Install it with: sudo apt-get install cmake.'
  return `Install CMake ${oldestCMake} or newer (python3 -m pip install cmake gives one too).`
}

/** What to install where there is no cmake-js. */
export const cmakeJsRemedy = 'Install it in your project: npm install --save-dev cmake-js.'

/** Neither builder is there. */
export async function noBuilder(): Promise<GradCamError> {
  const remedies = [...((await findCMake()) ? [] : [cmakeRemedy()]), ...(findCMakeJs() ? [] : [cmakeJsRemedy])]
  return toolMissing('node-gyp, which npm carries, or CMake with the package cmake-js', remedies.join(' '))
}

export function toolMissing(what: string, remedy: string): GradCamError {
  return new GradCamError('ERR_TOOL_MISSING', `${what} is needed to build the addon and was not found.`, { remedy })
}

async function ask(command: string, env: NodeJS.ProcessEnv): Promise<Tool | null> {
  const answer = await run(command, ['--version'], { env })
  if (answer.code !== 0) return null
  const line = answer.stdout.split('\n')[0]?.trim() ?? ''
  return { command, version: line.match(/\d+\.\d+(\.\d+)?/)?.[0] ?? line }
}
