import test from 'ava'
import {
  Cam,
  Deletion,
  InputAttribution,
  InputPerturbation,
  ScriptModule,
  Tensor,
  explainAll,
  liveTensors,
  type Target,
  type TargetData,
  type Value,
} from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'
import { farthest } from '../support/arithmetic.js'
import { assertParity, assertSame } from '../support/parity.js'
import { peerReference } from '../support/peer-maps.js'
import { toTensor } from '../support/to-tensor.js'
import { needing } from '../support/needs.js'

const peer = await peerReference('peer_boxes.py', {
  models: { list_detector: { peer: true }, dict_detector: {}, tuple_detector: {} },
})
const run = needing('peers', peer, test.serial)

type Box = [number, number, number, number]
const list = 'list_detector'
const load = (name: string, kind: 'scripted' | 'traced' = 'scripted') => ScriptModule.load(peer!.file(name, kind))
const expected = (what: string) => peer!.tensor(list, 'peer', what)
const values = (tensor: Tensor) => ({ shape: [...tensor.shape], data: tensor.toTypedArray() as Float32Array })
const dict = { of: 1, parts: { labels: 'classes' } } as const
const pair = { parts: { boxes: 0, scores: 1 } } as const

/** Two boxes near detections of each image, and their labels. */
function given(): { boxes: Box[][]; labels: number[][] } {
  using boxes = toTensor(expected('boxes'))
  using labels = toTensor(expected('labels'))
  const numbers = labels.tolist() as (number | bigint)[][]
  return { boxes: boxes.tolist() as Box[][], labels: numbers.map((row) => row.map(Number)) }
}

run('a box for each image, or several: the maps and scores of pytorch-grad-cam', async (t) => {
  using model = await load(list)
  using input = toTensor(peer!.input(list))
  const { boxes, labels } = given()
  using cam = new Cam(model, {
    layers: ['features'],
    methods: ['gradcam', 'layercam'],
    compat: 'pytorch-grad-cam',
  })
  for (const [count, target] of [
    [1, { kind: 'box', box: boxes.map(([box]) => box!), label: labels.map(([label]) => label!) }],
    [2, { kind: 'box', box: boxes, label: labels }],
  ] as [number, TargetData][]) {
    using found = await cam.explain<Value>(input, { target })
    t.true(farthest(found.scores, expected(`scores ${count}`).data as Float32Array) < 1e-5)
    t.deepEqual(
      found.targets,
      labels.map(([label]) => label!),
    )
    for (const method of ['gradcam', 'layercam'] as const)
      assertParity(t, found.get(undefined, method), expected(`${method} ${count}`), `${method}, ${count} boxes`)
  }
})

run('the same of all images in one dict or tuple, scripted and traced', async (t) => {
  const { boxes, labels } = given()
  using input = toTensor(peer!.input(list))
  const box = boxes.map(([first]) => first!)
  for (const kind of ['scripted', 'traced'] as const) {
    for (const [name, options] of [
      ['dict_detector', dict],
      ['tuple_detector', pair],
    ] as const) {
      using model = await load(name, kind)
      using cam = new Cam(model, { layers: ['features'], compat: 'pytorch-grad-cam' })
      using found = await cam.explain<Value>(input, { target: { kind: 'box', box, ...options } })
      assertParity(t, found.cam, expected('gradcam 1'), `${name}, ${kind}`)
      t.deepEqual(found.targets, name === 'dict_detector' ? labels.map(([label]) => label!) : [-1, -1, -1])
    }
  }
})

run('one box serves all images, a sign turns the score, and a label chooses among detections', async (t) => {
  using model = await load('dict_detector')
  using input = toTensor(peer!.input(list))
  using first = input.narrow(0, 0, 1)
  using attribution = new InputAttribution(model, { method: 'gradient' })
  const [[box] = []] = given().boxes
  const target = { kind: 'box', box: box!, missing: 'zero', ...dict } as const
  using all = await attribution.explain<Value>(input, { target })
  using alone = await attribution.explain<Value>(first, { target })
  using part = all.attribution.narrow(0, 0, 1)
  assertSame(t, part, values(alone.attribution), 'the first image', 1e-6)
  using turned = await attribution.explain<Value>(first, { target: { ...target, sign: -1 } })
  t.is(turned.scores[0], -alone.scores[0]!)

  const output = (await model.forward(first)) as unknown as [Tensor, Record<string, Tensor>]
  const [, { boxes, classes, scores }] = output
  const detections = (boxes!.tolist() as Box[][])[0]!
  const labels = (classes!.tolist() as (number | bigint)[][])[0]!.map(Number)
  const chances = (scores!.tolist() as number[][])[0]!
  const ious = detections.map((other) => overlap(box!, other))
  const seen = new Set(labels)
  t.true(seen.size > 1, 'the labels differ')
  for (const label of seen) {
    const best = ious.reduce((top, iou, i) => (labels[i] === label && (top < 0 || iou > ious[top]!) ? i : top), -1)
    using found = await attribution.explain<Value>(first, { target: { ...target, label, iou: 0 } })
    const score = ious[best]! > 0 ? ious[best]! + chances[best]! : 0
    t.true(Math.abs(found.scores[0]! - score) < 1e-5, `label ${label}`)
  }
})

/** IoU in float64. */
function overlap(a: Box, b: Box): number {
  const length = (from: number, to: number) => Math.max(0, to - from)
  const shared = length(Math.max(a[0], b[0]), Math.min(a[2], b[2])) * length(Math.max(a[1], b[1]), Math.min(a[3], b[3]))
  const area = ([x1, y1, x2, y2]: Box) => (x2 - x1) * (y2 - y1)
  return shared / (area(a) + area(b) - shared)
}

run('methods that change copies count a detection that is gone as zero', async (t) => {
  using model = await load(list)
  using input = toTensor(peer!.input(list))
  const { boxes, labels } = given()
  const target = { kind: 'box', box: boxes.map(([box]) => box!), label: labels.map(([label]) => label!) } as const
  using cam = new Cam(model, { layers: ['features'], methods: ['ablationcam', 'scorecam'], chunkSize: 3 })
  using found = await cam.explain<Value>(input, { target })
  t.deepEqual([...found.get('features', 'ablationcam').shape], [3, 1, 16, 20])
  using occlusion = new InputPerturbation(model, { method: 'occlusion', window: [8, 10], stride: [8, 10] })
  using covered = await occlusion.explain<Value>(input, { target })
  // Each of four windows by hand: the score without it, in a batch of its own.
  using cells = covered.attribution.select(1, 0)
  for (const [row, column] of [
    [0, 0],
    [8, 10],
  ] as const) {
    using keep = Tensor.from(
      Array.from({ length: 16 }, (_, y) =>
        Array.from({ length: 20 }, (_x, x) => (y >= row && y < row + 8 && x >= column && x < column + 10 ? 0 : 1)),
      ),
    )
    using without = input.mul(keep)
    using gradient = new InputAttribution(model, { method: 'gradient' })
    using changed = await gradient.explain<Value>(without, { target: { ...target, missing: 'zero' } })
    using place = cells.select(1, row)
    using drops = place.select(1, column)
    const byHand = covered.scores.map((score, i) => score - changed.scores[i]!)
    t.true(farthest(drops.tolist() as number[], byHand) < 1e-5)
  }
  using integrated = new InputAttribution(model, { method: 'integrated-gradients', steps: 6, batchSize: 100 })
  using way = await integrated.explain<Value>(input, { target })
  using slow = new InputAttribution(model, { method: 'integrated-gradients', steps: 6, batchSize: 1 })
  using again = await slow.explain<Value>(input, { target })
  assertSame(t, way.attribution, values(again.attribution), 'batch size', 1e-5)
})

run('metrics score changed copies by boxes, each image its own in any company', async (t) => {
  using model = await load(list)
  using input = toTensor(peer!.input(list))
  const { boxes, labels } = given()
  using cam = new Cam(model, { layers: ['features'] })
  using maps = (await cam.explain<Value>(input, { target: { kind: 'box', box: boxes } })).cam.clone()
  using together = new Deletion(model, { steps: 4 })
  const box = boxes.map(([first]) => first!)
  await together.add(input, maps, { targets: { kind: 'box', box, label: labels.map(([label]) => label!) } })
  using alone = new Deletion(model, { steps: 4, batchSize: 1 })
  for (let i = 0; i < 3; i++) {
    using image = input.narrow(0, i, 1)
    using map = maps.narrow(0, i, 1)
    await alone.add(image, map, { targets: { kind: 'box', box: box[i]! } })
  }
  const [one, other] = [together.result().perImage, alone.result().perImage]
  t.true(farthest(one, other) < 1e-5, `${one.join()} ${other.join()}`)
  t.true(new Set(one).size === 3)
  await t.throwsAsync(alone.add(input, maps, { targets: { kind: 'box', box: [90, 90, 99, 99] } }), {
    code: 'ERR_TARGET',
  })
})

run('what matches nothing, or is not a box, is a typed error and leaves nothing behind', async (t) => {
  using model = await load(list)
  using input = toTensor(peer!.input(list))
  using plain = await load('tuple_detector')
  using cam = new Cam(model, { layers: ['features'] })
  using other = new Cam(plain, { layers: ['features'] })
  const [[box] = []] = given().boxes
  const far = [100, 100, 110, 110]
  const bad: [unknown, RegExp, string?][] = [
    [{ box: far }, /image 0 overlaps the box \[100, 100, 110, 110\] by an IoU above 0\.5: the best has 0\./],
    [{ box, label: 77 }, /label 77 in image 0 .* no detection has that label/],
    [{ box, iou: 0.999 }, /IoU above 0\.999/],
    [{ box: [box, box] }, /of 2 images were given for a batch of 3/, 'ERR_TARGET_COUNT'],
    [{ box, label: [1, 2] }, /of 2 images were given for a batch of 3/, 'ERR_TARGET_COUNT'],
    [{ box, of: 'nowhere' }, /no part 'nowhere'/],
    [{ box, parts: { boxes: 'rectangles' } }, /no part 'rectangles'/],
    [{}, /`box` must be \[x1, y1, x2, y2\]/],
    [{ box: [1, 2, 3] }, /`box` must be/],
    [{ box: [[box], [box, box]] }, /`box` must be/],
    [{ box: [5, 5, 1, 9] }, /x1 < x2/],
    [{ box, label: 'dog' }, /`label` must be an integer/],
    [{ box, label: [[1, 2]] }, /2 labels for 1 boxes/],
    [{ box, iou: 1 }, /`iou` must be a number/],
    [{ box, missing: 'ignore' }, /`missing` must be/],
    [{ box, class: 1 }, /no option 'class'/],
  ]
  const before = await heldTensors()
  for (const [options, message, code = 'ERR_TARGET'] of bad) {
    const target = { kind: 'box', ...(options as object) } as Target<Value>
    await t.throwsAsync(cam.explain<Value>(input, { target }), { code, message }, String(message))
  }
  const wrong = { kind: 'box', box: box!, label: 1, parts: { boxes: 0, scores: 1 } } as const
  await t.throwsAsync(other.explain<Value>(input, { target: wrong }), {
    code: 'ERR_TARGET',
    message: /no part 'labels'/,
  })
  const swapped = { kind: 'box', box: box!, parts: { boxes: 1, scores: 0 } } as const
  await t.throwsAsync(other.explain<Value>(input, { target: swapped }), {
    code: 'ERR_TARGET',
    message: /needs boxes \[K, 4\]/,
  })
  const target = { kind: 'box', box: box! } as const
  await t.throwsAsync(cam.explain<Value>(input, { target, augment: true }), { code: 'ERR_INVALID_ARGUMENT' })
  t.is(liveTensors(), before)
})

run('a job carries boxes, each input its own, and batches them', async (t) => {
  using model = await load(list)
  using input = toTensor(peer!.input(list))
  const { boxes, labels } = given()
  using cam = new Cam(model, { layers: ['features'] })
  const box = boxes.map(([first]) => first!)
  using together = await cam.explain<Value>(input, {
    target: { kind: 'box', box, label: labels.map(([label]) => label!) },
  })
  const entries = box.map((one, i) => ({
    id: `image ${i}`,
    tensor: input.select(0, i),
    target: { kind: 'box', box: one, label: labels[i]![0]! } as const,
  }))
  const missing = { id: 'far', tensor: input.select(0, 0), target: { kind: 'box', box: [90, 90, 99, 99] } as const }
  const results = explainAll([...entries, missing], { model, layer: 'features', batchSize: 3 })
  let i = 0
  for await (const result of results) {
    if (i < 3) {
      if (!result.ok) throw result.error
      using map = together.cam.narrow(0, i, 1)
      using found = Tensor.from(result.map.toTypedArray() as Float32Array, map.shape)
      assertSame(t, found, values(map), result.id, 1e-5)
      t.is(result.target, labels[i]![0]!)
      t.true(Math.abs(result.score - together.scores[i]!) < 1e-5)
    } else {
      t.false(result.ok)
      if (!result.ok) t.is((result.error as { code?: string }).code, 'ERR_TARGET')
    }
    result.dispose()
    i++
  }
  t.is(i, 4)
  for (const { tensor } of [...entries, missing]) tensor.dispose()
})
