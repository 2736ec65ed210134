// Files of weights with something wrong in them: state dicts of torch.save, old and new, and safetensors, whole and in parts.
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { ScriptModule, setTensorMemoryLimit } from 'libtorch-gradcam'
import { corpusOf } from '../corpus.mjs'
import { mutateWeights } from '../mutate-archive.mjs'
import { mutateJson } from '../mutate-json.mjs'
import { randomOf } from '../random.mjs'

const architecture = 'squeezenet1_1'
const index = 'weights.safetensors.index.json'

/** Loads it by the architecture that it is of, and alone, where it is described. */
async function use(/** @type {string | Buffer} */ weights) {
  /** @type {unknown} */
  let refused
  try {
    const model = await ScriptModule.load(architecture, { weights })
    model.dispose()
  } catch (error) {
    refused = error
  }
  const alone = await ScriptModule.load(weights).catch((/** @type {unknown} */ error) => error)
  if (alone instanceof ScriptModule) {
    alone.dispose()
    return ['a file of weights was loaded as a model']
  }
  throw refused ?? alone
}

export async function prepare(/** @type {string} */ folder) {
  setTensorMemoryLimit(256 * 2 ** 20)
  const read = (/** @type {string} */ name) => gunzipSync(readFileSync(new URL(`../bases/${name}.gz`, import.meta.url)))
  const files = ['weights.pth', 'weights-old.pth', 'weights.safetensors'].map((name) => ({ name, bytes: read(name) }))
  const whole = /** @type {Buffer} */ (files[2]?.bytes)
  writeFileSync(join(folder, 'weights.safetensors'), whole)
  const header = JSON.parse(whole.toString('utf8', 8, 8 + Number(whole.readBigUInt64LE())))
  const names = Object.keys(header).filter((name) => name !== '__metadata__')
  const map = Object.fromEntries(names.map((name) => [name, 'weights.safetensors']))
  const sharded = JSON.stringify({ metadata: { total_size: whole.length }, weight_map: map })

  return {
    run: async (/** @type {string} */ id, /** @type {(what: string) => void} */ begin) => {
      const corpus = corpusOf('weights', id)
      if (corpus) {
        begin(basename(corpus))
        return await use(readFileSync(corpus))
      }
      const random = randomOf(Number(id))
      if (random.integer(8) === 0) {
        const { text, what } = mutateJson(sharded, random)
        begin(`${index}, ${what}`)
        const file = join(folder, index)
        writeFileSync(file, text)
        return await use(file)
      }
      const { name, bytes } = random.pick(files)
      const { bytes: mutated, what } = mutateWeights(bytes, random)
      begin(`${name}, ${what}`.slice(0, 200))
      if (random.integer(2) === 0) return await use(mutated)
      const file = join(folder, `${process.pid}-${name}`)
      writeFileSync(file, mutated)
      return await use(file)
    },
  }
}
