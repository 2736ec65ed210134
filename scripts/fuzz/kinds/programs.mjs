// Exported programs (.pt2) with something wrong in them: they are refused, or run as any model does.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { GradCam, ScriptModule, setTensorMemoryLimit, Tensor } from 'libtorch-gradcam'
import { corpusOf } from '../corpus.mjs'
import { mutateProgram } from '../mutate-archive.mjs'
import { randomOf } from '../random.mjs'

/** A model that runs for ever is ended by this. */
const longestMs = 5000
/** What a mutated program may allocate: more is refused, which is not a finding. */
const mostTensorBytes = 256 * 2 ** 20
const largestInput = 2 ** 20

/** An input as the program says that it takes it; null where it says something that is too large to try. */
function inputOf(/** @type {ScriptModule} */ model) {
  const [first] = model.inputs ?? []
  const shape = (first?.shape ?? []).map((size) => (typeof size === 'number' ? size : Math.max(size.min, 2)))
  const elements = shape.reduce((product, size) => product * size, 1)
  if (!first?.dtype || elements > largestInput) return null
  const dtype = /** @type {import('libtorch-gradcam').DType} */ (first.dtype)
  return Tensor.zeros(shape, { dtype })
}

/** Loads it, and explains an image where that can be done. */
async function use(/** @type {string | Buffer} */ file) {
  const model = await ScriptModule.load(file)
  const input = inputOf(model)
  try {
    if (!input) return
    const layer = model.namedModules().find(({ typeName }) => typeName.endsWith('Conv2d'))?.path ?? ''
    for (const execution of /** @type {const} */ (['auto', 'hooked'])) {
      const cam = new GradCam(model, [layer], { execution })
      try {
        const found = await cam.explain(input, { target: 0, signal: AbortSignal.timeout(longestMs) })
        found.dispose()
      } finally {
        cam.dispose()
      }
    }
  } finally {
    input?.dispose()
    model.dispose()
  }
}

export async function prepare(/** @type {string} */ folder) {
  setTensorMemoryLimit(mostTensorBytes)
  // As torch 2.5 to 2.13 really wrote them, in both layouts.
  const from = new URL('../../../test/exported/files/', import.meta.url)
  const names = readdirSync(from).filter((name) => /^torch-.*\.pt2\.gz$/.test(name))
  const programs = names.sort().map((name) => ({ name, bytes: gunzipSync(readFileSync(new URL(name, from))) }))
  const file = join(folder, `program-${process.pid}.pt2`)

  return {
    run: async (/** @type {string} */ id, /** @type {(what: string) => void} */ begin) => {
      const corpus = corpusOf('programs', id)
      if (corpus) {
        begin(basename(corpus))
        await use(readFileSync(corpus))
        return []
      }
      const random = randomOf(Number(id))
      const { name, bytes } = random.pick(programs)
      const { bytes: mutated, what } = mutateProgram(bytes, random)
      begin(`${name}, ${what}`)
      // Bytes and files are read in other ways.
      if (random.integer(2) === 0) await use(mutated)
      else {
        writeFileSync(file, mutated)
        await use(file)
      }
      return []
    },
    // The reason of a signal is passed on as it is.
    allowed: (/** @type {unknown} */ error) => error instanceof DOMException && error.name === 'TimeoutError',
  }
}
