import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { packageRoot } from '../../lib/base/paths.js'
import { decodeImage, greyValues } from '../support/drawings.js'
import { runNode, temporaryFolder } from '../support/package-copy.js'
import { smallNets } from '../support/models.js'

const demo = join(packageRoot, 'scripts', 'samples', 'demo.mjs')

test.serial('npm run demo: the cat and the dog of the sample image, each where it sits', async (t) => {
  const folder = temporaryFolder(t)
  const { code, stdout, stderr } = runNode([demo], {}, folder)
  t.is(code, 0, stderr)
  t.is(stderr, '')
  const out = join(folder, 'out', 'demo')
  t.deepEqual(readdirSync(out).sort(), ['cat', 'dog'])
  for (const animal of ['cat', 'dog']) {
    const files = ['gcam.png', 'grad.png', 'mixed.png', 'overlay.png']
    t.deepEqual(readdirSync(join(out, animal)).sort(), files)
    for (const file of files) {
      const { width, height } = await decodeImage(join(out, animal, file))
      t.deepEqual([width, height], [224, 224], file)
    }
    const map = greyValues(await decodeImage(join(out, animal, 'gcam.png')))
    const said = stdout.match(new RegExp(`^  ${animal} +most at x (\\d+), y (\\d+) .*out/demo/${animal}/`, 'm'))
    const [x, y] = [Number(said?.[1]), Number(said?.[2])]
    t.is(map[y * 224 + x], 255, stdout)
    // Read off samples/cat_dog.png: the cat sits left of the middle, the dog right of it, both in the lower part.
    t.is(x < 112 ? 'cat' : 'dog', animal, `peak at ${x}, ${y}`)
    t.true(y > 95 && y < 200, `peak at ${x}, ${y}`)
    // The mixed image is the product: where the map is zero it has one grey, that of zero.
    const mixed = greyValues(await decodeImage(join(out, animal, 'mixed.png')))
    const greys = new Set(mixed.filter((_, at) => map[at] === 0))
    t.true(greys.size <= 2 && new Set(mixed).size > 10, [...greys].join())
  }
  t.true(stdout.split('\n').length < 20, 'a few lines')
})

test.serial('it takes an image, a model and a layer of one’s own', async (t) => {
  const nets = await smallNets()
  const folder = temporaryFolder(t)
  const image = join(packageRoot, 'samples', 'cat_dog.png')
  const { code, stdout, stderr } = runNode([demo, image, nets.file('siblings'), 'second'], {}, folder)
  t.is(code, 0, stderr)
  t.regex(stdout, /siblings\.scripted\.pt .* looks at cat_dog\.png/)
  const classes = readdirSync(join(folder, 'out', 'demo'))
  t.is(classes.length, 2)
  for (const name of classes) t.regex(name, /^class-[0-4]$/)
})
