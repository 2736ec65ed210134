import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { packageRoot } from '../../lib/base/paths.js'
import { findCMake } from '../../lib/setup/tools.js'
import { canInstall, makeConsumer, runManager, type Consumer } from '../support/consumer.js'
import { needing } from '../support/needs.js'

const packed = process.platform === 'linux' && (await findCMake()) !== null
const withRegistry = needing('registry', packed && canInstall(), test.serial)
const require = createRequire(import.meta.url)

/** The pieces of code in a document, in their order. */
function snippets(document: string): { language: string; code: string }[] {
  const text = readFileSync(join(packageRoot, document), 'utf8')
  return Array.from(text.matchAll(/^```(\w+)\n([^]*?)^```$/gm), ([, language = '', code = '']) => ({ language, code }))
}

/** Runs a line that starts a server, until it has answered. */
async function runServer({ folder, env }: Consumer, line: string): Promise<void> {
  const child = spawn('sh', ['-c', `exec ${line} --port 0`], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  try {
    let said = ''
    for await (const text of child.stdout.setEncoding('utf8')) {
      said += text as string
      if (said.includes('\n')) break
    }
    const address = /^listening on (http:\S+)/m.exec(said)?.[1]
    if (address === undefined) throw new Error(`${line}: ${said}`)
    const answer = await fetch(`${address}/v1/explain`, {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: readFileSync(join(folder, 'samples', 'cat_dog.png')),
    })
    const found = (await answer.json()) as { top?: { label: string }[]; maps?: unknown[] }
    const [first, second] = (found.top ?? []).map(({ label }) => label)
    if (!(`${first} ${second}` === 'cat dog' || `${first} ${second}` === 'dog cat') || found.maps?.length !== 1)
      throw new Error(`${line}: ${JSON.stringify(found).slice(0, 500)}`)
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

/** Compiles TypeScript in a strict project, as a user's compiler would, and runs it. */
function runTypeScript(consumer: Consumer, name: string, code: string) {
  const { folder } = consumer
  writeFileSync(join(folder, `${name}.ts`), code)
  const compilerOptions = {
    strict: true,
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    types: [],
    skipLibCheck: false,
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [`${name}.ts`] }))
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  const compiled = spawnSync(process.execPath, [tsc, '-p', folder], { cwd: folder, encoding: 'utf8' })
  if (compiled.status !== 0) throw new Error(`${name}: ${compiled.stdout}`)
  return consumer.run(process.execPath, [`${name}.js`])
}

withRegistry(
  "every snippet of README runs in a consumer's project, in the order in which it stands there",
  async (t) => {
    const consumer = makeConsumer(t, 'npm', 'module')
    const { folder } = consumer
    // What the snippets call beside Node: npx, which finds the program that npm installed, and cp.
    const bin = join(folder, '.bin-for-test')
    for (const name of ['cp', 'sh']) symlinkSync(`/bin/${name}`, join(bin, name))
    writeFileSync(join(bin, 'npx'), `#!/bin/sh\nname=$1; shift\nexec node "${folder}/node_modules/.bin/$name" "$@"\n`, {
      mode: 0o755,
    })
    const all = snippets('README.md')
    t.true(all.length >= 4)
    const ran: string[] = []
    for (const [index, { language, code }] of all.entries()) {
      if (language === 'ts') {
        const { code: status, stdout, stderr } = runTypeScript(consumer, `snippet-${index}`, code)
        t.is(status, 0, `${code}\n${stdout}${stderr}`)
        ran.push('ts')
        continue
      }
      t.is(language, 'sh', code)
      for (const line of code.trim().split('\n')) {
        // What is said to be for a clone, the tests of the demo and CI run; what npm installs is installed already.
        if (/# in a clone:/.test(line) || line.startsWith('npm install libtorch-gradcam')) continue
        if (line.includes(' serve ')) await runServer(consumer, line)
        else {
          const [program, ...args] = line.split(' ')
          const {
            code: status,
            stdout,
            stderr,
          } = program === 'npm'
            ? runManager('npm', [...args, '--prefer-offline'], folder)
            : consumer.run('sh', ['-c', line])
          t.is(status, 0, `${line}\n${stdout}${stderr}`)
        }
        ran.push(line.split(/\s+/).slice(0, 3).join(' '))
      }
    }
    for (const line of [
      'npx gradcam setup',
      'npx gradcam demo',
      'npx gradcam explain',
      'npx gradcam report',
      'npx gradcam serve',
      'ts',
    ])
      t.true(ran.includes(line), ran.join('; '))
    for (const file of ['gcam.png', 'grad.png', 'mixed.png', 'explained/cat_dog-overlay.png', 'maps/manifest.jsonl'])
      t.true(existsSync(join(folder, file)), file)
    t.true(readdirSync(join(folder, 'maps')).some((name) => name.endsWith('.html')))
  },
)

/** What a bundle leaves out in any case: packages with an addon of their own, and the optional peers, which are not installed. */
const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  readonly peerDependencies: Readonly<Record<string, string>>
}
const outsiders = ['sharp', 'fs-native-extensions', ...Object.keys(manifest.peerDependencies)]

/** A program for webpack, whose configuration may be code alone. `true` leaves the package external. */
const webpackProgram = `
const webpack = require('webpack')
const external = process.argv[2] === 'true'
webpack({
  mode: 'production', optimization: { minimize: false }, target: 'node20', context: __dirname, entry: './entry.mjs',
  experiments: { outputModule: true }, output: { path: __dirname + '/out', filename: 'webpack-' + external + '.mjs', module: true, chunkFormat: 'module' },
  externalsType: 'module', externals: external ? ['libtorch-gradcam'] : ${JSON.stringify(outsiders)},
}, (error, stats) => {
  if (error || stats.hasErrors()) throw error || new Error(stats.toString())
})`

withRegistry('bundled by esbuild and webpack it works where it stays external, and says so where it does not', (t) => {
  const consumer = makeConsumer(t, 'npm', 'module')
  const { folder } = consumer
  const added = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--no-save', 'esbuild@0.25', 'webpack@5']
  const install = spawnSync('npm', added, { cwd: folder, encoding: 'utf8' })
  t.is(install.status, 0, install.stderr)
  writeFileSync(
    join(folder, 'entry.mjs'),
    "import { Tensor } from 'libtorch-gradcam'\nconsole.log(Tensor.from([1, 2]).sum().item())\n",
  )
  writeFileSync(join(folder, 'webpack.cjs'), webpackProgram)
  mkdirSync(join(folder, 'out'))
  for (const external of [true, false]) {
    const outside = [...outsiders, ...(external ? ['libtorch-gradcam'] : [])]
    const flags = ['--bundle', '--platform=node', '--format=esm', `--outfile=out/esbuild-${external}.mjs`]
    const esbuild = join(folder, 'node_modules', '.bin', 'esbuild')
    const bundles = [
      spawnSync(esbuild, ['entry.mjs', ...flags, ...outside.map((name) => `--external:${name}`)], { cwd: folder }),
      spawnSync(process.execPath, ['webpack.cjs', String(external)], { cwd: folder }),
    ]
    for (const { status, stderr } of bundles) t.is(status, 0, String(stderr))
    for (const bundler of ['esbuild', 'webpack']) {
      const { code, stdout, stderr } = consumer.run(process.execPath, [`out/${bundler}-${external}.mjs`])
      if (external) t.is(stdout, '3\n', stderr)
      else {
        t.is(code, 1, bundler)
        t.regex(stderr, /libtorch-gradcam is in a bundle.*--external:libtorch-gradcam.*serverExternalPackages/s)
      }
    }
  }
})
