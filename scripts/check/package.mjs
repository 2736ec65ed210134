// What `npm publish` would send, looked at as a user gets it: publint and arethetypeswrong on the packed file, its types in
// a strict program of its own, and what README links to.
//
//   npm run check:package [-- FILE …]
//
// With files, they are looked at: the last one is the package itself, those before it are the addons of platforms.
import { spawnSync } from 'node:child_process'
import {
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
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, normalize, resolve } from 'node:path'
import { root } from './python-tool.mjs'

const require = createRequire(import.meta.url)
const folder = mkdtempSync(join(tmpdir(), 'gradcam-package-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

/** @type {string[]} */
const failures = []

/**
 * @param {string} what
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 */
function check(what, command, args, cwd = root) {
  console.log(`\n== ${what}`)
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) failures.push(what)
}

/** Packs this checkout, as npm would publish it. */
function pack() {
  const packing = spawnSync('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    shell: process.platform === 'win32',
  })
  if (packing.status !== 0) throw new Error(`npm pack failed:\n${packing.stdout}`)
  // What `prepack` prints comes first.
  /** @type {{ filename: string }[]} */
  const [packed] = JSON.parse(packing.stdout.slice(packing.stdout.search(/^\[/m)))
  if (!packed) throw new Error('npm pack packed nothing')
  return join(folder, packed.filename)
}

/**
 * The files of a packed package.
 *
 * @param {string} packed
 */
function list(packed) {
  const { stdout, status } = spawnSync('tar', ['-tzf', packed], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${packed} cannot be read`)
  return new Set(
    stdout
      .split('\n')
      .map((path) => path.replace(/^package[/]/, ''))
      .filter((path) => path !== ''),
  )
}

const given = process.argv.slice(2).map((name) => resolve(name))
const file = given.at(-1) ?? pack()
const paths = list(file)
console.log(`${basename(file)}: ${paths.size} files, ${(statSync(file).size / 1e6).toFixed(2)} MB`)

const bin = (/** @type {string} */ name) => join(root, 'node_modules', '.bin', name)
check('publint', bin('publint'), ['run', file, '--strict', '--pack', 'false'])
for (const addons of given.slice(0, -1))
  check(`publint ${basename(addons)}`, bin('publint'), ['run', addons, '--strict', '--pack', 'false'])
// A module for `import` alone: Node 20.19 and later can `require` it, too.
check('arethetypeswrong', bin('attw'), [file, '--profile', 'esm-only'])

const consumer = join(folder, 'consumer')
mkdirSync(join(consumer, 'node_modules', '@types'), { recursive: true })
check('unpack', 'tar', ['-xzf', file, '-C', folder])
cpSync(join(folder, 'package'), join(consumer, 'node_modules', 'libtorch-gradcam'), { recursive: true })
for (const name of ['consumer.ts', 'consumer-with-node.ts'])
  cpSync(join(root, 'test', 'types', name), join(consumer, name))
const options = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  // Our own declarations are what is looked at.
  skipLibCheck: false,
  target: 'es2022',
  lib: ['es2023', 'esnext.disposable'],
  noEmit: true,
}
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
writeFileSync(join(consumer, 'package.json'), JSON.stringify({ type: 'module' }))
const own = [process.execPath, tsc]
// npm fetches the oldest TypeScript that has `using`; others between the two were tried by hand.
const oldest = ['npm', 'exec', '--yes', '--package', 'typescript@5.2', '--', 'tsc']
const modules = { nodenext: { module: 'nodenext' }, bundler: { module: 'esnext', moduleResolution: 'bundler' } }

/**
 * @param {string} what
 * @param {string[]} compiler
 * @param {{ types: string[] }} more
 * @param {string[]} files
 */
function compile(what, compiler, more, files) {
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...options, ...more }, files }))
  const [command = '', ...args] = compiler
  check(`types in a strict program, ${what}`, command, [...args, '-p', consumer], consumer)
}

// A program without the types of Node.js, which it need not have.
for (const [name, resolution] of Object.entries(modules)) {
  compile(`${name}, no types of Node.js`, own, { ...resolution, types: [] }, ['consumer.ts'])
  compile(`${name}, no types of Node.js, TypeScript 5.2`, oldest, { ...resolution, types: [] }, ['consumer.ts'])
}
for (const name of ['@types/node', 'undici-types'])
  symlinkSync(join(root, 'node_modules', name), join(consumer, 'node_modules', name))
for (const [name, resolution] of Object.entries(modules))
  compile(name, own, { ...resolution, types: ['node'] }, ['consumer.ts', 'consumer-with-node.ts'])

console.log('\n== links of README.md')
const text = readFileSync(join(root, 'README.md'), 'utf8')
for (const [, address = ''] of text.matchAll(/(?:\]\(|(?:src|href)=")([^)"#\s]+)/g)) {
  if (/^[a-z]+:/.test(address)) continue
  const path = normalize(address).replace(/[/]$/, '')
  if (paths.has(path) || [...paths].some((one) => one.startsWith(`${path}/`))) continue
  failures.push(
    `README.md links to ${address}, which ${existsSync(join(root, path)) ? 'is not in the package' : 'does not exist'}`,
  )
}

if (failures.length > 0) {
  console.error(`\nThe package is not ready: ${failures.join('; ')}`)
  process.exit(1)
}
console.log('\nThe package is fine.')
