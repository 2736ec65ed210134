// Runs the cases that its parent names: see run-cases.mjs. usage: child.mjs ADDRESS FOLDER, of the module of a kind.
import { GradCamError, errorCodes, liveTensors, setNumThreads } from 'libtorch-gradcam'

const [kind = '', folder = ''] = process.argv.slice(2)
/** @type {string[]} */
const rejections = []
process.on('unhandledRejection', (error) => rejections.push(String(error)))

/**
 * An error as an outcome. Those of the package are what a case may end with; anything else is a problem.
 *
 * @param {unknown} error
 */
function outcomeOf(error) {
  if (error instanceof errors && Object.hasOwn(errorCodes, error.code)) return error.code
  return `untyped ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`.slice(0, 300)
}

setNumThreads(1)
/** @type {import('./types.d.mts').KindModule} */
const { prepare } = await import(kind)
const { run, allowed = () => false, keepsTensors = false, errors = GradCamError } = await prepare(folder)
const before = liveTensors()
const send = (/** @type {import('./types.d.mts').FromChild} */ message) => process.send?.(message)

/** @param {string} id */
async function runCase(id) {
  let outcome = 'ok'
  /** @type {readonly string[]} */
  let found = []
  try {
    found = (await run(id, (what) => send({ begun: what }))) ?? []
  } catch (error) {
    outcome = outcomeOf(error)
    if (outcome.startsWith('untyped') && !allowed(error)) found = [outcome]
  }
  const problems = [...found]
  // Rejections are reported when the event loop turns.
  await new Promise((resolve) => setImmediate(resolve))
  for (const rejection of rejections.splice(0)) problems.push(`unhandled ${rejection}`.slice(0, 300))
  const left = liveTensors() - before
  if (left > 0 && !keepsTensors) problems.push(`${left} tensors are left`)
  send({ outcome, problems })
}

process.on('message', (/** @type {import('./types.d.mts').ToChild} */ message) => {
  if ('end' in message) process.exit(0)
  void runCase(message.id)
})
send({ ready: true })
