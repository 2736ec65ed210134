// Plans of models with something wrong in them, as lib would give them to the addon, which trusts none of it.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { setTensorMemoryLimit } from 'libtorch-gradcam'
import { nativeModels, readPlan, toNativePlan } from '#internal'
import { mutateJson } from '../mutate-json.mjs'
import { randomOf } from '../random.mjs'

const bases = ['torch-2.13.0.convolutional', 'torch-2.13.0.tokens', 'torch-2.5.1.static']

export async function prepare(/** @type {string} */ folder) {
  setTensorMemoryLimit(256 * 2 ** 20)
  const from = new URL('../../../test/exported/files/', import.meta.url)
  const plans = bases.map((name) => {
    const file = join(folder, `${name}.pt2`)
    writeFileSync(file, gunzipSync(readFileSync(new URL(`${name}.pt2.gz`, from))))
    const plan = readPlan(file, 'cpu')
    if (!plan) throw new Error(`${file} is not an exported program`)
    return { name, text: JSON.stringify(toNativePlan(plan)) }
  })
  const out = join(folder, `plan-${process.pid}.pt`)

  return {
    run: async (/** @type {string} */ id, /** @type {(what: string) => void} */ begin) => {
      const random = randomOf(Number(id))
      const { name, text } = random.pick(plans)
      const { text: mutated, what } = mutateJson(text, random)
      begin(`${name}, ${what}`)
      let plan
      try {
        plan = JSON.parse(mutated)
      } catch {
        return [] // what lib gives is an object
      }
      if (random.integer(8) === 0) await nativeModels().saveTorchScript(plan, out, 0)
      else (await nativeModels().loadPlan(plan, 'cpu', 1, undefined, 0)).dispose()
      return []
    },
  }
}
