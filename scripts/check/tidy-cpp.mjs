// clang-tidy, by .clang-tidy, on the C++ that changed:
//
//   npm run lint:cpp -- [--since REF | --all] [FILE ...]
//
// REF is by default where this branch left main or, on main itself, the commit before: what a merge brought. LibTorch's
// headers take most of the time and of the memory, so that all files of native/core are looked at in one go, as in a unity
// build, and all of native/node in another. The addon has to be built, which tells where LibTorch lies.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { globSync } from 'tinyglobby'
import { describeLibTorch, readBuildInfo } from '#internal'
import { pythonTool, root } from './python-tool.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { all: { type: 'boolean', default: false }, since: { type: 'string' } },
})

/** What git prints; null where it fails: no repository, no such commit. */
function git(/** @type {string[]} */ ...args) {
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : null
}

/** The commit to compare with; null where there is none. */
function base() {
  if (values.since !== undefined) return values.since
  const left = git('merge-base', 'HEAD', 'main')
  return left !== null && left !== git('rev-parse', 'HEAD') ? left : git('rev-parse', '--verify', '--quiet', 'HEAD^')
}

function changed() {
  const since = base()
  if (since === null) {
    console.log('No earlier commit was found to compare with: npm run lint:cpp -- --all looks at everything.')
    return []
  }
  const names = [git('diff', '--name-only', since), git('ls-files', '--others', '--exclude-standard')]
  if (names.includes(null)) throw new Error(`git cannot compare with ${since}.`)
  return names.flatMap((text) => (text ?? '').split('\n'))
}

/** Not a header by itself: tile_product.cc includes it once for each instruction set, with what it requires defined. */
const fragment = 'native/core/kernels/tile_kernels.h'
const all = globSync('native/{core,node}/**/*.{h,cc}', { cwd: root, ignore: [fragment] }).sort()
const asked = positionals.map((file) => relative(root, resolve(file)))
const chosen = new Set(asked.length > 0 ? asked : values.all ? all : changed())
const files = all.filter((file) => chosen.has(file))

const info = readBuildInfo()
if (!info) throw new Error('The addon is not built: npm run build')
const libtorch = describeLibTorch(info.libtorch.root, info.libtorch.source)
const flags = readFileSync(join(root, 'native', 'flags.txt'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('-') && !line.startsWith('-fvect')) // of GCC alone
const system = [
  join(libtorch.root, 'include'),
  join(libtorch.root, 'include', 'torch', 'csrc', 'api', 'include'),
  ...['node-addon-api', 'node-api-headers/include'].map((name) => join(root, 'node_modules', name)),
]
const abi = process.platform === 'linux' ? [`-D_GLIBCXX_USE_CXX11_ABI=${libtorch.cxx11Abi ? 1 : 0}`] : []
const compile = [...flags, ...abi, `-I${join(root, 'native')}`, ...system.flatMap((folder) => ['-isystem', folder])]

const work = join(root, 'build', 'tidy')
mkdirSync(work, { recursive: true })
let failed = false
for (const part of ['native/core/', 'native/node/']) {
  const names = files.filter((file) => file.startsWith(part))
  if (names.length === 0) continue
  const unit = join(work, `${part.split('/')[1]}.cc`)
  writeFileSync(unit, names.map((name) => `#include "${join(root, name)}"\n`).join(''))
  const begin = performance.now()
  const { status, error } = spawnSync(
    pythonTool('clang-tidy'),
    ['--quiet', `--config-file=${join(root, '.clang-tidy')}`, unit, '--', ...compile],
    { cwd: root, stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' },
  )
  if (error) throw error
  failed ||= status !== 0
  console.log(`${part}: ${names.length} files, ${((performance.now() - begin) / 1000).toFixed(0)} s`)
}
if (files.length === 0) console.log('No C++ changed.')
if (failed) process.exit(1)
