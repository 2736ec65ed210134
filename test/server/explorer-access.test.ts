import test from 'ava'
import type { Page } from 'puppeteer-core'
import { createServer } from '../../lib/index.js'
import { jpegOf } from '../support/batch.js'
import { launchBrowser } from '../support/browser.js'
import { drop, openExplorer, readout, untilStatus, violations } from '../support/explorer.js'
import { needing } from '../support/needs.js'
import { explained, listening, post, sampleServed } from '../support/server.js'

const browser = await launchBrowser()
const served = await sampleServed()
const token = 'a-token-of-sixteen-letters'
const server = await createServer({ models: { animals: served, again: { ...served, layer: 'features.denseblock2' } } })
const address = await server.listen({ port: 0 })
test.after.always(async () => {
  await browser?.close()
  await server.close()
  served.model.dispose()
})
const inBrowser = needing('browser', browser, test.serial)

const sample = '/#sample=cat_dog.png'
const text = (page: Page, selector: string) => page.$eval(selector, (one) => one.textContent ?? '')
const width = (page: Page) => page.evaluate('document.documentElement.scrollWidth')
/** What has the focus: its id, or what it is called. */
const focused = (page: Page) =>
  page.evaluate(`(() => {
    const { id, dataset, textContent } = document.activeElement
    return id || Object.values(dataset)[0] || textContent
  })()`)

inBrowser(
  'axe-core finds nothing: without an image, with maps, curves and an error; light and dark, wide and narrow',
  async (t) => {
    for (const [wide, dark] of [
      [1280, false],
      [360, true],
    ] as const) {
      const what = `${wide} ${dark ? 'dark' : 'light'}`
      const page = await openExplorer(browser, t, address, { width: wide, height: 800, dark })
      await page.waitForSelector('body.ready')
      t.deepEqual(await violations(page), [], `${what}: without an image`)
      t.is(await width(page), wide, `${what}: nothing is cut off`)
      await page.goto(`${address}/#sample=cat_dog.png&method=gradcam&method=guided-backprop&class=1&minus=0`)
      await page.reload()
      await untilStatus(page, /2 of 2 maps/)
      await page.waitForSelector('#layer-tree [aria-selected="true"]')
      if (dark) {
        await page.$eval('#evaluate', (one) => (one as unknown as { click: () => void }).click())
        await page.waitForSelector('#evaluation-result table', { timeout: 120_000 })
      }
      await drop(page, [{ name: 'torn.png', bytes: Buffer.from('torn') }])
      await page.waitForSelector('#error:not([hidden])')
      t.regex(await text(page, '#error-text'), /not an image of a supported format/)
      t.deepEqual(await violations(page), [], `${what}: with an error`)
      await page.click('#strip li:first-child button')
      await untilStatus(page, /^cat_dog.png.*2 of 2 maps/)
      t.deepEqual(await violations(page), [], `${what}: with maps`)
      t.is(await width(page), wide, `${what}: nothing is cut off`)
      const [back = 0] = ((await page.evaluate('getComputedStyle(document.body).backgroundColor')) as string)
        .match(/\d+/g)!
        .map(Number)
      t.is(back < 60, dark, `${what}: ${back}`)
    }
  },
)

inBrowser('by the keyboard alone: an image, a class, a difference, a cell, a layer, a method', async (t) => {
  const page = await openExplorer(browser, t, address)
  await page.waitForSelector('body.ready')
  const tabTo = async (requested: RegExp): Promise<void> => {
    for (let presses = 0; presses < 60; presses++) {
      await page.keyboard.press('Tab')
      if (requested.test(String(await focused(page)))) return
    }
    t.fail(`Tab does not reach ${requested}`)
  }
  await tabTo(/^Cat and dog$/)
  await page.keyboard.press('Enter')
  await untilStatus(page, /: cat,/)
  await page.waitForSelector('#layer-tree [aria-selected="true"]')
  await tabTo(/^class-search$/)
  await tabTo(/^0$/)
  await page.keyboard.press('ArrowDown')
  t.is(await focused(page), '1')
  await page.keyboard.press('Enter')
  await untilStatus(page, /: dog,/)
  t.is(await focused(page), '1', 'the focus stays where it was')
  await page.keyboard.press('Home')
  await page.keyboard.press('Tab')
  await page.keyboard.press(' ')
  await untilStatus(page, /: dog minus cat,/)
  // The map: arrow keys read cells, aloud.
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press('Tab')
    if (await page.evaluate(`document.activeElement.classList.contains('pad')`)) break
  }
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowDown')
  const form = new FormData()
  form.set('options', JSON.stringify({ target: { kind: 'difference', class: 1, minus: 0 } }))
  form.set('image', new Blob([new Uint8Array(await (await fetch(`${address}/explorer/cat_dog.png`)).arrayBuffer())]))
  const answer = await explained(t, fetch(`${address}/v1/explain`, { method: 'POST', body: form }))
  const expected = answer.maps[0]?.values?.[8 * 14 + 8] ?? NaN
  const [value, cell] = await readout(page, 'gradcam')
  t.true(Math.abs(value - expected) <= 1e-6, `${value} is not ${expected}`)
  t.is(cell, 'row 9 of 14, column 9 of 14')
  t.is(await text(page, '#readout'), `${cell}: ${Number(value.toPrecision(6))}`)
  await page.keyboard.press('+')
  t.is(await text(page, '#zoom-shown'), '150 %')
  await page.keyboard.press('0')
  t.is(await text(page, '#zoom-shown'), '100 %')
  await tabTo(/^features$/)
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('End')
  const last = String(await focused(page))
  await page.keyboard.press('ArrowUp')
  t.not(await focused(page), last)
  await page.keyboard.press('Home')
  await page.keyboard.press('ArrowLeft')
  t.is(await page.$eval('[data-path="features"]', (one) => one.getAttribute('aria-expanded')), 'false')
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  t.is(await focused(page), 'features.conv0')
  await page.keyboard.press('Enter')
  await page.waitForFunction(`document.querySelector('.readout .cell')?.textContent.includes('112')`)
  t.is(await focused(page), 'features.conv0')
})

inBrowser('on a phone the map is below the image, and everything fits', async (t) => {
  const page = await openExplorer(browser, t, address, { width: 360, height: 740, at: sample })
  await untilStatus(page, /score/)
  await page.waitForSelector('#layer-tree [aria-selected="true"]')
  const tops = (await page.evaluate(
    `['images', 'maps', 'classes', 'methods', 'layers', 'evaluation'].map((id) => document.getElementById(id).getBoundingClientRect().top)`,
  )) as number[]
  t.deepEqual(
    tops,
    [...tops].sort((a, b) => a - b),
  )
  t.is(await width(page), 360)
  const wide = (await page.evaluate(
    `[...document.querySelectorAll('main section, figure, .tools > *')].filter((one) => one.getBoundingClientRect().right > 361).map((one) => one.id || one.textContent)`,
  )) as string[]
  t.deepEqual(wide, [])
  const small = (await page.evaluate(
    `[...document.querySelectorAll('button')].filter((one) => one.checkVisibility() && Math.min(one.offsetWidth, one.offsetHeight) < 24).map((one) => one.textContent)`,
  )) as string[]
  t.deepEqual(small, [], 'WCAG 2.5.8: targets of at least 24 pixels')
})

inBrowser('a token is asked for, refused, and kept in the tab', async (t) => {
  const guarded = await listening(t, { models: { animals: served }, token })
  const page = await openExplorer(browser, t, guarded.address)
  await page.waitForSelector('#token-dialog[open]')
  t.deepEqual(await violations(page), [])
  await page.keyboard.type('not-the-right-token')
  await page.keyboard.press('Enter')
  await page.waitForSelector('#token-refused:not([hidden])')
  await page.keyboard.type(token)
  await page.keyboard.press('Enter')
  await page.waitForSelector('body.ready')
  await drop(page, [{ name: 'a.jpg', bytes: await jpegOf(1) }])
  await untilStatus(page, /^a\.jpg.*1 of 1 maps/)
  await page.reload()
  await page.waitForSelector('body.ready')
  t.is(await page.$('#token-dialog[open]'), null)
  t.false(page.url().includes(token))
  t.deepEqual(await page.evaluate('[Object.keys(localStorage), document.cookie]'), [[], ''])
  // Another tab does not have it; where nothing is given, the page says what it requires.
  const other = await openExplorer(browser, t, guarded.address)
  await other.waitForSelector('#token-dialog[open]')
  await other.click('#token-dialog [value="cancel"]')
  await other.waitForSelector('#error:not([hidden])')
  t.regex(await text(other, '#error-text'), /requires a token/)
})

inBrowser('another model is chosen; what a server does not have is left out of a link', async (t) => {
  const page = await openExplorer(browser, t, address, {
    at: '/#sample=cat_dog.png&model=nothing&method=nothing&opacity=500&colours=none&class=x',
  })
  await untilStatus(page, /: cat, score 6\.83; 1 of 1 maps/)
  await page.select('#model', 'again')
  await page.waitForFunction(`document.querySelector('.readout .cell')?.textContent.includes('28 × 28')`)
  await page.waitForFunction(`document.getElementById('layer-shown').textContent === 'Shown: features.denseblock2'`)
  t.is(new URL(page.url()).hash, '#model=again&sample=cat_dog.png')
  const answer = await explained(t, post(address, '?model=again'))
  t.is(answer.maps[0]?.layer, 'features.denseblock2')
})

inBrowser('what the server cannot do is said, and the rest is shown', async (t) => {
  const page = await openExplorer(browser, t, address, { at: `${sample}&layer=no.such.layer` })
  await page.waitForSelector('#error:not([hidden])')
  t.regex(await text(page, '#error-text'), /no\.such\.layer/)
  await page.goto(`${address}/${sample.slice(1)}&layer=classifier&method=gradcam&method=saliency`)
  await page.reload()
  await untilStatus(page, /1 of 2 maps/)
  t.regex(await text(page, 'figure[data-method="gradcam"] .message'), /classifier/)
  t.is(await text(page, 'figure[data-method="saliency"] .message'), '')
})
