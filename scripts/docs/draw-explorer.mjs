// Draws docs/images/explorer.png and explorer-phone.png: the page of `gradcam serve`, in Chromium.
//
//     node scripts/docs/draw-explorer.mjs [FOLDER]
//
// With a folder, every state of the page is drawn into it instead, to be looked at.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { createServer, readLabels, ScriptModule } from 'libtorch-gradcam'
import { openChromium } from '#test-support/chromium.js'

const inRepository = (/** @type {string} */ path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const sample = 'sample=cat_dog.png'
const compared = `#${sample}&method=gradcam&method=layercam&method=guided-backprop&class=1`

/**
 * @typedef {{ name: string, width: number, height: number, dark?: boolean, full?: boolean, settings?: string,
 *   act?: (page: import('puppeteer-core').Page) => Promise<unknown> }} Shot
 */

const evaluate = async (/** @type {import('puppeteer-core').Page} */ page) => {
  await page.click('#evaluate')
  await page.waitForSelector('#evaluation-result table', { timeout: 120_000 })
}
const hover = async (/** @type {import('puppeteer-core').Page} */ page) => {
  const box = await (await page.$('.pad'))?.boundingBox()
  if (box) await page.mouse.move(box.x + 0.66 * box.width, box.y + 0.55 * box.height)
}

/** @type {Shot[]} */
const inDocs = [
  { name: 'explorer', width: 1440, height: 1010, settings: compared, act: hover },
  {
    name: 'explorer-phone',
    width: 360,
    height: 760,
    dark: true,
    settings: `#${sample}&class=0&minus=1`,
    act: (page) => page.$eval('#maps', (maps) => maps.scrollIntoView()),
  },
]

/** @type {Shot[]} */
const states = [
  ...inDocs,
  { name: 'empty', width: 1280, height: 800 },
  { name: 'empty-phone', width: 360, height: 740 },
  { name: 'wide-dark', width: 1440, height: 1010, dark: true, full: true, settings: compared, act: evaluate },
  { name: 'wide', width: 1440, height: 1010, full: true, settings: compared, act: evaluate },
  {
    name: 'tablet',
    width: 900,
    height: 1200,
    full: true,
    settings: `#${sample}&colours=viridis&threshold=30&opacity=80`,
  },
  { name: 'phone', width: 360, height: 740, full: true, settings: compared },
  { name: 'phone-dark', width: 360, height: 740, dark: true, full: true, settings: `#${sample}&class=0&minus=1` },
  {
    name: 'zoomed',
    width: 1280,
    height: 1000,
    settings: `#${sample}`,
    act: async (page) => {
      await page.focus('.pad')
      for (const key of ['ArrowRight', '+', '+', '+', 'ArrowDown']) await page.keyboard.press(/** @type {'+'} */ (key))
    },
  },
  {
    name: 'error',
    width: 1280,
    height: 900,
    settings: `#${sample}&layer=classifier&method=gradcam&method=saliency&gradients=bwr`,
  },
]

const folder = process.argv[2] ?? inRepository('docs/images')
const shots = process.argv[2] === undefined ? inDocs : states
await mkdir(folder, { recursive: true })
const model = await ScriptModule.load(inRepository('samples/animals-densenet.pt'))
const labels = await readLabels(inRepository('samples/labels.txt'))
const served = /** @type {const} */ ({ model, labels, preprocess: 'squash', file: 'animals-densenet.pt' })
const server = await createServer({ models: { sample: served } })
const address = await server.listen({ port: 0 })
const browser = await openChromium()
for (const { name, width, height, dark = false, full = false, settings = '', act } of shots) {
  const page = await browser.newPage()
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }])
  await page.setViewport({ width, height })
  await page.goto(`${address}/${settings}`)
  await page.waitForSelector('body.ready')
  if (settings !== '') await page.waitForFunction(`/maps/.test(document.getElementById('status').textContent)`)
  // The thumbnails that are seen, and the tree.
  await page.waitForNetworkIdle({ idleTime: 1500 })
  await act?.(page)
  await new Promise((resolve) => setTimeout(resolve, 300))
  const shot = await page.screenshot({ fullPage: full })
  const file = join(folder, `${name}.png`)
  await writeFile(
    file,
    await sharp(shot).png({ compressionLevel: 9, effort: 10, palette: true, colours: 160 }).toBuffer(),
  )
  console.log(file)
  await page.close()
}
await browser.close()
await server.close()
model.dispose()
