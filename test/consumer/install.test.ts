import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { findCMake } from '../../lib/setup/tools.js'
import { canInstall, makeConsumer, type Consumer, type Manager } from '../support/consumer.js'
import { decodeImage, greyValues } from '../support/drawings.js'
import { needing } from '../support/needs.js'

const packed = process.platform === 'linux' && (await findCMake()) !== null
const withRegistry = needing('registry', packed && canInstall(), test.serial)

/** A heatmap of the sample image, in a program of the consumer's own. */
const body = `
  const samples = require.resolve('libtorch-gradcam/package.json').replace('package.json', 'samples/')
  const model = await ScriptModule.load(samples + 'animals-densenet.pt')
  const input = await loadImage(samples + 'cat_dog.png', { size: [224, 224], normalize: imagenet })
  const gradCam = new GradCam(model, ['features'])
  const { cam } = await gradCam.explain(input, { target: 0 })
  await saveImage(normalize(interpolate(cam, [224, 224])), 'map.png')
  console.log(cam.shape.join('x'))
`
const names = '{ GradCam, ScriptModule, imagenet, interpolate, loadImage, normalize, saveImage }'

/** The same program in both kinds of modules. */
const programs = {
  'heatmap.cjs': `const ${names} = require('libtorch-gradcam')\nvoid (async () => {${body}})()\n`,
  'heatmap.mjs':
    `import { createRequire } from 'node:module'\nimport ${names} from 'libtorch-gradcam'\n` +
    `const require = createRequire(import.meta.url)\n${body}`,
}

/** Read off samples/cat_dog.png: class 0 is the cat, which sits left of the middle. */
async function isOfTheCat(consumer: Consumer): Promise<boolean> {
  const map = greyValues(await decodeImage(join(consumer.folder, 'map.png')))
  const at = map.indexOf(255)
  return map.length === 224 * 224 && at % 224 < 112
}

/** The packages, and what README links to, as npm put them there. */
function looksComplete(t: ExecutionContext, consumer: Consumer): void {
  const facts = (...path: string[]) =>
    JSON.parse(readFileSync(join(consumer.folder, 'node_modules', ...path, 'package.json'), 'utf8')) as {
      version: string
      optionalDependencies?: Record<string, string>
      scripts?: Record<string, string>
      os?: string[]
    }
  const main = facts('libtorch-gradcam')
  const [name = '', version] = Object.entries(main.optionalDependencies ?? {})[0] ?? []
  t.is(version, main.version)
  t.like(facts(...name.split('/')), { version: main.version, os: [process.platform] })
  for (const script of ['install', 'preinstall', 'postinstall']) t.is(main.scripts?.[script], undefined)
  // What README says is read where the package is: its images and documents are in it.
  const readme = readFileSync(join(consumer.installed, 'README.md'), 'utf8')
  for (const [, address = ''] of readme.matchAll(/\]\(((?!https?:)[^)#]+)/g))
    t.true(existsSync(join(consumer.installed, address)), address)
}

/** As npm leaves it with --omit=optional: sharp without its binary. */
function saysThatSharpIsMissing(t: ExecutionContext, consumer: Consumer, main: string): void {
  rmSync(join(consumer.folder, 'node_modules', '@img'), { recursive: true })
  const doctor = consumer.run(process.execPath, [main, 'doctor'])
  t.is(doctor.code, 1)
  t.regex(doctor.stdout, /sharp +images can be neither read nor written.*\n +→ .*npm install --include=optional sharp/)
  const { code, stderr } = consumer.run(process.execPath, ['heatmap.mjs'])
  t.is(code, 1)
  t.regex(stderr, /ERR_TOOL_MISSING/)
  t.regex(stderr, /sharp, which reads and writes images, cannot be loaded.*--include=optional/)
}

for (const [manager, type] of [
  ['npm', 'module'],
  ['pnpm', 'commonjs'],
  ['yarn', 'module'],
] as const satisfies [Manager, string][])
  withRegistry(
    `${manager}: the packed packages, and a heatmap by require and by import without a compiler`,
    async (t) => {
      const consumer = makeConsumer(t, manager, type)
      if (manager === 'npm') looksComplete(t, consumer)
      for (const [name, text] of Object.entries(programs)) {
        writeFileSync(join(consumer.folder, name), text)
        const { code, stdout, stderr } = consumer.run(process.execPath, [name])
        t.is(code, 0, stderr)
        t.is(stdout, '1x1x14x14\n')
        t.is(stderr, '')
        t.true(await isOfTheCat(consumer))
      }
      t.false(existsSync(join(consumer.installed, 'build')), 'what was installed is left as it is')
      t.is(readdirSync(join(consumer.folder, '.cache', 'addons')).filter((one) => !one.startsWith('.')).length, 1)

      const main = join(consumer.installed, 'dist', 'bundle', 'cli', 'main.js')
      const doctor = consumer.run(process.execPath, [main, 'doctor'])
      t.is(doctor.code, 0, doctor.stdout)
      t.regex(doctor.stdout, /Addon +loads, as npm installed it, with LibTorch \d/)
      t.regex(doctor.stdout, /LibTorch +\d.*the Python environment's PyTorch/)
      t.regex(
        consumer.run(process.execPath, [main, 'setup']).stdout,
        /^LibTorch \d.*\nReady, with an addon for it\.\n$/,
      )

      const demo = consumer.run(process.execPath, [main, 'demo'])
      t.is(demo.code, 0, demo.stderr)
      t.regex(demo.stdout, /gradcam-demo/)
      const images = readdirSync(join(consumer.folder, 'gradcam-demo')).filter((name) => name.endsWith('.png'))
      t.true(images.length >= 4, images.join())
      if (manager === 'npm') saysThatSharpIsMissing(t, consumer, main)
    },
  )
