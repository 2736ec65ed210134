import test from 'ava'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { explainAll, loadImage, ScriptModule } from '../../lib/index.js'
import { isSvg } from '../../lib/images/svg.js'
import { sampleModel } from '../support/batch.js'
import { gradcam } from '../support/package-copy.js'

const folder = mkdtempSync(join(tmpdir(), 'svg-'))
test.after.always(() => rmSync(folder, { recursive: true }))

const document = (content: string, attributes = 'width="40" height="20"'): Buffer =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ${attributes}>${content}</svg>`,
  )
const plain = document('<rect width="20" height="20" fill="#ff0000"/><circle cx="30" cy="10" r="5" fill="#0000ff"/>')
/** 238 bytes that take minutes. */
const slow = document(
  '<filter id="f"><feGaussianBlur stdDeviation="500"/><feTurbulence baseFrequency="0.01" numOctaves="1000"/></filter>' +
    '<rect width="4000" height="4000" filter="url(#f)"/>',
  'width="4000" height="4000"',
)
const pngOf = (color: string): Promise<Buffer> =>
  sharp({ create: { width: 4, height: 4, channels: 3, background: color } })
    .png()
    .toBuffer()

test('an SVG is refused unless it is asked for', async (t) => {
  const file = join(folder, 'plain.svg')
  writeFileSync(file, plain)
  for (const source of [
    plain,
    file,
    Buffer.concat([Buffer.from('\ufeff<?xml version="1.0"?>\n<!-- one -->\n'), plain]),
  ])
    await t.throwsAsync(loadImage(source), { code: 'ERR_IMAGE_SVG', message: /is refused unless it is asked for/ })
  await t.throwsAsync(loadImage(gzipSync(plain)), { code: 'ERR_IMAGE_SVG' })
  await t.throwsAsync(loadImage(gzipSync(plain), { svg: true }), { code: 'ERR_IMAGE_SVG', message: /compressed/ })
})

test('on request it has the pixels that it describes', async (t) => {
  using image = await loadImage(plain, { svg: true })
  t.deepEqual(image.shape, [1, 3, 20, 40])
  const values = image.toTypedArray() as Float32Array
  const pixel = (x: number, y: number): number[] => [0, 1, 2].map((channel) => values[channel * 800 + y * 40 + x]!)
  t.deepEqual(pixel(5, 10), [1, 0, 0])
  t.deepEqual(pixel(30, 10), [0, 0, 1])
  using onGrey = await loadImage(plain, { svg: true, background: 1 })
  t.is((onGrey.toTypedArray() as Float32Array)[39], 1) // where nothing is drawn
})

test('one that refers to something outside itself is refused', async (t) => {
  const other = join(folder, 'other.png')
  writeFileSync(other, await pngOf('#00ff00'))
  const embedded = `data:image/png;base64,${(await pngOf('#00ff00')).toString('base64')}`
  const outside = [
    `<image href="${other}" width="40" height="20"/>`,
    `<image xlink:href="file://${other}" width="40" height="20"/>`,
    `<image href = 'other.png' width="40" height="20"/>`,
    `<image href="https://example.org/a.png" width="40" height="20"/>`,
    `<use href="other.svg#a"/>`,
    `<style>@import url(https://example.org/a.css);</style>`,
    `<style>rect { fill: url("https://example.org/a.svg#b") }</style>`,
    `<rect width="9" height="9" style="fill: url( https://example.org/a.svg#b )"/>`,
    `<filter id="f"><feImage href="/etc/passwd"/></filter>`,
    `<image href="data:text/xml;base64,AAAA"/>`,
  ]
  for (const content of outside)
    await t.throwsAsync(loadImage(document(content), { svg: true }), {
      code: 'ERR_IMAGE_SVG',
      message: /refers to something outside itself/,
    })
  const entity = Buffer.from(`<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>${plain.toString()}`)
  await t.throwsAsync(loadImage(entity, { svg: true }), { code: 'ERR_IMAGE_SVG' })
  const inside = [
    `<image href="${embedded}" width="40" height="20"/>`,
    `<image xlink:href='${embedded}' width="40" height="20"/>`,
    `<rect id="a" width="40" height="20" fill="#0f0"/><use href="#a"/>`,
    `<linearGradient id="g"><stop stop-color="#0f0"/></linearGradient><rect width="40" height="20" fill="url(#g)"/>`,
    `<linearGradient id="g"><stop stop-color="#0f0"/></linearGradient><rect width="40" height="20" style="fill: url( '#g' )"/>`,
  ]
  for (const content of inside) {
    using image = await loadImage(document(content), { svg: true })
    const values = image.toTypedArray() as Float32Array
    t.deepEqual([values[410], values[1210], values[2010]], [0, 1, 0], content.slice(0, 60))
  }
})

test('its bytes and pixels are bounded', async (t) => {
  const large = document(' '.repeat(4 * 2 ** 20))
  await t.throwsAsync(loadImage(large, { svg: true }), {
    code: 'ERR_IMAGE_SVG',
    message: /more than 4194304 are refused/,
  })
  const wide = document('', 'width="100000" height="100000"')
  await t.throwsAsync(loadImage(wide, { svg: true }), { code: 'ERR_IMAGE_TOO_LARGE', message: /more than 25000000/ })
  await t.throwsAsync(loadImage(plain, { svg: true, maxPixels: 799 }), { code: 'ERR_IMAGE_TOO_LARGE' })
})

test('a damaged one is refused as damaged', async (t) => {
  const error = await t.throwsAsync(loadImage(plain.subarray(0, 150), { svg: true }), { code: 'ERR_IMAGE_CORRUPT' })
  t.regex(error?.message, /^The image \(150 bytes\) is (a damaged|not an image)/)
})

test('one that takes minutes is ended by its time limit, and by a signal', async (t) => {
  const began = performance.now()
  await t.throwsAsync(loadImage(slow, { svg: true, decodeSeconds: 2 }), {
    code: 'ERR_IMAGE_TIMEOUT',
    message: /took longer than 2 s to decode/,
  })
  const reason: unknown = await loadImage(slow, { svg: true, signal: AbortSignal.timeout(500) }).catch(
    (e: unknown) => e,
  )
  t.is((reason as Error).name, 'TimeoutError')
  t.true(performance.now() - began < 20_000)
  // No thread is left with it.
  const before = process.cpuUsage()
  await new Promise((resolve) => {
    setTimeout(resolve, 300)
  })
  const { user, system } = process.cpuUsage(before)
  t.true(user + system < 200_000, `${user + system} us of processor time in 300 ms`)
})

test('images of other formats are not taken for SVG, whatever their metadata says', async (t) => {
  const note = { IFD0: { ImageDescription: '<svg width="1" height="1">' } }
  for (const format of ['jpeg', 'png', 'webp', 'tiff', 'gif'] as const) {
    const file = await sharp({ create: { width: 6, height: 5, channels: 3, background: '#123456' } })
      .withExif(note)
      .toFormat(format)
      .toBuffer()
    t.false(isSvg(file), format)
    using image = await loadImage(file)
    t.deepEqual(image.shape, [1, 3, 5, 6])
  }
  t.false(isSvg(Buffer.from('not an image')))
  t.true(isSvg(Buffer.from('   <SVG>')))
})

test('explainAll and the command line accept it on request', async (t) => {
  const file = join(folder, 'drawn.svg')
  writeFileSync(file, plain)
  using model = await ScriptModule.load(sampleModel)
  for (const svg of [false, true])
    for await (const result of explainAll([file], { model, layer: 'features', svg })) {
      t.is(result.ok, svg)
      if (!result.ok) t.is((result.error as { code?: string }).code, 'ERR_IMAGE_SVG')
      else result.dispose()
    }
  const explain = (...more: string[]) =>
    gradcam(['explain', file, '--model', sampleModel, '--layer', 'features', '--out', join(folder, 'out'), ...more])
  const refused = explain()
  t.is(refused.code, 1)
  t.regex(refused.stderr + refused.stdout, /is an SVG.*is refused unless it is asked for/)
  t.is(explain('--svg').code, 0)
  t.true(readFileSync(join(folder, 'out', 'drawn-overlay.png')).length > 100)
})
