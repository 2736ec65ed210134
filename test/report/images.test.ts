import test from 'ava'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser } from 'puppeteer-core'
import sharp from 'sharp'
import { jpegOf, writeJpegs } from '../support/batch.js'
import { launchBrowser } from '../support/browser.js'
import { needing } from '../support/needs.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { common, lines } from '../support/workplace.js'

const browser = await launchBrowser()
const inBrowser = needing('browser', browser, test.serial)
test.after.always(() => browser?.close())

interface PageItem {
  readonly thumbnail: string | null
  readonly input: string | null
  readonly facts: Readonly<Record<string, string>>
}

/** What the page holds of each input, by id. */
function itemsOf(page: string): Map<string, PageItem> {
  const text = readFileSync(page, 'utf8')
  const [, items = ''] = /<script type="application\/json" id="items-0">(.*?)<\/script>/s.exec(text) ?? []
  const [, job = ''] = /<script type="application\/json" id="job">\s*(.*?)\s*<\/script>/s.exec(text) ?? []
  const { index } = JSON.parse(job) as { index: [string][] }
  const all = JSON.parse(items) as PageItem[]
  return new Map(index.map(([id], at) => [id, all[at] as PageItem]))
}

test('the page says which images are gone, and of the others why they cannot be shown', async (t) => {
  const folder = temporaryFolder(t)
  const input = (name: string) => join(folder, 'in', name)
  await writeJpegs(join(folder, 'in'), ['good.jpg', 'gone.jpg', 'torn.jpg', 'large.jpg', 'folder.jpg'])
  // A decoder warns of bytes after the image; the image is whole, and was explained.
  writeFileSync(
    input('warned.jpg'),
    Buffer.concat([(await jpegOf(9)).subarray(0, -2), Buffer.from([0xff, 0xd9, 1, 2])]),
  )
  const out = join(folder, 'out')
  t.is(gradcam(['batch', join(folder, 'in'), '--out', out, ...common]).code, 0)
  rmSync(input('gone.jpg'))
  writeFileSync(input('torn.jpg'), (await jpegOf(2)).subarray(0, 700))
  writeFileSync(input('large.jpg'), await jpegOf(3, [300, 200]))
  rmSync(input('folder.jpg'))
  mkdirSync(input('folder.jpg'))
  const ended = gradcam(['report', out, '--max-pixels', '50000'])
  t.is(ended.code, 0, ended.stderr)
  t.regex(ended.stdout, /^6 items, 1 image missing, 3 images not readable: file:/)
  const items = itemsOf(join(out, 'report.html'))
  const said = (name: string) => items.get(name)?.facts['Image']
  t.is(said('good.jpg'), undefined)
  t.is(said('warned.jpg'), undefined)
  t.is(said('gone.jpg'), 'missing')
  t.regex(said('torn.jpg') ?? '', /is a damaged or incomplete image/)
  t.regex(said('large.jpg') ?? '', /has 300 x 200 = 60000 pixels; more than 50000 are refused/)
  t.regex(said('folder.jpg') ?? '', /it is a folder/)
  for (const [name, { thumbnail }] of items)
    t.is(thumbnail?.startsWith('data:image/jpeg;base64,') ?? false, said(name) === undefined, name)
})

test('a thumbnail is the image that was explained: upright, its colours, no larger than asked for', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'in'))
  const pixels = { width: 400, height: 200, channels: 3, background: { r: 250, g: 60, b: 10 } } as const
  await sharp({ create: pixels })
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toFile(join(folder, 'in', 'turned.jpg'))
  await sharp({ create: { ...pixels, width: 40, height: 20 } })
    .png()
    .toFile(join(folder, 'in', 'small.png'))
  const out = join(folder, 'out')
  gradcam(['batch', join(folder, 'in'), '--out', out, ...common])
  t.is(gradcam(['report', out, '--thumbnail', '64']).code, 0)
  const items = itemsOf(join(out, 'report.html'))
  const sizes = { 'turned.jpg': [64, 32], 'small.png': [20, 40] }
  for (const [name, size] of Object.entries(sizes)) {
    const url = items.get(name)?.thumbnail ?? ''
    const { data, info } = await sharp(Buffer.from(url.split(',')[1] ?? '', 'base64'))
      .raw()
      .toBuffer({ resolveWithObject: true })
    t.deepEqual([info.height, info.width], size, name)
    const middle = 3 * (Math.floor(info.height / 2) * info.width + Math.floor(info.width / 2))
    for (const [channel, level] of [250, 60, 10].entries())
      t.true(Math.abs((data[middle + channel] as number) - level) <= 6, `${name}: channel ${channel}`)
  }
})

test('an SVG is shown, and nothing of a file that it names', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'in'))
  const svg = (body: string) =>
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="48">${body}</svg>`
  const names = ['plain.svg', 'beside.svg', 'absolute.svg']
  for (const name of names)
    writeFileSync(join(folder, 'in', name), svg('<rect width="64" height="48" fill="#00ff00"/>'))
  const out = join(folder, 'out')
  const ended = gradcam(['batch', join(folder, 'in'), '--out', out, ...common, '--svg'])
  t.is(ended.code, 0, ended.stderr)
  // Since they were explained, two of them name a file.
  const secret = join(folder, 'in', 'secret.png')
  const magenta = { width: 64, height: 48, channels: 3, background: '#ff00ff' } as const
  await sharp({ create: magenta }).png().toFile(secret)
  for (const [name, address] of [
    ['beside.svg', 'secret.png'],
    ['absolute.svg', pathToFileURL(secret).href],
  ] as const)
    writeFileSync(join(folder, 'in', name), svg(`<image xlink:href="${address}" width="64" height="48"/>`))

  t.is(gradcam(['report', out]).code, 0)
  const items = itemsOf(join(out, 'report.html'))
  for (const name of names) {
    const url = items.get(name)?.thumbnail ?? null
    if (url === null) continue
    const { channels } = await sharp(Buffer.from(url.split(',')[1] ?? '', 'base64')).stats()
    t.true((channels[2]?.max ?? 0) < 100, `${name} shows the file that it names`)
  }
  t.truthy(items.get('plain.svg')?.thumbnail)
})

test('the names of inputs that are not files lead nowhere', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['a.jpg'])
  const out = join(folder, 'out')
  gradcam(['batch', join(folder, 'in'), '--out', out, ...common])
  const [line] = lines(out)
  const inputs = [
    'https://example.org/a.jpg',
    'javascript:alert(1)',
    '//example.org/b.jpg',
    'key of an object',
    '/dev/zero',
  ]
  const forged = inputs.map((input, i) => JSON.stringify({ ...line, id: `${i}.jpg`, input }))
  writeFileSync(join(out, 'manifest.jsonl'), `${forged.join('\n')}\n`)
  t.is(gradcam(['report', out]).code, 0)
  for (const [id, { input, thumbnail, facts }] of itemsOf(join(out, 'report.html'))) {
    t.is(thumbnail, null, id)
    // A path with two slashes is one of this machine: the page links to it as such.
    if (id === '2.jpg') t.regex(input ?? '', /^(\.\.\/)+example\.org\/b\.jpg$/)
    else if (id === '4.jpg') t.regex(facts['Image'] ?? '', /it is a pipe or a device/)
    else t.is(input, null, id)
  }
})

inBrowser('the policy of the page lets its own script run, and nothing that came into it', async (t) => {
  const folder = temporaryFolder(t)
  await writeJpegs(join(folder, 'in'), ['a.jpg', 'b.jpg'])
  const out = join(folder, 'out')
  gradcam(['batch', join(folder, 'in'), '--out', out, ...common])
  gradcam(['report', out])
  const own = readFileSync(join(out, 'report.html'), 'utf8')
  const policy = /<meta http-equiv="Content-Security-Policy" content="[^"]*" \/>/.exec(own)?.[0] ?? ''
  t.regex(policy, /"default-src 'none'; .*script-src 'sha256-[\w+/]+=*'; style-src 'sha256-[\w+/]+=*';/)
  t.false(policy.includes('unsafe'))

  const asked: string[] = []
  const server = createServer(({ url = '' }, response) => {
    asked.push(url)
    response.end()
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  // As if a text had been taken for markup.
  const injected = `<script>window.ran = 'inline'</script>
    <img src="x" onerror="window.ran = 'handler'"><style>body { opacity: 0.5 }</style>
    <script src="${address}/script.js"></script><img src="${address}/pixel.png">
    <iframe src="${address}/frame.html"></iframe><link rel="stylesheet" href="${address}/style.css">`
  const effects = async (html: string) => {
    writeFileSync(join(out, 'injected.html'), html)
    const page = await (browser as Browser).newPage()
    await page.goto(pathToFileURL(join(out, 'injected.html')).href)
    await page.waitForSelector('#tiles button')
    await page.click('#tiles button')
    await new Promise((resolve) => setTimeout(resolve, 300))
    const found = await page.evaluate(`(async () => {
      const image = Object.assign(new Image(), { src: '../in/a.jpg' })
      const shown = await image.decode().then(() => 'image', () => 'no image')
      return [window.ran ?? null, getComputedStyle(document.body).opacity, shown]
    })()`)
    await page.close()
    return { found, asked: asked.splice(0).sort() }
  }
  const withInjected = own.replace('<main', `${injected}<main`)
  t.deepEqual(await effects(withInjected), { found: [null, '1', 'image'], asked: [] })
  const without = await effects(withInjected.replace(policy, ''))
  t.deepEqual(without, {
    found: ['handler', '0.5', 'image'],
    asked: ['/frame.html', '/pixel.png', '/script.js', '/style.css'],
  })
})
