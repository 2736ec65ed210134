// Makes the packages of a release, and publishes nothing:
//
//   npm run release -- --dry-run --out DIR [--libtorch VERSION|FOLDER …] [--downloads DIR] [--unchecked]
//
// Two tarballs: the package itself, and the addons of this platform, one for each LibTorch named (by default the one that the
// addon here was built with). The first names the second as an optional dependency. Of a version, such as 2.12, pip downloads
// LibTorch, which is kept in --downloads for the next release (by default in node_modules/.cache). Each addon computes something
// before it is packed. It must load where PyTorch's own wheels do; what it asks of the C and C++ libraries is checked here, and both
// packages are looked at as a user gets them (scripts/check/package.mjs), unless --unchecked says that this was done.
//
// Linux on x64 is what this was run on. An addon for arm64 is made by running it on such a machine.
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
import { fetchLibTorch, isVersion } from './fetch-libtorch.mjs'
import { searchPath, tooNew } from './symbol-versions.mjs'

const { values } = parseArgs({
  options: {
    'dry-run': { type: 'boolean', default: false },
    out: { type: 'string' },
    libtorch: { type: 'string', multiple: true },
    downloads: { type: 'string' },
    unchecked: { type: 'boolean', default: false },
  },
})
if (!values['dry-run'] || values.out === undefined) {
  console.error('release: give --dry-run --out DIR. Publishing is done by hand, from the tarballs.')
  process.exit(2)
}
if (process.platform !== 'linux') {
  console.error(`release: prebuilt addons are made on Linux alone; on ${platform} users compile the addon.`)
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
  const place = mkdtempSync(join(folder, 'smoke-'))
  copyFileSync(file, join(place, 'gradcam.node'))
  symlinkSync(root, join(place, 'torch'))
  const env = { GRADCAM_ADDON: join(place, 'gradcam.node'), LIBTORCH: root }
  console.log(run(process.execPath, [join('scripts', 'build', 'smoke.mjs')], { env }).trim())
}

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
  // A shell, make or Ninja may take the dollar for its own.
  const path = searchPath(file)
  if (path !== '$ORIGIN/torch/lib') throw new Error(`${file} looks for LibTorch in ${path}`)
  smoke(file, info.libtorch.root)
  const problems = tooNew(file)
  if (problems.length > 0)
    throw new Error(`${file} requires newer C or C++ libraries than PyTorch's wheels:\n${problems.join('\n')}`)
  return { file, minor: /^\d+\.\d+/.exec(info.libtorch.version)?.[0] ?? 'unknown', sources: info.sources }
}

const addons = (values.libtorch ?? [undefined]).map(prebuilt)
const binary = join(folder, 'binary')
mkdirSync(binary)
for (const { file, minor } of addons) {
  mkdirSync(join(binary, `libtorch-${minor}`), { recursive: true })
  copyFileSync(file, join(binary, `libtorch-${minor}`, 'gradcam.node'))
}
const json = (/** @type {string} */ name, /** @type {object} */ value) =>
  writeFileSync(join(binary, name), `${JSON.stringify(value, null, 2)}\n`)
json('prebuilt.json', {
  sources: addons[0]?.sources,
  addons: Object.fromEntries(addons.map(({ minor }) => [minor, `libtorch-${minor}/gradcam.node`])),
})
json('package.json', {
  name: prebuiltPackage,
  version,
  description: `The native addon of libtorch-gradcam for ${platform}`,
  license,
  repository,
  os: [process.platform],
  cpu: [process.arch],
  libc: ['glibc'],
  publishConfig,
  files: ['prebuilt.json', ...addons.map(({ minor }) => `libtorch-${minor}`)],
})
copyFileSync(join(packageRoot, 'LICENSE'), join(binary, 'LICENSE'))
writeFileSync(
  join(binary, 'README.md'),
  `# ${prebuiltPackage}\n\nThe native addon of [libtorch-gradcam](${repository.url.replace(/^git\+|\.git$/g, '')}) for ${platform}, ` +
    `for LibTorch ${addons.map(({ minor }) => minor).join(', ')}. npm installs it by itself.\n`,
)

/** Packs a folder into `out` and returns the tarball. */
function pack(/** @type {string} */ from) {
  const printed = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', out], { cwd: from })
  const [packed] = JSON.parse(printed.slice(printed.search(/^\[/m)))
  const file = join(out, packed.filename)
  console.log(`${file}: ${packed.files.length} files, ${(statSync(file).size / 1e6).toFixed(2)} MB`)
  return file
}

const files = [pack(binary)]

// The package as npm would pack it, with the optional dependency: in the repository it would break `npm ci`, which could not
// find a version that is not published yet.
const main = join(folder, 'main')
mkdirSync(main)
const plain = run('npm', ['pack', '--json', '--pack-destination', folder])
const [{ filename }] = JSON.parse(plain.slice(plain.search(/^\[/m)))
run('tar', ['-xzf', join(folder, filename), '-C', main, '--strip-components', '1'])
const facts = JSON.parse(readFileSync(join(main, 'package.json'), 'utf8'))
facts.publishConfig = publishConfig
facts.optionalDependencies = { ...facts.optionalDependencies, [prebuiltPackage]: version }
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
