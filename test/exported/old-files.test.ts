// Programs that several versions of torch, and Hugging Face's models, really wrote, with what Python said of each:
// scripts/exported/old-files.mjs.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import test from 'ava'
import { GradCam, InputAttribution, ScriptModule, Tensor, type Target, type Value } from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'
import { disposeValue } from '../../lib/tensor/values.js'
import { assertParity } from '../support/parity.js'

interface Listed {
  readonly shape: number[]
  readonly values: number[]
}

interface Program extends Readonly<Record<'input' | 'output' | 'gradient' | 'cam', Listed>> {
  readonly layer: string
  /** Of the output, where it is a dict. */
  readonly part: string | null
  readonly modules: string[]
}

const folder = join(packageRoot, 'test', 'exported', 'files')
const writers = readdirSync(folder).flatMap((name) => /^(.*)\.json\.gz$/.exec(name)?.[1] ?? [])
const unpacked = (name: string): Buffer => gunzipSync(readFileSync(join(folder, `${name}.gz`)))

const judged = ({ shape, values }: Listed) => ({ shape, data: Float64Array.from(values) })

test('three versions of torch, of both layouts; Hugging Face', (t) => {
  const minors = writers.flatMap((name) => /^torch-2\.(\d+)\./.exec(name)?.[1] ?? []).map(Number)
  t.true(minors.length >= 3, writers.join())
  t.true(minors.some((minor) => minor < 8))
  t.true(minors.some((minor) => minor >= 8))
  t.true(writers.some((name) => name.startsWith('transformers-')))
})

for (const writer of writers) {
  const { programs } = JSON.parse(unpacked(`${writer}.json`).toString()) as {
    programs: Record<string, Program>
  }
  for (const [name, said] of Object.entries(programs))
    test.serial(`${writer}, ${name}: output, gradient and map are those of its eager module`, async (t) => {
      const { layer, part } = said
      const scoresOf = (returned: Value): Tensor =>
        (part === null ? returned : (returned as Record<string, Value>)[part]) as Tensor
      const target: Target<Value> = (returned) => scoresOf(returned).sum()
      using model = await ScriptModule.load(unpacked(`${writer}.${name}.pt2`))
      using input = Tensor.from(Float32Array.from(said.input.values), said.input.shape)
      const output = await model.forward<Value>(input)
      // Another torch, perhaps on another processor: rounding of sums of about a hundred numbers.
      assertParity(t, scoresOf(output), judged(said.output), 'output')
      disposeValue(output)
      using gradCam = new GradCam(model, [layer])
      disposeValue(await gradCam.forward<Value>(input))
      await gradCam.backward(target)
      assertParity(t, gradCam.get(layer), judged(said.cam), 'map')
      using attribution = new InputAttribution(model, { method: 'gradient' })
      using gradient = await attribution.explain(input, { target: target as Target })
      assertParity(t, gradient.attribution, judged(said.gradient), 'gradient')
      const paths = model.namedModules().map(({ path }) => path)
      t.deepEqual([...paths], said.modules)
      using one = input.slice(0, 0, 1)
      const again = await model.forward<Value>(one)
      t.deepEqual([...scoresOf(again).shape], [1, 5], 'another batch')
      disposeValue(again)
    })
}
