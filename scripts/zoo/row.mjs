// Rows of models in docs/models.md, a line for each, with one Python process for all of them: see zoo.mjs.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { architectures, Cam, pickLayer, ScriptModule, Tensor } from 'libtorch-gradcam'
import { keysOf } from '../support/access.mjs'

const forms = /** @type {const} */ ({
  scripted: 'scripted.pt',
  traced: 'traced.pt',
  exported: 'exported.pt2',
  weights: 'weights.pth',
})

const read = (/** @type {string} */ path) => {
  const bytes = readFileSync(path)
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

/**
 * ||a - b|| / ||b||, or relative to another norm; null where that is 0.
 *
 * @param {ArrayLike<number | bigint>} actual
 * @param {Float32Array} expected
 * @param {number} [norm]
 */
function distance(actual, expected, norm) {
  let [error, size] = [0, 0]
  for (const [i, value] of expected.entries()) {
    error += (Number(actual[i]) - value) ** 2
    size += value ** 2
  }
  const whole = norm ?? Math.sqrt(size)
  // Zeros are equal whatever is wrong.
  return whole > 0 ? Math.sqrt(error) / whole : null
}

/** The logits: the output, a part of it, or the first of several, as a scripted googlenet returns auxiliary ones. */
function scoresOf(/** @type {import('libtorch-gradcam').Value} */ returned, /** @type {string | null} */ part) {
  const scores = part === null ? returned : Object.entries(returned ?? {}).find(([name]) => name === part)?.[1]
  const first = scores instanceof Tensor ? scores : Object.values(scores ?? {})[0]
  if (!(first instanceof Tensor)) throw new Error('the model returned no tensor where its scores should be')
  return first
}

const shown = (/** @type {number | null} */ error) =>
  error === null ? 'only zeros' : error === 0 ? 'exact' : error.toExponential(0)
const codeOf = (/** @type {unknown} */ error) => /** @type {{ code?: string }} */ (error).code ?? String(error)

/** @typedef {{ size: number, failures: Record<string, string | null>, part: string | null }} Written by model.py */
/** @typedef {keyof typeof forms} Form */

/** A map further from PyTorch's than this is looked at again. */
const doubtful = 1e-3

class Row {
  /** @type {Map<Form, string>} */
  cells = new Map()
  /** @type {import('libtorch-gradcam').LayerSuggestion | null} */
  picked = null
  execution = ''
  /** Of the map before its ReLU, which may leave little of it. */
  norm = 0
  /** The greatest distance of a map. */
  furthest = 0
  /** @type {number | undefined} */
  rounding

  constructor(/** @type {string} */ name, /** @type {string} */ folder, /** @type {Written} */ written) {
    this.name = name
    this.folder = folder
    this.written = written
    this.input = Tensor.from(read(join(folder, 'input.bin')), [2, 3, written.size, written.size])
  }

  /** The model in one form; null where it is not to be had, which its cell says then. */
  async load(/** @type {Form} */ form) {
    const { failures } = this.written
    const path = join(this.folder, forms[form])
    const isKnown = architectures().some(({ name }) => name === this.name)
    if (form === 'weights' && !isKnown) return this.#say(form, 'no architecture')
    if (failures[form] !== null || !existsSync(path)) return this.#say(form, `PyTorch: \`${failures[form]}\``)
    try {
      const options = form === 'weights' ? { weights: path } : {}
      return await ScriptModule.load(form === 'weights' ? this.name : path, options)
    } catch (error) {
      return this.#say(form, codeOf(error))
    }
  }

  #say(/** @type {Form} */ form, /** @type {string} */ text) {
    this.cells.set(form, text.replaceAll('|', '/'))
    return null
  }

  /**
   * Compares outputs and map of each form; only one is in memory at a time. The layer is the one that is suggested for the first
   * that can be loaded.
   *
   * @param {Python} python has the model
   */
  async compareAll(python) {
    const { size } = this.written
    let isFirst = true
    for (const form of keysOf(forms)) {
      const model = await this.load(form)
      if (!model) continue
      if (isFirst) this.picked = await pickLayer(model, [1, 3, size, size]).catch(() => null)
      if (isFirst && this.picked) this.norm = (await python.ask(this.picked))?.norm ?? 0
      isFirst = false
      await this.compare(form, model)
    }
    // A network of random weights may blow up rounding errors: then PyTorch's own map is as far from that of float64.
    if (this.picked && this.furthest > doubtful)
      this.rounding = (await python.ask({ ...this.picked, exact: true }))?.rounding
  }

  async compare(/** @type {Form} */ form, /** @type {ScriptModule} */ model) {
    try {
      const result = await model.forward(this.input)
      const scores = scoresOf(result, this.written.part)
      const error = distance(scores.toTypedArray(), read(join(this.folder, 'output.bin')))
      this.#say(form, shown(error) + (await this.map(model)))
    } catch (error) {
      this.#say(form, codeOf(error))
    } finally {
      model.dispose()
    }
  }

  /** Compares the map with that of Python, which has written it. */
  async map(/** @type {ScriptModule} */ model) {
    if (!this.picked) return ''
    const { layer, reshape } = this.picked
    const { part } = this.written
    try {
      const cam = new Cam(model, { layers: [layer], ...(reshape !== undefined && { reshape }) })
      await cam.forward(this.input)
      await cam.backward((/** @type {never} */ returned) => {
        return scoresOf(returned, part).select(1, 1).sum()
      })
      const error = distance(cam.get(layer).toTypedArray(), read(join(this.folder, 'cam.bin')), this.norm)
      this.furthest = Math.max(this.furthest, error ?? 0)
      this.execution = cam.execution.path === 'split' ? 'split' : `hooked: ${cam.execution.why}`
      cam.dispose()
      return `, map ${shown(error)}`
    } catch (error) {
      return `, ${codeOf(error)}`
    }
  }

  text() {
    const columns = keysOf(forms).map((form) => this.cells.get(form) ?? '')
    const { layer, reshape } = this.picked ?? {}
    const how = reshape === undefined ? '' : ` (${typeof reshape === 'string' ? reshape : 'tokens'})`
    const own =
      this.rounding === undefined ? '' : `; PyTorch's own map in float32 is ${shown(this.rounding)} from float64's`
    return `| ${[this.name, layer ? layer + how : 'none is spatial', ...columns, this.execution + own].join(' | ')} |`
  }
}

/** The Python half, which stays for all rows. */
class Python {
  constructor(/** @type {string} */ folder) {
    this.process = spawn('python3', [join(import.meta.dirname, 'model.py'), folder], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    this.lines = createInterface(this.process.stdout)[Symbol.asyncIterator]()
  }

  /** Its answer; null where it has ended. Packages that it imports may print lines of their own. */
  async ask(/** @type {object} */ question) {
    this.process.stdin.write(`${JSON.stringify(question)}\n`)
    for (;;) {
      const line = await this.lines.next()
      if (line.done) return null
      if (line.value.startsWith('{')) return JSON.parse(line.value)
    }
  }

  end() {
    this.process.stdin.end()
  }
}

async function rowOf(/** @type {string} */ name, /** @type {string} */ folder, /** @type {Python} */ python) {
  const size = architectures().find((one) => one.name === name)?.size?.[0] ?? null
  const written = await python.ask({ name, size })
  if (written === null) throw new Error(`Python ended at ${name}`)
  if (written.error !== undefined) return `| ${name} | | PyTorch: ${written.error.replaceAll('|', '/')} | | | | |`
  const row = new Row(name, folder, written)
  await row.compareAll(python)
  return row.text()
}

const folder = mkdtempSync(join(tmpdir(), 'zoo-'))
const python = new Python(folder)
try {
  for (const name of process.argv.slice(2)) console.log(await rowOf(name, folder, python))
} finally {
  python.end()
  rmSync(folder, { recursive: true, force: true })
}
