import test from 'ava'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page, SerializedAXNode } from 'puppeteer-core'
import { sampleLabels, sampleModel, writeJpegs } from '../support/batch.js'
import { launchBrowser } from '../support/browser.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { openPage, set, text } from '../support/report-page.js'
import { lines as readLines } from '../support/workplace.js'
import { needing } from '../support/needs.js'

const browser = await launchBrowser()

const folder = temporaryFolder(null)
await writeJpegs(join(folder, 'in'), ['a.jpg', 'sub/b.jpg', 'c.jpg'])
writeFileSync(join(folder, 'in', 'torn.jpg'), '')
const out = join(folder, 'out')
const layer = ['--layer', 'features', '--labels', sampleLabels]
gradcam(['batch', join(folder, 'in'), '--out', out, '--model', sampleModel, ...layer])
gradcam(['report', out])
const lines = readLines(out)

const inBrowser = needing('browser', browser, test.serial)
test.after.always(() => browser?.close())

/** By its handler, since a tile is made again when the page changes its size. */
const press = (page: Page, selector: string) =>
  page.$eval(selector, (one) => (one as unknown as { click: () => void }).click())

const visible = (page: Page, selector: string) =>
  page.$eval(selector, (one) => (one as unknown as { checkVisibility: () => boolean }).checkVisibility())

inBrowser('every control has a name, and what is read out is what is seen', async (t) => {
  const page = await openPage(browser, t, join(out, 'report.html'))
  const named = async (role: string): Promise<string[]> => {
    const names: string[] = []
    const visit = (node: SerializedAXNode | null): void => {
      if (node?.role === role) names.push(node.name ?? '')
      node?.children?.forEach(visit)
    }
    visit(await page.accessibility.snapshot())
    return names
  }
  t.deepEqual(await named('searchbox'), ['Search'])
  t.deepEqual(await named('combobox'), ['Class', 'Result', 'Sort by'])
  const ranges = ['Confidence from, in percent', 'Confidence to, in percent', 'Score from', 'Score to']
  t.deepEqual(await named('spinbutton'), ranges)
  t.deepEqual(await named('slider'), ['Map opacity, in percent'])
  const buttons = await named('button')
  t.is(buttons.length, lines.length)
  for (const line of lines) {
    const said = 'error' in line ? (line.error.code ?? '') : `${line.label}`
    t.true(
      buttons.some((button) => button.includes(line.id) && button.includes(said)),
      line.id,
    )
  }
  await set(page, '#state', 'ok')
  await press(page, '#tiles button')
  t.deepEqual(await named('button'), ['Previous', 'Next', 'Close'])
  t.regex((await named('image'))[0] ?? '', /with the map for \w+; it is highest at/)
  t.deepEqual(await named('slider'), ['Map opacity, in percent'])
  t.regex(await text(page, '#detail-facts'), /Score-?\d+\.?\d{0,6}Method/) // no more digits than a float32 has
  // What failed has neither a map nor classes.
  await page.keyboard.press('Escape')
  await set(page, '#state', 'error')
  await press(page, '#tiles button')
  t.deepEqual(await named('slider'), [])
  t.false(await visible(page, '#detail table'))
  t.regex(await text(page, '#detail-error'), /torn\.jpg' is empty/)
  await page.close()
})

inBrowser('on a phone, upright or on its side, most of the page is images, and nothing is cut off', async (t) => {
  const page = await openPage(browser, t, join(out, 'report.html'))
  for (const [width, height] of [
    [360, 740],
    [740, 360],
  ] as const) {
    await page.setViewport({ width, height, isMobile: true, hasTouch: true })
    await page.reload()
    await page.waitForSelector('#tiles button')
    const box = async (selector: string) => {
      const found = await (await page.$(selector))?.boundingBox()
      if (!found) throw new Error(`${selector} is not to be seen`)
      return found
    }
    t.true((await box('header')).height < 0.4 * height)
    t.is(await page.evaluate('document.documentElement.scrollWidth'), width)
    await press(page, 'summary')
    t.true((await box('#controls')).width <= width)
    await press(page, 'summary')
    await set(page, '#state', 'ok')
    await page.waitForSelector('#tiles button')
    await press(page, '#tiles button')
    const [dialog, image, close] = [await box('#detail'), await box('#detail-image'), await box('#close')]
    t.true(image.x > dialog.x && image.x + image.width < dialog.x + dialog.width)
    t.true(Math.abs(image.x + image.width / 2 - dialog.x - dialog.width / 2) < 10, 'in the middle')
    t.true(close.y + close.height <= dialog.y + dialog.height, 'it can be left without scrolling')
  }
  await page.setViewport({ width: 1280, height: 860 })
  t.true(await visible(page, '#controls'))
  await page.close()
})
