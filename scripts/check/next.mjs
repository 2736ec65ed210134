// Tries the packed packages in Next.js: a page and a route that explain an image on the server.
//
//   npm run release -- --dry-run --out DIR && node scripts/check/next.mjs DIR [--next VERSION]
//
// With `serverExternalPackages: ['libtorch-gradcam']` both have to answer with a map. Without it they may, as with Turbopack, or the error
// has to say that the package is in a bundle. It installs Next.js in a temporary folder, which takes minutes, so that it is not one of the
// tests.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readBuildInfo } from '#internal'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { next: { type: 'string', default: 'latest' } },
})
const [tarballs] = positionals
if (tarballs === undefined) {
  console.error('next: give the folder with the packed packages.')
  process.exit(2)
}
const folder = mkdtempSync(join(tmpdir(), 'gradcam-next-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const libtorch = readBuildInfo()?.libtorch.root
const env = {
  ...process.env,
  NEXT_TELEMETRY_DISABLED: '1',
  GRADCAM_CACHE: join(folder, '.cache'),
  ...(libtorch && { LIBTORCH: libtorch }),
}

/** What the page and the route call. */
const explain = `
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GradCam, ScriptModule, imagenet, interpolate, loadImage, normalize, saveImage } from 'libtorch-gradcam'

const samples = join(process.cwd(), 'node_modules', 'libtorch-gradcam', 'samples')

export async function explainSample() {
  const model = await ScriptModule.load(join(samples, 'animals-densenet.pt'))
  const input = await loadImage(join(samples, 'cat_dog.png'), { size: [224, 224], normalize: imagenet })
  const gradCam = new GradCam(model, ['features'])
  const { cam, targets } = await gradCam.explain(input, { target: 1 })
  const file = join(process.cwd(), 'map.png')
  await saveImage(normalize(interpolate(cam, [224, 224])), file)
  return { target: targets[0], png: await readFile(file, 'base64') }
}
`

/** The files of the application besides its configuration. */
const files = {
  'package.json': JSON.stringify({ name: 'app', private: true, type: 'module' }),
  'lib/explain.js': explain,
  'app/layout.jsx': 'export default ({ children }) => <html><body>{children}</body></html>\n',
  'app/page.jsx': `
import { explainSample } from '../lib/explain.js'
export const dynamic = 'force-dynamic'
export default async function Page() {
  const { png } = await explainSample()
  return <img src={'data:image/png;base64,' + png} />
}
`,
  'app/api/explain/route.js': `
import { explainSample } from '../../../lib/explain.js'
export const dynamic = 'force-dynamic'
export const GET = async () => Response.json(await explainSample())
`,
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const ended = spawnSync(command, args, { cwd: folder, env, encoding: 'utf8' })
  return { code: ended.status, output: `${ended.stdout}${ended.stderr}` }
}

/**
 * Builds and starts the application, and asks for the page and the route.
 *
 * @param {object} configuration of Next.js
 */
async function answers(configuration) {
  writeFileSync(join(folder, 'next.config.mjs'), `export default ${JSON.stringify(configuration)}\n`)
  rmSync(join(folder, '.next'), { recursive: true, force: true })
  const built = run('npx', ['next', 'build'])
  if (built.code !== 0) return { page: '', route: '', log: built.output }
  const server = spawn(process.execPath, ['node_modules/next/dist/bin/next', 'start', '--port', '0'], {
    cwd: folder,
    env,
  })
  const ended = once(server, 'close')
  let log = ''
  for (const stream of [server.stdout, server.stderr]) stream.setEncoding('utf8').on('data', (text) => (log += text))
  try {
    for (let tries = 0; tries < 600 && !log.includes('Ready in'); tries++)
      await new Promise((go) => setTimeout(go, 100))
    const address = /http:\/\/localhost:\d+/.exec(log)?.[0]
    if (!address) return { page: '', route: '', log }
    const [page = '', route = ''] = await Promise.all(
      ['/', '/api/explain'].map(async (path) => (await fetch(`${address}${path}`)).text()),
    )
    return { page, route, log }
  } finally {
    server.kill()
    await ended
  }
}

for (const [name, text] of Object.entries(files)) {
  mkdirSync(dirname(join(folder, name)), { recursive: true })
  writeFileSync(join(folder, name), text)
}
const packages = readdirSync(tarballs)
  .filter((name) => name.endsWith('.tgz'))
  .map((name) => join(resolve(tarballs), name))
console.log('Installing Next.js and the packed packages.')
const all = [`next@${values.next}`, 'react', 'react-dom', ...packages]
const installed = run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...all])
if (installed.code !== 0) throw new Error(installed.output)

/** @type {string[]} */
const failures = []
const external = await answers({ serverExternalPackages: ['libtorch-gradcam'] })
// The first bytes of a PNG file, in base64.
if (!external.page.includes('data:image/png;base64,iVBOR')) failures.push(`external, the page: ${external.log}`)
if (!external.route.startsWith('{"target":1,"png":"iVBOR'))
  failures.push(`external, the route: ${external.route}${external.log}`)
const bundled = await answers({})
const works = bundled.route.startsWith('{"target":1,"png":"iVBOR')
if (!works && !/libtorch-gradcam is in a bundle.*serverExternalPackages/s.test(bundled.log))
  failures.push(`bundled: ${bundled.route}${bundled.log}`)
if (failures.length > 0) {
  console.error(failures.join('\n\n'))
  process.exit(1)
}
const otherwise = works ? 'bundled they do, too' : 'bundled it says so'
console.log(`Next.js: the page and the route answer with a map where the package is external; ${otherwise}.`)
