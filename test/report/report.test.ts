import test from 'ava'
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'puppeteer-core'
import type { JobLine } from '../../lib/jobs/job-line.js'
import { sampleLabels, sampleModel, writeJpegs } from '../support/batch.js'
import { launchBrowser } from '../support/browser.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { openPage, set, text, tiles } from '../support/report-page.js'
import { lines as readLines } from '../support/workplace.js'
import { needing } from '../support/needs.js'

const browser = await launchBrowser()

const hostile = '</script><img src=x onerror="document.title=1">.jpg'
const folder = temporaryFolder(null)
await writeJpegs(join(folder, 'in'), ['a.jpg', 'sub/b.jpg', 'c.jpg', 'd.jpg', hostile])
writeFileSync(join(folder, 'in', 'torn.jpg'), '')
const out = join(folder, 'out')
const common = ['--model', sampleModel, '--layer', 'features', '--labels', sampleLabels]
gradcam(['batch', join(folder, 'in'), '--out', out, ...common])
const made = gradcam(['report', out, '--json'])
const lines = readLines(out)

const inBrowser = needing('browser', browser, test.serial)
test.after.always(() => browser?.close())

const focused = (page: Page) => page.evaluate('document.activeElement.getAttribute("title")')
/** Red, green and blue in the middle of a canvas of the dialog. */
const middle = (page: Page) =>
  page.evaluate(`(() => {
    const canvas = document.getElementById('detail-image')
    return [...canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data.slice(0, 3)]
  })()`) as Promise<number[]>

test.serial('the command says where the page is', (t) => {
  t.is(made.code, 0, made.stderr)
  t.deepEqual(JSON.parse(made.stdout), { file: join(out, 'report.html'), items: 6, withoutImage: 0, unreadable: 0 })
})

inBrowser('all results are shown, the surest first, and nothing is loaded from anywhere', async (t) => {
  const page = await openPage(browser, t, join(out, 'report.html'))
  t.is(await text(page, '#status'), '6 of 6 shown, 1 of them failed')
  t.is(await page.title(), 'gradcam report of out')
  const sure = (line: JobLine) => ('error' in line ? -1 : (line.top[0]?.probability ?? -1))
  t.deepEqual(
    await tiles(page),
    [...lines].sort((a, b) => sure(b) - sure(a)).map(({ id }) => id),
  )
  t.is(await page.$$eval('#tiles li', (all) => all[0]?.getAttribute('aria-setsize')), '6')
  await page.close()
})

inBrowser('filters and orders', async (t) => {
  const page = await openPage(browser, t, join(out, 'report.html'))
  await set(page, '#state', 'error')
  t.deepEqual(await tiles(page), ['torn.jpg'])
  await set(page, '#state', 'ok')
  await set(page, '#sort', 'name')
  t.deepEqual(await tiles(page), lines.flatMap((line) => ('error' in line ? [] : [line.id])).sort())
  const one = lines.find((line) => !('error' in line))
  if (!one || 'error' in one) throw new Error('it was not explained')
  await set(page, '#class', String(one.target))
  const same = lines.filter((line) => 'target' in line && line.target === one.target)
  t.deepEqual(await tiles(page), same.map(({ id }) => id).sort())
  await set(page, '#class', '')
  await set(page, '#search', 'SUB/')
  t.deepEqual(await tiles(page), ['sub/b.jpg'])
  await set(page, '#search', '')
  const percent = Math.round(100 * (one.top[0]?.probability ?? 0))
  await set(page, '#from', String(percent - 1))
  await set(page, '#to', String(percent + 1))
  t.true((await tiles(page)).includes(one.id))
  await set(page, '#from', String(percent + 1))
  await set(page, '#to', '100')
  t.false((await tiles(page)).includes(one.id))
  await set(page, '#from', '0')
  await set(page, '#state', '')
  const scores = lines.flatMap((line) => ('score' in line ? [line.score] : [])).sort((a, b) => a - b)
  const [low = 0, high = 0] = scores.slice(1, 3)
  await set(page, '#score-from', String(low))
  t.is((await tiles(page)).length, scores.length - 1) // without the lowest, and what failed has no score
  await set(page, '#score-to', String((low + high) / 2))
  t.deepEqual(
    await tiles(page),
    lines.flatMap((line) => ('score' in line && line.score === low ? [line.id] : [])),
  )
  await set(page, '#score-from', '')
  await set(page, '#score-to', '')
  t.is((await tiles(page)).length, lines.length)
  await page.close()
})

inBrowser('the keyboard reaches every tile, opens it, turns the map up and down, and comes back', async (t) => {
  const page = await openPage(browser, t, join(out, 'report.html'))
  await set(page, '#sort', 'name')
  await set(page, '#state', 'ok')
  const names = await tiles(page)
  await page.focus('#tiles button')
  t.is(await focused(page), names[0])
  await page.keyboard.press('ArrowRight')
  t.is(await focused(page), names[1])
  await page.keyboard.press('End')
  t.is(await focused(page), names.at(-1))
  await page.keyboard.press('Home')
  await page.keyboard.press('Enter')
  t.is(await text(page, '#detail-name'), names[0])
  const line = lines.find(({ id }) => id === names[0])
  if (!line || 'error' in line) throw new Error('it was not explained')
  t.is(await page.$$eval('#detail-top tr', (rows) => rows.length), 5)
  t.true((await text(page, '#detail-top')).startsWith(`${line.label}${line.score.toFixed(3)}`))
  t.regex(
    (await page.$eval('#detail-image', (one) => one.getAttribute('aria-label'))) ?? '',
    /highest at \d+ % from the left/,
  )

  // Where the image alone, and the map alone, are seen.
  await new Promise((resolve) => setTimeout(resolve, 300))
  await page.$eval('#detail-opacity', (one) => (one as unknown as { focus: () => void }).focus())
  await page.keyboard.press('Home')
  const bare = await page.$eval('#detail-opacity', (one) => (one as unknown as { value: string }).value)
  t.is(bare, '0')
  await page.keyboard.press('End')
  t.is(await page.$eval('#opacity', (one) => (one as unknown as { value: string }).value), '100')

  await page.focus('#next')
  await page.keyboard.press('Enter')
  t.is(await text(page, '#detail-name'), names[1])
  await page.keyboard.press('ArrowLeft')
  t.is(await text(page, '#detail-name'), names[0])
  await page.keyboard.press('Escape')
  t.is(await page.$eval('#detail', (one) => one.hasAttribute('open')), false)
  t.is(await focused(page), names[0])
  await page.close()
})

inBrowser('the map is drawn as the overlay of the job is', async (t) => {
  // Without the image beside it: a page from file:// may not read back what it drew of a file, only what is in itself.
  const copy = join(folder, 'copy')
  mkdirSync(copy)
  writeFileSync(join(copy, 'a.html'), readFileSync(join(out, 'report.html')))
  const page = await openPage(browser, t, join(copy, 'a.html'))
  await set(page, '#search', 'a.jpg')
  await page.click('#tiles button')
  await new Promise((resolve) => setTimeout(resolve, 300))
  await set(page, '#detail-opacity', '100')
  const [red = 0, green = 0, blue = 0] = await middle(page)
  const line = lines.find(({ id }) => id === 'a.jpg')
  if (!line || 'error' in line) throw new Error('it was not explained')
  // The middle of an even map lies between four cells.
  const { height, width, levels } = line.map
  const cells = Buffer.from(levels, 'base64')
  const at = (y: number, x: number): number => cells[y * width + x] as number
  const value =
    (at(height / 2 - 1, width / 2 - 1) +
      at(height / 2 - 1, width / 2) +
      at(height / 2, width / 2 - 1) +
      at(height / 2, width / 2)) /
    4 /
    255
  // jet by its defining triangles; the canvas may be off by a pixel, in which the map moves by a few hundredths.
  const jet = (v: number): number[] => [
    Math.min(Math.max((v - 0.35) / 0.31, 0), v > 0.89 ? 1 - (v - 0.89) / 0.22 : 1),
    Math.min(Math.max((v - 0.125) / 0.25, 0), v > 0.64 ? Math.max(0, 1 - (v - 0.64) / 0.27) : 1),
    v < 0.11 ? 0.5 + v / 0.22 : v > 0.34 ? Math.max(0, 1 - (v - 0.34) / 0.31) : 1,
  ]
  const near = Array.from({ length: 41 }, (_, i) => jet(Math.min(1, Math.max(0, value + (i - 20) / 200))))
  t.true(
    near.some((color) =>
      [red, green, blue].every((level, i) => Math.abs(level - 255 * Math.min(1, color[i] as number)) < 12),
    ),
    `${red}, ${green}, ${blue} for ${value}`,
  )
  await page.close()
})

inBrowser('an image that is gone is shown by its map', async (t) => {
  const gone = temporaryFolder(t)
  await writeJpegs(join(gone, 'in'), ['a.jpg', 'b.jpg'])
  gradcam(['batch', join(gone, 'in'), '--out', join(gone, 'out'), ...common])
  rmSync(join(gone, 'in', 'a.jpg'))
  const ended = gradcam(['report', join(gone, 'out')])
  t.regex(ended.stdout, /^2 items, 1 image missing: file:/)
  const page = await openPage(browser, t, join(gone, 'out', 'report.html'))
  t.is((await tiles(page)).length, 2)
  await page.close()
})

inBrowser('10,000 results open, scroll and filter quickly, with few tiles in the page', async (t) => {
  const large = temporaryFolder(t)
  await writeJpegs(join(large, 'in'), ['a.jpg'])
  gradcam(['batch', join(large, 'in'), '--out', join(large, 'out'), ...common])
  const file = join(large, 'out', 'manifest.jsonl')
  const line = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown> & { top: { probability: number }[] }
  const many = Array.from({ length: 10_000 }, (_, i) => {
    const id = `${String(i).padStart(5, '0')}.jpg`
    if (i % 100 === 7)
      return { id, input: line['input'], sha256: null, error: { code: 'ERR_IMAGE_CORRUPT', message: 'torn' } }
    return { ...line, id, target: i % 8, top: [{ class: i % 8, label: null, score: 1, probability: (i % 997) / 997 }] }
  })
  writeFileSync(file, many.map((one) => JSON.stringify(one)).join('\n'))
  const ended = gradcam(['report', join(large, 'out'), '--thumbnail', '160'])
  t.is(ended.code, 0, ended.stderr)
  t.log(`${Math.round(statSync(join(large, 'out', 'report.html')).size / 2 ** 20)} MiB`)
  const began = performance.now()
  const page = await openPage(browser, t, join(large, 'out', 'report.html'))
  t.log(`opened in ${Math.round(performance.now() - began)} ms`)
  t.is(await text(page, '#status'), '10,000 of 10,000 shown, 100 of them failed')
  t.true((await tiles(page)).length < 100)
  await set(page, '#sort', 'name')
  await page.focus('#tiles button')
  await page.keyboard.press('End')
  t.is(await focused(page), '09999.jpg')
  t.true((await tiles(page)).length < 100)
  const slowest = (await page.evaluate(`(async () => {
    const sheet = document.getElementById('sheet')
    let slowest = 0
    for (let i = 0; i < 40; i++) {
      const began = performance.now()
      sheet.scrollTop = (i * 7919) % sheet.scrollHeight
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
      slowest = Math.max(slowest, performance.now() - began)
    }
    return slowest
  })()`)) as number
  t.log(`slowest of 40 jumps: ${Math.round(slowest)} ms`)
  t.true(slowest < 2000)
  await set(page, '#state', 'error')
  t.is(await text(page, '#status'), '100 of 10,000 shown, 100 of them failed')
  await page.close()
})
