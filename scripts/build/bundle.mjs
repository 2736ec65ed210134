// Makes dist/bundle of dist/lib: the same modules in a few files.
//
// Node.js opens, compiles and links every module of an import one by one, which takes longer than all that the 280 modules of
// lib do. Users get the bundle; the tests take modules of dist/lib one by one. Other packages stay outside.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What is imported or started by its name, beside the programs that lib starts. */
const doors = ['index.js', 'internal.js', 'cli/main.js']

/** What lib starts in processes and threads of their own: each call of `program` in base/paths.ts names one. */
function programs(/** @type {string} */ lib) {
  const names = new Set()
  for (const path of readdirSync(lib, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.js')) continue
    for (const [, name] of readFileSync(join(lib, path), 'utf8').matchAll(/\bprogram\('([^']+)'\)/g)) names.add(name)
  }
  return [...names]
}

const require = createRequire(import.meta.url)

/** Changes when a compiled module, a file of the bundle, esbuild or this file does: by names, sizes and times. */
function stampOf(/** @type {string} */ dist) {
  const hash = createHash('sha256').update(require('esbuild/package.json').version)
  hash.update(readFileSync(fileURLToPath(import.meta.url)))
  for (const folder of ['lib', 'bundle'].map((name) => join(dist, name)).filter((path) => existsSync(path)))
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
      if (!name.endsWith('.js')) continue
      const { size, mtimeMs } = statSync(join(folder, name))
      hash.update(`${folder}/${name} ${size} ${mtimeMs}\n`)
    }
  return hash.digest('hex')
}

/** Makes the bundle, unless nothing has changed since it was made. */
export async function bundle(/** @type {string} */ root) {
  const dist = join(root, 'dist')
  const record = join(dist, 'bundle.stamp')
  if (existsSync(record) && readFileSync(record, 'utf8') === stampOf(dist)) return
  await writeBundle(root)
  writeFileSync(record, stampOf(dist))
}

/** Writes what differs, and removes what is left of an earlier bundle: a build may run while others read the files. */
async function writeBundle(/** @type {string} */ root) {
  const { build } = await import('esbuild')
  const lib = join(root, 'dist', 'lib')
  const outdir = join(root, 'dist', 'bundle')
  /** @satisfies {import('esbuild').BuildOptions} */
  const options = {
    outbase: lib,
    outdir,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    // Names of classes and functions are read in errors.
    keepNames: true,
    write: false,
    logLevel: 'warning',
  }
  const entryPoints = (/** @type {string[]} */ names) => names.map((name) => join(lib, name))
  // What a program of its own shares with the others would be files to open; and no object goes from one to another.
  const outputFiles = [
    ...(await build({ ...options, entryPoints: entryPoints(doors), splitting: true })).outputFiles,
    ...(await build({ ...options, entryPoints: entryPoints(programs(lib)) })).outputFiles,
  ]
  for (const { path, contents } of outputFiles) {
    if (existsSync(path) && readFileSync(path).equals(contents)) continue
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, contents)
  }
  const written = new Set(outputFiles.map(({ path }) => path))
  for (const entry of readdirSync(outdir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && !written.has(path)) rmSync(path)
  }
}
