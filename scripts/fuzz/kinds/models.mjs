// Model files with something wrong in them: they are refused, or run as any model does.
import { readFileSync, readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { GradCam, GradCamError, ScriptModule, Tensor } from 'libtorch-gradcam'
import { corpusOf } from '../corpus.mjs'
import { mutateModel } from '../mutate-model.mjs'
import { randomOf } from '../random.mjs'

/** A model that runs for ever is ended by this. */
const longestMs = 5000

/**
 * @param {ScriptModule} model
 * @param {string} layer
 * @param {Tensor} input
 * @param {'split' | 'hooked'} execution
 * @returns {Promise<GradCamError | null>} what it was refused with
 */
async function explain(model, layer, input, execution) {
  let cam
  try {
    cam = new GradCam(model, [layer], { execution })
    const found = await cam.explain(input, { target: 0, signal: AbortSignal.timeout(longestMs) })
    found.dispose()
    return null
  } catch (error) {
    if (error instanceof GradCamError) return error
    throw error
  } finally {
    cam?.dispose()
  }
}

/** @returns {Promise<import('../types.d.mts').Kind>} */
export async function prepare() {
  const folder = new URL('../bases/', import.meta.url)
  const files = readdirSync(folder).filter((name) => name.endsWith('.pt'))
  const models = files.sort().map((name) => ({ name, bytes: readFileSync(new URL(name, folder)) }))
  const pixels = Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => Math.sin(i))

  /** Loads it and explains one image, in both executions. */
  async function use(/** @type {Buffer} */ bytes) {
    const model = await ScriptModule.load(bytes)
    const input = Tensor.from(pixels, [1, 3, 32, 32])
    try {
      const modules = model.namedModules()
      const layer = modules.find(({ typeName }) => typeName.includes('Conv'))?.path ?? modules.at(1)?.path ?? ''
      const failures = [await explain(model, layer, input, 'split'), await explain(model, layer, input, 'hooked')]
      for (const failure of failures) if (failure) throw failure
    } finally {
      input.dispose()
      model.dispose()
    }
  }

  return {
    run: async (id, begin) => {
      const corpus = corpusOf('models', id)
      if (corpus) {
        begin(basename(corpus))
        await use(readFileSync(corpus))
        return []
      }
      const random = randomOf(Number(id))
      const { name, bytes } = random.pick(models)
      const { bytes: mutated, what } = mutateModel(bytes, random)
      begin(`${name}, ${what}`)
      await use(mutated)
      return []
    },
    // The reason of a signal is passed on as it is.
    allowed: (error) => error instanceof DOMException && error.name === 'TimeoutError',
  }
}
