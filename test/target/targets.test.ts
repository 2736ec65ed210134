import test from 'ava'
import { isDeepStrictEqual } from 'node:util'
import { Cam, ScriptModule, Tensor, liveTensors, type Target, type TargetData, type Value } from '../../lib/index.js'
import { heldTensors } from '../support/live-tensors.js'
import { smallNets } from '../support/models.js'
import { assertSame } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await smallNets()

const paths: Record<string, TargetData['of'][]> = {
  tuple_output: [0, [0]],
  list_output: [0],
  dict_output: ['out', ['out']],
  named_tuple_output: [0, 'logits'],
}

for (const [net, ways] of Object.entries(paths)) {
  test.serial(`${net}: the way to the logits`, async (t) => {
    using model = await ScriptModule.load(nets.file(net))
    using input = toTensor(nets.input(net))
    using cam = new Cam(model, { layers: ['features'] })
    const byHand: Target<Value> = (output) =>
      (Object.values(output as Record<string, Tensor>)[0] as Tensor).select(1, 1).sum()
    using expected = await cam.explain<Value>(input, { target: byHand })
    const map = expected.cam
    for (const of of ways) {
      using found = await cam.explain<Value>(input, { target: { kind: 'class', class: 1, of } as TargetData })
      assertSame(t, found.cam, { shape: [...map.shape], data: map.toTypedArray() as Float32Array }, String(of), 1e-6)
      t.deepEqual(found.targets, [1, 1])
    }
    // The first part is the only one of shape [N, C], or has a name that is taken.
    using chosen = await cam.explain<Value>(input, { target: 1 })
    assertSame(t, chosen.cam, { shape: [...map.shape], data: map.toTypedArray() as Float32Array }, 'chosen', 1e-6)
    t.true(
      ways.some((way) => isDeepStrictEqual([way].flat(), chosen.of)),
      String(chosen.of),
    )
    await t.throwsAsync(cam.explain<Value>(input, { target: { kind: 'class', of: 'nowhere' } }), {
      code: 'ERR_TARGET',
      message: /no part 'nowhere'/,
    })
    await t.throwsAsync(cam.explain<Value>(input, { target: { kind: 'class', of: 17 } }), {
      code: 'ERR_TARGET',
      message: /no part 17/,
    })
  })
}

test.serial('a named tuple is read by the names of its fields', async (t) => {
  using model = await ScriptModule.load(nets.file('named_tuple_output'))
  using input = toTensor(nets.input('named_tuple_output'))
  using cam = new Cam(model, { layers: ['features'] })
  using byPosition = await cam.explain<Value>(input, { target: { kind: 'class', class: 1, of: 0 } })
  const [name] = Object.keys(byPosition.output as object)
  using byName = await cam.explain<Value>(input, { target: { kind: 'class', class: 1, of: name! } })
  t.deepEqual(byName.scores, byPosition.scores)
})

test.serial('what is not a target is refused by name, and leaves nothing behind', async (t) => {
  using model = await ScriptModule.load(nets.file('plain'))
  using input = toTensor(nets.input('plain'))
  using cam = new Cam(model, { layers: ['features'] })
  const bad: [unknown, RegExp, string?][] = [
    ['dog', /is not a valid target/],
    [1.5, /is not a valid target/],
    [[], /is not a valid target/],
    [null, /is not a valid target/],
    [{}, /`kind` must be 'class', /],
    [{ kind: 'toString' }, /`kind` must be 'class', /],
    [{ kind: 'class', klass: 1 }, /no option 'klass'/],
    [{ kind: 'class', sign: 2 }, /`sign` must be 1 or -1/],
    [{ kind: 'class', of: {} }, /`of` must be a name/],
    [{ kind: 'difference', class: 1 }, /`minus`/],
    [{ kind: 'difference', class: 1, minus: [1, 2, 3] }, /3 targets/, 'ERR_TARGET_COUNT'],
    [{ kind: 'difference', class: 1, minus: 9 }, /Class 9 does not exist/, 'ERR_TARGET_OUT_OF_RANGE'],
    [{ kind: 'finer', nearest: 0 }, /`nearest`/],
    [{ kind: 'finer', alpha: Number.NaN }, /`alpha`/],
    [{ kind: 'finer', against: [5] }, /Class 5 does not exist/, 'ERR_TARGET_OUT_OF_RANGE'],
    [{ kind: 'regression', output: 5 }, /Class 5 does not exist/, 'ERR_TARGET_OUT_OF_RANGE'],
    [{ kind: 'segmentation', class: 1 }, /requires a `mask`/],
    [{ kind: 'segmentation', mask: [[1]] }, /requires a `class`/],
    [{ kind: 'segmentation', class: 1, mask: [[1]] }, /\[N, C, H, W\]/],
  ]
  const before = await heldTensors()
  for (const [target, message, code = 'ERR_TARGET'] of bad)
    await t.throwsAsync(cam.explain(input, { target: target as Target }), { code, message }, String(message))
  t.is(liveTensors(), before)
})

test.serial('a mask has the size of the output', async (t) => {
  using model = await ScriptModule.load(nets.file('segmentation'))
  using input = toTensor(nets.input('segmentation'))
  using cam = new Cam(model, { layers: ['features'] })
  await t.throwsAsync(cam.explain(input, { target: { kind: 'segmentation', class: 0, mask: [[1, 0]] } }), {
    code: 'ERR_TARGET',
    message: /mask has the shape \[1, 2\]/,
  })
})
