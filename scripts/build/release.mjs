// Makes the packages of a release, and publishes nothing:
//
//   npm run release -- --dry-run --out DIR [--libtorch VERSION|FOLDER …] [--arch ARCH …] [--downloads DIR] [--unchecked]
//
// Tarballs: the package itself, and the addons of this platform, one for each LibTorch named (by default the one that the
// addon here was built with). The first names the second as an optional dependency. Of a version, such as 2.12, pip downloads
// LibTorch, which is kept in --downloads for the next release (by default in node_modules/.cache). Each addon computes something
// before it is packed. It must load where PyTorch's own wheels do; what it asks of the C and C++ libraries is checked here, and both
// packages are looked at as a user gets them (scripts/check/package.mjs), unless --unchecked says that this was done.
//
// With --arch x64 --arch arm64 there is a tarball for each: that of another processor is compiled by a cross compiler, and where qemu
// is installed its addon explains the same numbers as this machine's, which have to agree (scripts/build/cross.mjs).
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { packageRoot, platform, prebuiltPackage, readBuildInfo } from '#internal'
import { hasKey } from '../support/access.mjs'
import { crossBuild, crossTargets, runEmulated } from './cross.mjs'
import { fetchLibTorch, isVersion } from './fetch-libtorch.mjs'
import { searchPath, tooNew } from './symbol-versions.mjs'

const { values } = parseArgs({
  options: {
    'dry-run': { type: 'boolean', default: false },
    out: { type: 'string' },
    libtorch: { type: 'string', multiple: true },
    arch: { type: 'string', multiple: true },
    downloads: { type: 'string' },
    unchecked: { type: 'boolean', default: false },
  },
})
if (!values['dry-run'] || values.out === undefined) {
  console.error('release: give --dry-run --out DIR. Publishing is done by hand, from the tarballs.')
  process.exit(2)
}
if (process.platform === 'win32') {
  console.error(`release: prebuilt addons cannot be made for ${platform}, which looks for libraries in PATH: users compile the addon.`)
  process.exit(2)
}
if (process.platform === 'darwin') console.error(`release: on ${platform} this was never tried.`)
const arches = [...new Set(values.arch ?? [process.arch])]
for (const arch of arches)
  if (arch !== process.arch && !hasKey(crossTargets, arch)) {
    console.error(`release: --arch ${arch} is not one of ${[process.arch, ...Object.keys(crossTargets)].join(', ')}.`)
    process.exit(2)
  }
const out = resolve(values.out)
mkdirSync(out, { recursive: true })
const folder = mkdtempSync(join(tmpdir(), 'gradcam-release-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

/** @param {string} command @param {string[]} args */
function run(command, args, { cwd = packageRoot, env = {} } = {}) {
  const ended = spawnSync(command, args, { cwd, env: { ...process.env, ...env }, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (ended.status === 0) return ended.stdout
  throw new Error(`${command} ${args.join(' ')} failed:\n${`${ended.stdout}${ended.stderr}`.split('\n').slice(-20).join('\n')}`)
}

// npm records with --provenance from which commit and workflow a package came; both must name the repository for that.
const publishConfig = { access: 'public', provenance: true }
const { version, license, repository } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))

/** Where LibTorches that pip downloaded are kept for the next release. */
const downloads = resolve(values.downloads ?? join(packageRoot, 'node_modules', '.cache', 'libtorch-gradcam-release'))

/**
 * Loads a prebuilt addon as a user does, beside a link to its LibTorch, and computes something.
 *
 * @param {string} file
 * @param {string} root
 */
function smoke(file, root) {
  const env = { GRADCAM_ADDON: placed(file, root), LIBTORCH: root }
  console.log(run(process.execPath, [join('scripts', 'build', 'smoke.mjs')], { env }).trim())
}

const minorOf = (/** @type {string} */ wholeVersion) => /^\d+\.\d+/.exec(wholeVersion)?.[0] ?? 'unknown'

/** The addon for a LibTorch, linked for other machines from the object files of an ordinary build. */
function prebuilt(/** @type {string | undefined} */ libtorch) {
  const root = libtorch && (isVersion(libtorch) ? fetchLibTorch(libtorch, downloads) : resolve(libtorch))
  const env = { ...(root && { LIBTORCH: root }) }
  run(process.execPath, ['dist/lib/cli/main.js', 'build', '--fresh', '--with', 'cmake-js'], { env })
  const work = join(packageRoot, 'build', 'cmake-js')
  run('cmake', ['--build', work, '--config', 'Release', '--target', 'gradcam_prebuilt'])
  const file = ['Release', '.'].map((name) => join(work, name, 'gradcam_prebuilt.node')).find((path) => existsSync(path))
  const info = readBuildInfo()
  if (!file || !info) throw new Error('the prebuilt addon was not made')
  checkFile(file)
  smoke(file, info.libtorch.root)
  return { file, minor: minorOf(info.libtorch.version), sources: info.sources }
}

/**
 * Where LibTorch lies beside an addon for other machines.
 *
 * @param {string} file
 * @param {string} root
 */
function placed(file, root) {
  const place = mkdtempSync(join(folder, 'addon-'))
  copyFileSync(file, join(place, 'gradcam.node'))
  symlinkSync(root, join(place, 'torch'))
  return join(place, 'gradcam.node')
}

/** Beside the largest value, what the kernels of two processors may differ by in float32. */
const tolerance = 1e-4

/** @typedef {{ name: string, values: number[] }[]} Found */

/** @param {string} printed @returns {Found} */
const readFound = (printed) => JSON.parse(printed.trim().split('\n').at(-1) ?? '').found

/** The addon for a LibTorch of another processor, compiled here. */
function crossed(
  /** @type {string | undefined} */ libtorch,
  /** @type {import('./cross.mjs').CrossTarget} */ target,
) {
  const here = readBuildInfo()
  const wanted = libtorch ?? here?.libtorch.version.replace(/\+.*$/, '') ?? ''
  if (!isVersion(wanted)) throw new Error(`for another processor give a version of LibTorch, not ${wanted}`)
  const root = fetchLibTorch(wanted, downloads, target)
  const file = crossBuild(target, root, join(folder, `cross-${target.processor}-${wanted}`))
  const objdump = `${target.prefix}-objdump`
  checkFile(file, objdump)
  const script = join(packageRoot, 'scripts', 'build', 'smoke-model.mjs')
  const env = { ...process.env, GRADCAM_ADDON: placed(file, root), LIBTORCH: root }
  const printed = runEmulated(target, [script], env, downloads)
  if (printed === null) console.log(`qemu-${target.processor} is not installed: the addon for LibTorch ${wanted} has not run.`)
  else {
    const expected = readFound(run(process.execPath, [script]))
    const found = readFound(printed)
    for (const [i, { name, values: numbers }] of expected.entries()) {
      const others = found[i]?.values ?? []
      const peak = Math.max(...numbers.map(Math.abs))
      if (!(peak > 0)) throw new Error(`${name}: all values are zero here, which compares nothing`)
      const difference = Math.max(...numbers.map((value, k) => Math.abs(value - (others[k] ?? NaN)))) / peak
      if (!(difference <= tolerance)) throw new Error(`${name}: ${target.processor} differs by ${difference}`)
      console.log(`${target.processor}, LibTorch ${wanted}, ${name}: differs by ${difference.toExponential(1)} from this machine`)
    }
  }
  return { file, minor: minorOf(wanted), sources: here?.sources }
}

/** That an addon finds LibTorch beside it, and loads wherever PyTorch's wheels do. */
function checkFile(/** @type {string} */ file, objdump = 'objdump') {
  if (process.platform === 'darwin') return // its addon runs before it is packed
  // A shell, make or Ninja may take the dollar for its own.
  const path = searchPath(file, objdump)
  if (path !== '$ORIGIN/torch/lib') throw new Error(`${file} looks for LibTorch in ${path}`)
  const problems = tooNew(file, objdump)
  if (problems.length > 0)
    throw new Error(`${file} requires newer C or C++ libraries than PyTorch's wheels:\n${problems.join('\n')}`)
}

/** The folder of the package with the addons for a processor, and its name. */
function binaryPackage(/** @type {string} */ arch) {
  const target = arch === process.arch ? undefined : crossTargets[/** @type {keyof typeof crossTargets} */ (arch)]
  const addons = (values.libtorch ?? [undefined]).map((one) => (target ? crossed(one, target) : prebuilt(one)))
  const system = target ? platform.replace(process.arch, arch) : platform
  const name = prebuiltPackage.replace(platform, system)
  const binary = join(folder, `binary-${arch}`)
  mkdirSync(binary)
  for (const { file, minor } of addons) {
    mkdirSync(join(binary, `libtorch-${minor}`), { recursive: true })
    copyFileSync(file, join(binary, `libtorch-${minor}`, 'gradcam.node'))
  }
  const json = (/** @type {string} */ file, /** @type {object} */ value) =>
    writeFileSync(join(binary, file), `${JSON.stringify(value, null, 2)}\n`)
  json('prebuilt.json', {
    sources: addons[0]?.sources,
    addons: Object.fromEntries(addons.map(({ minor }) => [minor, `libtorch-${minor}/gradcam.node`])),
  })
  json('package.json', {
    name,
    version,
    description: `The native addon of libtorch-gradcam for ${system}`,
    license,
    repository,
    type: 'commonjs',
    os: [process.platform],
    cpu: [arch],
    ...(process.platform === 'linux' && { libc: ['glibc'] }),
    publishConfig,
    files: ['prebuilt.json', ...addons.map(({ minor }) => `libtorch-${minor}`)],
  })
  copyFileSync(join(packageRoot, 'LICENSE'), join(binary, 'LICENSE'))
  writeFileSync(
    join(binary, 'README.md'),
    `# ${name}\n\nThe native addon of [libtorch-gradcam](${repository.url.replace(/^git\+|\.git$/g, '')}) for ${system}, ` +
      `for LibTorch ${addons.map(({ minor }) => minor).join(', ')}. npm installs it by itself.\n`,
  )
  return { name, binary }
}

const packages = arches.map(binaryPackage)

/** Packs a folder into `out` and returns the tarball. */
function pack(/** @type {string} */ from) {
  const printed = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', out], { cwd: from })
  const [packed] = JSON.parse(printed.slice(printed.search(/^\[/m)))
  const file = join(out, packed.filename)
  console.log(`${file}: ${packed.files.length} files, ${(statSync(file).size / 1e6).toFixed(2)} MB`)
  return file
}

const files = packages.map(({ binary }) => pack(binary))

// The package as npm would pack it, with the optional dependency: in the repository it would break `npm ci`, which could not
// find a version that is not published yet.
const main = join(folder, 'main')
mkdirSync(main)
const plain = run('npm', ['pack', '--json', '--pack-destination', folder])
const [{ filename }] = JSON.parse(plain.slice(plain.search(/^\[/m)))
run('tar', ['-xzf', join(folder, filename), '-C', main, '--strip-components', '1'])
const facts = JSON.parse(readFileSync(join(main, 'package.json'), 'utf8'))
facts.publishConfig = publishConfig
facts.optionalDependencies = {
  ...facts.optionalDependencies,
  ...Object.fromEntries(packages.map(({ name }) => [name, version])),
}
writeFileSync(join(main, 'package.json'), `${JSON.stringify(facts, null, 2)}\n`)
const compiled = ['dist/bundle/index.js', 'dist/bundle/cli/main.js', 'dist/lib/index.d.ts']
for (const needed of [...compiled, 'samples/cat_dog.png', 'native/flags.txt', 'README.md'])
  if (!existsSync(join(main, needed))) throw new Error(`the package lacks ${needed}`)
files.push(pack(main))
cpSync(join(packageRoot, 'CHANGELOG.md'), join(out, 'CHANGELOG.md'))

if (!values.unchecked) {
  const check = join(packageRoot, 'scripts', 'check', 'package.mjs')
  const { status } = spawnSync(process.execPath, [check, ...files], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
console.log(`\n${files.length} packages in ${out}. Nothing was published.`)
