import test from 'ava'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { runInNewContext, Script } from 'node:vm'
import { packageRoot } from '../../lib/base/paths.js'
import { bundleModules } from '../../lib/report/bundle-modules.js'
import { launchBrowser } from '../support/browser.js'
import { needing } from '../support/needs.js'

const browser = await launchBrowser()
test.after.always(() => browser?.close())

const assets = join(packageRoot, 'assets', 'report')

function bundleOf(files: Readonly<Record<string, string>>): Promise<string> {
  return bundleModules('main.js', async (name) => {
    const text = files[name]
    if (text === undefined) throw new Error(`no ${name}`)
    return text
  })
}

test('modules in one script: each runs once, after those that it imports, with names of its own', async (t) => {
  const script = await bundleOf({
    'main.js': [
      "import { count, next as step } from './counter.js'",
      "import { twice, Box, later } from './tools.js'",
      'const own = 1',
      'log.push(`main ${own} ${twice(count)} ${step()} ${step()} ${new Box().own}`)',
      'later().then((text) => log.push(text))',
    ].join('\n'),
    'tools.js': [
      "import { next } from './counter.js'",
      "const own = 'tools'",
      'log.push(own)',
      'export const twice = (n) => 2 * n + next()',
      'export class Box {',
      '  own = own',
      '}',
      'export async function later() {',
      "  return 'export is a word in here'",
      '}',
    ].join('\n'),
    'counter.js':
      "log.push('counter')\nlet at = 0\nexport const count = 10\nexport function next() {\n  return ++at\n}\n",
  })
  const log: string[] = []
  runInNewContext(`'use strict'\n${script}`, { log })
  await new Promise((resolve) => setImmediate(resolve))
  t.deepEqual(log, ['counter', 'tools', 'main 1 21 2 3 tools', 'export is a word in here'])
})

test('what cannot be bundled is refused', async (t) => {
  for (const line of [
    "import tools from './tools.js'",
    "import * as tools from './tools.js'",
    "import './tools.js'",
    "import { readFile } from 'node:fs'",
    'export default 1',
    'export let count = 0',
    "export { count } from './tools.js'",
  ])
    await t.throwsAsync(bundleOf({ 'main.js': `const a = 1\n${line}\n`, 'tools.js': '' }), {
      message: `main.js has a line that cannot be bundled: ${line}`,
    })
})

test('the modules of the report fit into one script that ends no script element', async (t) => {
  const names: string[] = []
  const script = await bundleModules('main.js', async (name) => {
    names.push(name)
    return readFileSync(join(assets, name), 'utf8')
  })
  t.deepEqual(
    names.sort(),
    readdirSync(assets).filter((name) => name.endsWith('.js')),
  )
  t.false(/<\/script/i.test(script))
  t.notThrows(() => new Script(`'use strict'\n${script}`))
})

/** Its own page, as that of a service: it imports the modules by their address. */
const explorer = `<!doctype html>
<div id="viewport" style="height: 400px; width: 600px; overflow: auto"><ul id="list"></ul></div>
<script type="module">
  import { createItems, selectItems } from '/heatmaps/items.js'
  import { createSheet } from '/heatmaps/sheet.js'
  import { drawItem } from '/heatmaps/heat.js'
  const item = (levels) => ({
    size: [40, 40],
    region: { top: 0, left: 0, bottom: 40, right: 40 },
    map: { height: 1, width: 1, levels: btoa(String.fromCharCode(levels)) },
    thumbnail: null,
    input: null,
  })
  const job = {
    about: 'mine',
    block: 2,
    index: [['b', 1, null, 0.5, 0.5, false], ['a', 0, 'cat', 2, 0.9, false], ['c', 1, null, 1, 0.1, false]],
  }
  const blocks = [[item(0), item(255)], [item(128)]]
  const items = createItems(job, (block) => JSON.stringify(blocks[block]))
  const sheet = createSheet(document.getElementById('viewport'), document.getElementById('list'), items.details)
  const all = { search: '', target: '', state: '', from: 0, to: 1, scores: [null, null], sort: 'name' }
  sheet.show(selectItems(items.index, all))
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = 40
  globalThis.colourOf = (position) => {
    drawItem(canvas, items.details(position), null, 1)
    return [...canvas.getContext('2d').getImageData(20, 20, 1, 1).data]
  }
  globalThis.ready = true
</script>`

needing('browser', browser)('another page imports the modules of the report', async (t) => {
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    if (path === '/') response.setHeader('content-type', 'text/html').end(explorer)
    else if (path.startsWith('/heatmaps/'))
      response.setHeader('content-type', 'text/javascript').end(readFileSync(join(assets, basename(path))))
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const page = await (browser as NonNullable<typeof browser>).newPage()
  page.on('pageerror', (error) => t.fail(`the page threw: ${String(error)}`))
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  await page.waitForFunction('globalThis.ready === true')
  t.deepEqual(await page.$$eval('#list button', (all) => all.map((one) => one.getAttribute('title'))), ['a', 'b', 'c'])
  // By the definition of jet its ends are half blue and half red: 255 / 2, rounded.
  t.deepEqual(await page.evaluate('colourOf(0)'), [0, 0, 128, 255])
  t.deepEqual(await page.evaluate('colourOf(1)'), [128, 0, 0, 255])
  await page.close()
})
