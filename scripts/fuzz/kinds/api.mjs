// Everything that the package exports, called with arguments of which most are wrong: several at once, where the test of
// every export has one wrong one at a time.
import {
  GradCamError,
  ScriptModule,
  setNumThreads,
  setTensorMemoryLimit,
  Tensor,
} from '#test-support/every-export/library.js'
import { subjectsOf } from '#test-support/every-export/subjects.js'
import { badModels, kinds, Trap } from '#test-support/every-export/values.js'
import { finish } from '#test-support/every-export/finish.js'
import { valueOf } from '../../support/access.mjs'
import { randomOf } from '../random.mjs'

const file = new URL('../bases/pooled-script.pt', import.meta.url)

/**
 * Not that of an argument that is wrong already: a revoked Proxy has no prototype to look at.
 *
 * @returns {value is object}
 */
const isOptions = (/** @type {unknown} */ value) => {
  try {
    return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  } catch {
    return false
  }
}

/** @returns {Promise<import('../types.d.mts').Kind>} */
export async function prepare() {
  setTensorMemoryLimit(2 ** 30)
  const gone = await ScriptModule.load(file)
  gone.dispose()
  const input = Tensor.rand([2, 3, 16, 20])
  const map = Tensor.rand([2, 1, 4, 4])
  let model = await ScriptModule.load(file)
  let values = { ...kinds, ...badModels(model, gone) }
  let subjects = await subjectsOf(model, input, map)

  /** A call may dispose what the others need. */
  async function renew() {
    model = await ScriptModule.load(file)
    values = { ...kinds, ...badModels(model, gone) }
    subjects = await subjectsOf(model, input, map)
  }

  return {
    run: async (id, begin) => {
      const random = randomOf(Number(id))
      if (Number(id) % 500 === 0) await renew()
      const subject = random.pick(subjects)
      /** @type {string[]} */
      const said = []
      const wrong = () => {
        const kind = random.pick(Object.keys(values))
        said.push(kind)
        return valueOf(values, kind)()
      }
      const args = [...subject.valid]
      if (!subject.once)
        for (let times = random.integer(3); times >= 0; times--) {
          const at = random.integer(Math.max(2, args.length + 1))
          const given = args[at]
          if (!isOptions(given) || random.next() < 0.3) args[at] = wrong()
          else args[at] = { ...given, [random.pick([...Object.keys(given), 'nope'])]: wrong() }
        }
      begin(`${subject.name}(${said.join(', ')})`)
      try {
        await finish(await subject.call(args))
      } finally {
        if (subject.name.startsWith('set')) {
          setTensorMemoryLimit(2 ** 30)
          setNumThreads(1)
        }
      }
      if (Number(id) % 50 !== 0) return []
      // Whatever was called, the model still gives what it gave.
      const output = await model.forward(input).catch((error) => error)
      return output instanceof Tensor && output.shape.join() === '2,5' ? [] : [`the model does not run: ${output}`]
    },
    // What a call made may be garbage that is not collected yet.
    keepsTensors: true,
    errors: GradCamError,
    // An argument's own error is passed on as it is.
    allowed: (error) => error instanceof Trap,
  }
}
