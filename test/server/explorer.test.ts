import test, { type ExecutionContext } from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'puppeteer-core'
import sharp from 'sharp'
import { packageRoot } from '../../lib/base/paths.js'
import { createServer, Deletion, GradCam, imagenet, Insertion, loadImage } from '../../lib/index.js'
import { jpegOf } from '../support/batch.js'
import { launchBrowser } from '../support/browser.js'
import { drop, openExplorer, pointOfCell, readout, untilStatus } from '../support/explorer.js'
import { needing } from '../support/needs.js'
import { temporaryFolder } from '../support/package-copy.js'
import { catDog, explained, post, sampleServed, type ExplainAnswer } from '../support/server.js'

const browser = await launchBrowser()
const served = await sampleServed()
const server = await createServer({ models: { animals: { ...served, file: 'animals-densenet.pt' } } })
const address = await server.listen({ port: 0 })
test.after.always(async () => {
  await browser?.close()
  await server.close()
  served.model.dispose()
})
const inBrowser = needing('browser', browser, test.serial)

const image = { name: 'cat_dog.png', bytes: catDog }
/** A cell that is neither in the middle nor at an edge, and whose row is not its column. */
const cell = { row: 9, column: 4, rows: 14, columns: 14 }

/** What the API says to a client that is not the page. */
const ask = (t: ExecutionContext, options: object): Promise<ExplainAnswer> => {
  const form = new FormData()
  form.set('options', JSON.stringify(options))
  form.set('image', new Blob([new Uint8Array(catDog)]))
  return explained(t, fetch(`${address}/v1/explain`, { method: 'POST', body: form }))
}

const valueAt = ({ maps }: ExplainAnswer, index = 0): number =>
  maps[index]?.values?.[cell.row * cell.columns + cell.column] ?? NaN

/**
 * The API answers a request of its own here. Beside others its batch may be another one, in which LibTorch sums in another order:
 * test/server/answers.test.ts allows 1e-5 of a map's norm for that. Values are up to 0.2 here.
 */
function isNear(t: ExecutionContext, value: number, expected: number | undefined): void {
  t.true(Math.abs(value - (expected ?? NaN)) <= 1e-5 * Math.abs(expected ?? NaN) + 1e-6, `${value} is not ${expected}`)
}

async function hover(page: Page, method: string, at = cell): Promise<readonly [number, string]> {
  const { x, y } = await pointOfCell(page, method, at)
  await page.mouse.move(x, y)
  return await readout(page, method)
}

/** The colours of the canvas of a figure, as one text that changes with them. */
const drawn = (page: Page, method = 'gradcam'): Promise<string> =>
  page.$eval(`figure[data-method="${method}"] .pad canvas`, (one) =>
    (one as unknown as { toDataURL: () => string }).toDataURL(),
  )

inBrowser('a file that is dropped: its classes, its map, and the value under the pointer', async (t) => {
  const page = await openExplorer(browser, t, address)
  await page.waitForSelector('body.ready')
  await drop(page, [image])
  t.regex(await untilStatus(page, /score/), /^cat_dog\.png: cat, score 6\.83; 1 of 1 maps\.$/)
  const milliseconds = await page.evaluate(`(() => {
    const at = (name) => performance.getEntriesByName(name)[0].startTime
    return at('maps-drawn') - at('image-received')
  })()`)
  t.log(`the first map was drawn ${Math.round(milliseconds as number)} ms after the drop`)
  const answer = await explained(t, post(address, '?top=10'))
  t.deepEqual(
    await page.$$eval('#class-list .class', (all) => all.map((one) => one.getAttribute('data-class'))),
    answer.top.map((one) => String(one.class)),
  )
  t.deepEqual(
    await page.$$eval('#class-list .class', (all) => all.map((one) => one.textContent)),
    answer.top.map(({ label, score, probability }) => `${label}${score.toFixed(2)}${(100 * probability).toFixed(1)} %`),
  )
  for (const at of [cell, { ...cell, row: 0, column: 13 }, { ...cell, row: 13, column: 0 }]) {
    const [value, where] = await hover(page, 'gradcam', at)
    isNear(t, value, answer.maps[0]?.values?.[at.row * at.columns + at.column])
    t.is(where, `row ${at.row + 1} of 14, column ${at.column + 1} of 14`)
  }
})

inBrowser('a class is chosen, another is subtracted, another layer is looked at', async (t) => {
  const page = await openExplorer(browser, t, address, { at: '/#sample=cat_dog.png' })
  await untilStatus(page, /: cat,/)
  await page.click('[data-class="1"]')
  await untilStatus(page, /: dog,/)
  isNear(t, (await hover(page, 'gradcam'))[0], valueAt(await ask(t, { target: 1 })))
  await page.click('[data-minus="0"]')
  await untilStatus(page, /: dog minus cat,/)
  const target = { kind: 'difference', class: 1, minus: 0 }
  isNear(t, (await hover(page, 'gradcam'))[0], valueAt(await ask(t, { target })))
  t.is(await page.$eval('#class-shown', (one) => one.textContent), 'Shown: dog minus cat')
  await page.waitForSelector('[data-path="features.transition2.conv"]')
  await page.click('[data-path="features.transition2.conv"] .name')
  await page.waitForFunction(`document.querySelector('.readout .cell')?.textContent.includes('28')`)
  const fine = { row: 17, column: 6, rows: 28, columns: 28 }
  const other = await ask(t, { target, layer: 'features.transition2.conv' })
  isNear(t, (await hover(page, 'gradcam', fine))[0], other.maps[0]?.values?.[17 * 28 + 6])
  // Again at the minus: the class alone.
  await page.click('[data-minus="0"]')
  await untilStatus(page, /: dog,/)
  t.is(new URL(page.url()).hash, '#layer=features.transition2.conv&class=1&sample=cat_dog.png')
})

inBrowser('the layer tree: shapes, suggestions, search', async (t) => {
  const page = await openExplorer(browser, t, address, { at: '/#sample=cat_dog.png' })
  await page.waitForSelector('#layer-tree [aria-selected="true"]')
  const { layers } = (await (await fetch(`${address}/v1/models/animals/layers`)).json()) as {
    layers: { path: string; output: string | null; suggested: boolean }[]
  }
  const marked = await page.$$eval('#layer-tree .suggested', (all) =>
    all.map((one) => one.closest('li')?.getAttribute('data-path') ?? ''),
  )
  t.deepEqual(
    marked,
    layers.filter(({ suggested }) => suggested).map(({ path }) => path),
  )
  t.is(await page.$eval('[data-path="features"] .shape', (one) => one.textContent), '14 × 14')
  await page.type('#layer-search', 'denseblock1')
  const found = await page.$$eval('#layer-tree li', (all) => all.map((one) => one.getAttribute('data-path')))
  t.deepEqual(
    found,
    layers.map(({ path }) => path).filter((path) => path.includes('denseblock1')),
  )
})

inBrowser('opacity, threshold, colours and zoom change what is drawn, and nothing else', async (t) => {
  const page = await openExplorer(browser, t, address, { at: '/#sample=cat_dog.png' })
  await untilStatus(page, /score/)
  const first = await drawn(page)
  const slider = await (await page.$('#opacity'))?.boundingBox()
  if (!slider) throw new Error('there is no slider')
  const [x, y] = [slider.x, slider.y + slider.height / 2]
  await page.mouse.move(x + slider.width / 2, y)
  await page.mouse.down()
  await page.mouse.move(x + slider.width - 2, y, { steps: 5 })
  await page.mouse.up()
  t.true(Number(await page.$eval('#opacity', (one) => (one as unknown as { value: string }).value)) > 95)
  t.not(await drawn(page), first)
  t.regex(page.url(), /opacity=(?:9\d|100)/)
  // The map alone is opaque: at its peak it is the last colour of jet, 128 0 0, where cells are blended a little less.
  await page.focus('#opacity')
  await page.keyboard.press('End')
  await readout(page, 'gradcam')
  const answer = await ask(t, {})
  const values = answer.maps[0]?.values ?? []
  const peak = values.indexOf(Math.max(...values))
  const colourAt = async (row: number, column: number) => {
    const point = await pointOfCell(page, 'gradcam', { row, column, rows: 14, columns: 14 })
    return (await page.evaluate(`(() => {
      const canvas = document.querySelector('.pad canvas')
      const box = canvas.getBoundingClientRect()
      const [x, y] = [${point.x} - box.x, ${point.y} - box.y].map(Math.round)
      return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data]
    })()`)) as number[]
  }
  const [red = 0, green = 0, blue = 0] = await colourAt(Math.floor(peak / 14), peak % 14)
  t.true(red >= 128 && green < 60 && blue === 0, `${red} ${green} ${blue}`)
  await page.focus('#threshold')
  await page.keyboard.press('End')
  await readout(page, 'gradcam')
  const lowest = values.indexOf(Math.min(...values))
  const at = [Math.floor(lowest / 14), lowest % 14] as const
  const pixels = await sharp(catDog).removeAlpha().raw().toBuffer()
  const pixel = 3 * (448 * Math.floor((at[0] + 0.5) * 32) + Math.floor((at[1] + 0.5) * 32))
  const seen = await colourAt(...at)
  // Below the threshold the image is seen as it is; it is drawn in another size, so that a pixel is mixed with its neighbours.
  for (const channel of [0, 1, 2]) t.true(Math.abs((seen[channel] ?? 0) - (pixels[pixel + channel] as number)) < 12)
  await page.select('#colours', 'viridis')
  t.not(await drawn(page), first)
  const before = await hover(page, 'gradcam')
  await page.click('#zoom-in')
  t.is(await page.$eval('#zoom-shown', (one) => one.textContent), '150 %')
  await page.click('#zoom-reset')
  t.deepEqual(await hover(page, 'gradcam'), before)
})

inBrowser('methods side by side, thumbnails as they are seen, and the curves of those that are shown', async (t) => {
  const page = await openExplorer(browser, t, address, { at: '/#sample=cat_dog.png&class=0', height: 1400 })
  await untilStatus(page, /: cat,/)
  const thumbnail = (name: string) => `!document.querySelector('[data-method="${name}"] .note').textContent`
  await page.waitForFunction(thumbnail('layercam'), { timeout: 60_000 })
  t.is(
    await page.$eval('#method-list [data-method="scorecam"] .note', (one) => one.textContent),
    'runs many times: press',
  )
  await page.click('#method-list [data-method="layercam"] .beside')
  await page.click('#method-list [data-method="guided-backprop"] .beside')
  await untilStatus(page, /3 of 3 maps/)
  t.deepEqual(await page.$$eval('figure', (all) => all.map((one) => one.getAttribute('data-method'))), [
    'gradcam',
    'layercam',
    'guided-backprop',
  ])
  const answer = await ask(t, { method: ['gradcam', 'layercam', 'guided-backprop'], target: 0 })
  isNear(t, (await hover(page, 'layercam'))[0], valueAt(answer, 1))
  // One cursor for all maps; a gradient has a cell for each pixel that the model sees.
  const pixel = { row: 130, column: 70, rows: 224, columns: 224 }
  isNear(t, (await hover(page, 'guided-backprop', pixel))[0], answer.maps[2]?.values?.[130 * 224 + 70] ?? NaN)
  t.is((await readout(page, 'gradcam'))[1], 'row 9 of 14, column 5 of 14')
  await page.click('#method-list [data-method="guided-backprop"] .beside')
  await untilStatus(page, /2 of 2 maps/)
  await page.click('#evaluate')
  await page.waitForSelector('#evaluation-result table', { timeout: 120_000 })
  using input = await loadImage(catDog, { size: [224, 224], normalize: imagenet })
  using gradCam = new GradCam(served.model, ['features'])
  using found = await gradCam.explain(input, { target: 0 })
  const expected: string[] = []
  for (const Metric of [Insertion, Deletion]) {
    using metric = new Metric(served.model)
    await metric.add(input, found.cam, { targets: 0 })
    expected.push(metric.result().mean.toFixed(4))
  }
  const rows = await page.$$eval('#evaluation-result tbody tr', (all) =>
    all.map((row) => [...row.children].map((one) => one.textContent?.trim())),
  )
  t.deepEqual(rows[0], ['Grad-CAM', ...expected])
  t.is(rows[1]?.[0], 'LayerCAM')
  const points = await page.$$eval('polyline', (all) => all.map((one) => one.getAttribute('points')?.split(' ').length))
  t.deepEqual(points, [21, 21, 21, 21])
})

inBrowser('what is saved: the bytes of the .npy, and the image with the map in its own size', async (t) => {
  const page = await openExplorer(browser, t, address, { at: '/#sample=cat_dog.png' })
  await untilStatus(page, /score/)
  const folder = temporaryFolder(t)
  const client = await page.createCDPSession()
  await client.send('Browser.setDownloadBehavior', {
    behavior: 'allow',
    downloadPath: folder,
    eventsEnabled: true,
  })
  const save = async (text: string): Promise<Buffer> => {
    const done = new Promise<void>((resolve) => {
      client.on('Browser.downloadProgress', ({ state }) => state === 'completed' && resolve())
    })
    await page.click(`[aria-label="Save Grad-CAM as ${text}"]`)
    await done
    client.removeAllListeners('Browser.downloadProgress')
    return readFileSync(join(folder, `cat_dog-gradcam.${text.replace('.', '').toLowerCase()}`))
  }
  const npy = await explained(t, post(address, '?format=npy'))
  t.deepEqual(await save('.npy'), Buffer.from(npy.maps[0]?.npy ?? '', 'base64'))
  const overlay = Buffer.from(await (await post(address, '?format=png')).arrayBuffer())
  const pixelsOf = (file: Buffer) => sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  const [own, library] = [await pixelsOf(await save('PNG')), await pixelsOf(overlay)]
  t.deepEqual([own.info.width, own.info.height], [448, 448])
  const off =
    own.data.reduce((sum, level, i) => sum + Math.abs(level - (library.data[i] as number)), 0) / own.data.length
  // The ends of the page's colours are the map's least and greatest cell, those of the library's its values between pixels, which
  // are 1 / 64 of a cell away: an index of jet in 256, half as seen.
  t.true(off < 1.5, `the colours differ by ${off} of 255 in the mean`)
})

inBrowser('a link shows the same view again; several images are a strip', async (t) => {
  const page = await openExplorer(browser, t, address)
  await page.waitForSelector('body.ready')
  const names = ['one.jpg', 'two.jpg']
  await drop(page, [
    { name: 'one.jpg', bytes: await jpegOf(1) },
    { name: 'two.jpg', bytes: await jpegOf(2) },
  ])
  await untilStatus(page, /^one\.jpg/)
  t.deepEqual(await page.$$eval('#strip img', (all) => all.map((one) => one.getAttribute('alt'))), names)
  await page.click('#strip li:nth-child(2) button')
  await untilStatus(page, /^two\.jpg/)
  await page.click('[aria-label="Remove two.jpg"]')
  await untilStatus(page, /^one\.jpg/)
  t.is(new URL(page.url()).hash, '')
  await page.evaluate(`[...document.querySelectorAll('#samples button')][0].click()`)
  await untilStatus(page, /^cat_dog\.png/)
  await page.click('[data-class="1"]')
  await untilStatus(page, /: dog,/)
  await page.click('#method-list [data-method="layercam"] .method')
  await untilStatus(page, /1 of 1 maps/)
  await page.waitForSelector('figure[data-method="layercam"]:not(.pending)')
  const value = (await hover(page, 'layercam'))[0]
  isNear(t, value, valueAt(await ask(t, { method: 'layercam', target: 1 })))
  const other = await openExplorer(browser, t, address, { at: `/${new URL(page.url()).hash}` })
  await untilStatus(other, /: dog,/)
  isNear(t, (await hover(other, 'layercam'))[0], value)
})

inBrowser('an image that the browser cannot show is drawn as the server decodes it', async (t) => {
  const page = await openExplorer(browser, t, address)
  await page.waitForSelector('body.ready')
  await drop(page, [{ name: 'cat_dog.tiff', bytes: await sharp(catDog).tiff({ compression: 'lzw' }).toBuffer() }])
  await untilStatus(page, /^cat_dog\.tiff: cat,/)
  isNear(t, (await hover(page, 'gradcam'))[0], valueAt(await ask(t, {})))
  await page.mouse.move(0, 0)
  const other = await openExplorer(browser, t, address, { at: '/#sample=cat_dog.png' })
  await untilStatus(other, /: cat,/)
  await readout(other, 'gradcam')
  t.is(await drawn(page), await drawn(other))
  t.true(await page.$eval('#strip img', (one) => (one as unknown as { naturalWidth: number }).naturalWidth === 448))
})

inBrowser('the page is small, asks its own server alone, and runs nothing that came into it', async (t) => {
  const page = await openExplorer(browser, t, 'about:blank', { at: '' })
  const files = new Map<string, number>()
  page.removeAllListeners('request')
  page.removeAllListeners('console')
  page.on('response', (reply) => {
    const { pathname } = new URL(reply.url())
    if (/^\/(?:$|explorer|report)/.test(pathname))
      void reply.buffer().then(
        (bytes) => files.set(pathname, bytes.length),
        () => {},
      )
  })
  await page.goto(address)
  await page.waitForSelector('body.ready')
  await page.waitForNetworkIdle()
  const bytes = [...files.values()].reduce((sum, size) => sum + size, 0)
  t.log(`${files.size} files, ${bytes} bytes`)
  t.true(files.size > 15 && bytes < 200_000, `${bytes} bytes`)
  for (const path of files.keys()) t.is((await fetch(address + path)).status, 200, path)
  const ran = await page.evaluate(`(async () => {
    const refused = []
    document.addEventListener('securitypolicyviolation', (event) => refused.push(event.effectiveDirective))
    try { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.ran = 1">') } catch { refused.push('html') }
    const image = new Image()
    image.src = 'http://127.0.0.1:1/pixel.png'
    await fetch('http://127.0.0.1:1/').catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 200))
    return [window.ran ?? null, [...new Set(refused)].sort()]
  })()`)
  t.deepEqual(ran, [null, ['connect-src', 'html', 'img-src', 'require-trusted-types-for']])
  t.false(readFileSync(join(packageRoot, 'assets', 'explorer', 'page.html'), 'utf8').includes('style='))
})
