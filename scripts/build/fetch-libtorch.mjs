// The LibTorch of a version of PyTorch, for compiling against it: what `gradcam setup` installs where there is no NVIDIA driver, but of any
// version.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { keepLibraries, linkedWith } from '#internal'

/** Whether it is a version, e.g. '2.12' or '2.12.1', and not a folder. */
export const isVersion = (/** @type {string} */ text) => /^\d+\.\d+(\.\d+)?$/.test(text)

/**
 * Has pip download it, unless it is there. Of '2.12' it takes the newest patch.
 *
 * @param {string} version
 * @param {string} cache a folder of its own, in which each version has another
 * @param {import('./cross.mjs').CrossTarget} [target] another processor, for which it is downloaded
 * @returns {string} the torch package's folder
 */
export function fetchLibTorch(version, cache, target) {
  const folder = join(cache, `libtorch-${version}${target ? `-${target.processor}` : ''}`)
  const torch = join(folder, 'torch')
  if (existsSync(torch)) return torch
  const partial = `${folder}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true })
  console.log(`LibTorch ${version}: pip downloads about 0.6 GB.`)
  // `~=2.12.0` is 2.12.x.
  install([version.split('.').length === 2 ? `torch~=${version}.0` : `torch==${version}`], partial, target)
  const linked = linkedWith(partial)
  if (linked.length > 0) install(linked, partial, target)
  keepLibraries(join(partial, 'torch'))
  renameSync(partial, folder)
  return torch
}

/**
 * @param {string[]} requirements
 * @param {string} folder
 * @param {import('./cross.mjs').CrossTarget} [target]
 */
function install(requirements, folder, target) {
  // pip takes wheels of another platform for a stated version of Python; what Python runs is not used.
  const foreign = target
    ? ['--only-binary=:all:', '--python-version=3.12', ...target.wheels.map((wheel) => `--platform=${wheel}`)]
    : []
  const common = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--no-compile', '--target', folder]
  // Of torch itself the libraries alone; what those are linked with is a package that requires others.
  const alone = requirements.some((one) => one.startsWith('torch')) ? ['--no-deps'] : []
  const { status, error } = spawnSync('python3', [...common, ...foreign, ...alone, ...requirements], { stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) throw new Error(`pip failed to install ${requirements.join(' ')}`)
}
