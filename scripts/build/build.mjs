// `npm run build`: compiles the TypeScript and then the addon, both only where something changed. What follows -- goes
// to `gradcam build`; with --typescript alone the addon is left as it is. With --full there is a PyTorch before that which Python can
// import too: the tests compare with it, and the addon is then built against the same one.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundle } from './bundle.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const dist = join(root, 'dist')
const record = join(dist, 'tsconfig.tsbuildinfo')
const require = createRequire(import.meta.url)
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')

function run(/** @type {string[]} */ ...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

const list = (/** @type {string} */ folder) => (existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [])

/** AVA would run the test that was compiled from a file that is gone since; tsc would not miss a file that it wrote. */
function compareWithSources() {
  for (const name of list(dist)) {
    const [, source] = name.match(/^((?:lib|test)\/.*)\.(?:js|js\.map|d\.ts)$/) ?? []
    if (source && !existsSync(join(root, `${source}.ts`))) rmSync(join(dist, name))
  }
  const sources = ['lib', 'test'].flatMap((folder) => list(join(root, folder)).map((name) => join(folder, name)))
  const isMissing = (/** @type {string} */ name) => name.endsWith('.ts') && !existsSync(join(dist, name.replace(/ts$/, 'js')))
  if (sources.some(isMissing)) rmSync(record, { force: true })
}

compareWithSources()
// What has not changed is not written again: a build may run while other processes read the compiled files.
run(tsc, '--incremental', '--tsBuildInfoFile', record)
await bundle(root)
const args = process.argv.slice(2)
const main = join(dist, 'lib', 'cli', 'main.js')
if (args.includes('--full')) run(main, 'setup', '--full')
const rest = args.filter((argument) => argument !== '--full')
if (!args.includes('--typescript')) run(main, 'build', ...rest)
