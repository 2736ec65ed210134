// Writes test/exported/files: small exported programs as several versions of torch really wrote them.
//
//   node scripts/exported/old-files.mjs [VERSION ...]      2.5.1 2.7.1 2.9.1 by default
//
// Each version is installed by pip into a folder of its own, one after another, and removed afterwards: about 6 GB each.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '#internal'

const out = join(packageRoot, 'test', 'exported', 'files')
const script = join(import.meta.dirname, 'write_programs.py')

function run(/** @type {string[]} */ args, /** @type {NodeJS.ProcessEnv} */ env = process.env) {
  const { status } = spawnSync('python3', args, { stdio: 'inherit', env })
  if (status !== 0) throw new Error(`python3 ${args.join(' ')} ended with ${status}`)
}

/** What torch needs to be imported: everything that it asks for, but its compiler. */
function needsOf(/** @type {string} */ folder) {
  const name = readdirSync(folder).find((each) => /^torch-.*\.dist-info$/.test(each)) ?? ''
  const metadata = readFileSync(join(folder, name, 'METADATA'), 'utf8')
  return [...metadata.matchAll(/^Requires-Dist: (.*)$/gm)]
    .map(([, need = '']) => need.trim())
    .filter((need) => !/extra ==|^triton/.test(need))
}

mkdirSync(out, { recursive: true })
for (const version of process.argv.length > 2 ? process.argv.slice(2) : ['2.5.1', '2.7.1', '2.9.1']) {
  const folder = mkdtempSync(join(tmpdir(), `torch-${version}-`))
  try {
    const install = ['-m', 'pip', 'install', '--quiet', '--no-input', '--no-cache-dir', '--target', folder]
    run([...install, '--no-deps', `torch==${version}`])
    run([...install, ...needsOf(folder), 'numpy'])
    run([script, out], { ...process.env, PYTHONPATH: folder })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
