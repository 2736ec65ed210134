// Measures the page of `gradcam serve` on the sample model: how long after the first drop in a fresh browser the first map is
// drawn, and of that how long the server took, and the same for a second image.
//
//   node scripts/bench/first-drop.mjs [--times 5] [--profile FILE]
//
// With --profile the first browser writes what its page did as a profile that the DevTools of Chromium open.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { formatTable, packageRoot } from '#internal'
import { openChromium } from '#test-support/chromium.js'
import { percentile } from './statistics.mjs'

const { values } = parseArgs({ options: { times: { type: 'string', default: '5' }, profile: { type: 'string' } } })

const png = readFileSync(join(packageRoot, 'samples', 'cat_dog.png'))
// As a camera makes them, smaller.
const jpeg = await sharp(png).resize(1600, 1200, { fit: 'cover' }).jpeg().toBuffer()
const files = [
  { name: 'first.jpeg', bytes: jpeg },
  { name: 'second.png', bytes: png },
]

/** @param {import('puppeteer-core').Page} page @param {{ name: string, bytes: Buffer }} file */
async function drop(page, { name, bytes }) {
  const text = bytes.toString('base64')
  await page.evaluate(`(() => {
    performance.clearMarks()
    performance.clearResourceTimings()
    const bytes = Uint8Array.from(atob('${text}'), (one) => one.charCodeAt(0))
    const transfer = new DataTransfer()
    transfer.items.add(new File([bytes], '${name}', { type: 'image/' + '${name}'.split('.')[1] }))
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }))
  })()`)
  await page.waitForFunction(`document.getElementById('status').textContent.startsWith('${name}')`)
  await page.waitForFunction("performance.getEntriesByName('maps-drawn').length > 0")
  /** @type {{ drawn: number, answered: number }} */
  const found = JSON.parse(
    String(
      await page.evaluate(`(() => {
        const at = (name) => performance.getEntriesByName(name)[0].startTime
        const [request] = performance.getEntriesByType('resource').filter(({ name }) => name.includes('/v1/explain'))
        return JSON.stringify({ drawn: at('maps-drawn') - at('image-received'), answered: request.responseEnd - request.startTime })
      })()`),
    ),
  )
  return found
}

/** @type {{ drawn: number, answered: number }[][]} */
const found = []
for (let time = 0; time < Number(values.times); time++) {
  const main = join(packageRoot, 'dist', 'lib', 'cli', 'main.js')
  const server = spawn(process.execPath, [main, 'serve', '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(server.stdout.setEncoding('utf8'), 'data')
  const browser = await openChromium()
  try {
    const page = await browser.newPage()
    await page.setViewport({ width: 1280, height: 900 })
    await page.goto(String(line).trim().split(' ').at(-1) ?? '')
    await page.waitForSelector('body.ready')
    // As long as a person takes to fetch a file.
    await sleep(1000)
    const client = values.profile && time === 0 ? await page.createCDPSession() : null
    await client?.send('Profiler.enable')
    await client?.send('Profiler.start')
    const drops = [await drop(page, /** @type {typeof files[0]} */ (files[0]))]
    if (client && values.profile)
      writeFileSync(values.profile, JSON.stringify((await client.send('Profiler.stop')).profile))
    await sleep(3000) // the thumbnails
    drops.push(await drop(page, /** @type {typeof files[0]} */ (files[1])))
    found.push(drops)
  } finally {
    await browser.close()
    server.kill('SIGKILL')
  }
}

console.log(`${availableParallelism()} x ${cpus()[0]?.model}, load ${loadavg()[0]?.toFixed(1)}, ${found.length} times`)
const right = (/** @type {number} */ value) => ({ text: value.toFixed(0), alignRight: true })
const rows = files.flatMap(({ name }, which) => {
  const all = found.map((drops) => drops[which]).filter((one) => one !== undefined)
  const of = (/** @type {number[]} */ some) => [
    right(percentile(some, 0)),
    right(percentile(some, 0.5)),
    right(percentile(some, 1)),
  ]
  return [
    [{ text: `${name}: until the map is drawn` }, ...of(all.map(({ drawn }) => drawn))],
    [{ text: `${name}: the request` }, ...of(all.map(({ answered }) => answered))],
  ]
})
const head = ['ms', 'least', 'median', 'most'].map((text, i) => ({ text, alignRight: i > 0 }))
console.log(formatTable([head, ...rows]).join('\n'))
