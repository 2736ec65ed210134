// What a result holds is freed when it is disposed, and not when the collector runs.
import test from 'ava'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  explainAll,
  GradCam,
  loadImage,
  ScriptModule,
  Tensor,
  type BatchExplanation,
  type BatchFile,
  type ImageSource,
  type RemoteImage,
} from '../../lib/index.js'
import { loadSharp } from '../../lib/images/sharp.js'
import { jpegOf, sampleModel } from '../support/batch.js'
import { temporaryFolder } from '../support/package-copy.js'

const model = await ScriptModule.load(sampleModel)
test.after(() => model.dispose())
const preprocess = { resize: [64, 64], mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const
const options = { model, layer: 'features', preprocess, batchSize: 4 } as const
const files: readonly BatchFile[] = ['overlay', 'overlay-png', 'overlay-webp', 'grey', 'png16', 'npy']
async function each(
  sources: readonly (ImageSource | RemoteImage)[],
  use: (result: BatchExplanation) => Promise<void> | void,
): Promise<void> {
  for await (const result of explainAll(
    sources.map((source) => ({ source })),
    options,
  )) {
    if (!result.ok) throw result.error
    await use(result)
  }
}

test.serial('files that are being encoded when their result is disposed are whole', async (t) => {
  const bytes = await jpegOf(1, [320, 240])
  const sources = Array.from({ length: 2 }, () => bytes)
  const before = Buffer.from(bytes)
  await each(sources, async (result) => {
    const expected = await Promise.all(files.map((file) => result.encode(file)))
    const begun = files.map((file) => result.encode(file))
    result.dispose()
    // Others take the memory where the image was.
    const noise = Array.from({ length: 8 }, () => Buffer.alloc(320 * 240 * 3, 255))
    const found = await Promise.all(begun)
    t.is(noise.length, 8)
    for (const [i, file] of files.entries()) t.deepEqual(found[i], expected[i], file)
    await t.throwsAsync(result.encode('grey'), { code: 'ERR_DISPOSED' })
    result.dispose()
  })
  t.deepEqual(bytes, before, "the caller's bytes stay")
})

test.serial('the collector does not run for images whose results are disposed', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'image.jpg')
  writeFileSync(file, await jpegOf(2, [1024, 768]))
  const sources = Array.from({ length: 60 }, () => file)
  let collections = 0
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & { detail?: { kind?: number } })[])
      if (entry.detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR) collections++
  })
  await each(sources.slice(0, 8), (result) => result.dispose())
  observer.observe({ entryTypes: ['gc'] })
  await each(sources, async (result) => {
    await result.encode('overlay')
    result.dispose()
  })
  await sleep(20)
  observer.disconnect()
  t.log(`${collections} major collections for ${sources.length} images`)
  // An image and its overlay are 5 MB: freed by the collector they are worth one for every five images.
  t.true(collections <= sources.length / 12, `${collections}`)
})

test.serial('what a source gives may be given again', async (t) => {
  const bytes = await jpegOf(1, [640, 480])
  const remote = { name: 'remote', read: () => Promise.resolve(bytes) }
  const found: Buffer[] = []
  await each([remote, remote, bytes, remote], async (result) => {
    found.push(await result.encode('overlay'))
    result.dispose()
  })
  for (const one of found) t.deepEqual(one, found[0] as Buffer)
  t.is(found.length, 4)
})

test.serial('files of one length, which may be read to one address, are told apart', async (t) => {
  const folder = temporaryFolder(t)
  for (const format of ['png', 'tiff', 'webp'] as const) {
    const sources: string[] = []
    const expected: Buffer[] = []
    for (let seed = 0; seed < 24; seed++) {
      const image = (await loadSharp())(await jpegOf(seed, [160, 120]))
      const raw = await image.raw().toBuffer()
      const plain = (await loadSharp())(raw, { raw: { width: 160, height: 120, channels: 3 } })
      const made =
        format === 'png'
          ? plain.png({ compressionLevel: 0 })
          : format === 'tiff'
            ? plain.tiff({ compression: 'none' })
            : plain.webp()
      const bytes = await made.toBuffer()
      const file = join(folder, `${seed}.${format}`)
      // What comes after the end of a WebP is not read.
      writeFileSync(file, format === 'webp' ? Buffer.concat([bytes, Buffer.alloc(60_000 - bytes.length)]) : bytes)
      sources.push(file)
      using lossless = Tensor.from(
        Float32Array.from(format === 'webp' ? await (await loadSharp())(bytes).raw().toBuffer() : raw),
        [1, 120, 160, 3],
      )
      using planar = lossless.permute([0, 3, 1, 2])
      using loaded = await loadImage(file)
      using difference = loaded.mul(255).sub(planar).abs()
      using most = difference.amax()
      t.true(most.item() < 1e-3, `${format} ${seed}`)
      using gradCam = new GradCam(model, ['features'])
      using input = await loadImage(file, { size: [64, 64], normalize: preprocess })
      using found = await gradCam.explain(input)
      expected.push(Buffer.from((found.cam.toTypedArray() as Float32Array).slice().buffer))
    }
    t.is(new Set(sources.map((file) => statSync(file).size)).size, 1, format)
    const maps: Buffer[] = []
    await each(sources, (result) => {
      maps.push(Buffer.from((result.map.toTypedArray() as Float32Array).slice().buffer))
      result.dispose()
    })
    for (const [i, map] of maps.entries()) {
      const [got, own] = [map, expected[i] as Buffer].map(
        (one) => new Float32Array(one.buffer, one.byteOffset, one.length / 4),
      ) as [Float32Array, Float32Array]
      const scale = Math.max(...own)
      t.true(
        got.every((value, k) => Math.abs(value - (own[k] as number)) < 1e-4 * scale),
        `${format} ${i}`,
      )
    }
  }
})
