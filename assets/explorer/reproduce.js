// The command line and the TypeScript that give the maps that are shown.
import { byId, copyText } from './dom.js'
import { targetOf } from './explanations.js'

/** A word of a POSIX shell. */
const quoted = (text) => (/^[\w./:=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

/** A value as an option takes it. */
const textOf = (value) => (typeof value === 'object' ? JSON.stringify(value) : String(value))

const fileOf = ({ file }) => file ?? 'model.pt'

/** One value in JavaScript: JSON, with single quotes and without quotes around names. */
function literal(value) {
  if (typeof value === 'string')
    return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, one]) => `${key}: ${literal(one)}`)
      .join(', ')} }`
  return String(value)
}

/**
 * A command that writes the maps as images.
 *
 * @param view `model`, what the server says of it; `layer`, null for none; `methods`, their names; `target`; `image`, the name of
 *   its file
 */
export function commandOf({ model, layer, methods, target, image }) {
  const words = ['npx gradcam explain', quoted(image), '--model', quoted(fileOf(model))]
  if (model.preprocess) words.push('--preprocess', quoted(textOf(model.preprocess)))
  if (layer !== null) words.push('--layer', quoted(layer))
  if (target !== 'argmax') words.push('--target', quoted(textOf(target)))
  words.push('--method', methods.join(','), '--out', 'maps')
  return words.join(' ').replaceAll(/ (--)/g, ' \\\n  $1')
}

/** A program that has the maps as numbers. */
export function programOf({ model, layer, methods, target, image, isLayered }) {
  const layered = methods.some(isLayered) && layer !== null
  return `import { explainAll, ScriptModule } from 'libtorch-gradcam'

const model = await ScriptModule.load(${literal(fileOf(model))})
const preprocess = ${literal(model.preprocess ?? 'imagenet')}
for (const method of ${literal(methods)} as const) {
  const options = { model, method, target: ${literal(target)}, preprocess${layered ? `, layer: ${layerOf(methods, isLayered, layer)}` : ''} } as const
  for await (const result of explainAll([${literal(image)}], options)) {
    if (!result.ok) throw result.error
    console.log(method, result.target, result.score, result.map.shape, result.map.toTypedArray())
    result.dispose()
  }
}
model.dispose()
`
}

/** The layer of the methods that require one. */
function layerOf(methods, isLayered, layer) {
  if (methods.every(isLayered)) return literal(layer)
  const without = methods.filter((name) => !isLayered(name))
  return `${without.map((name) => `method === ${literal(name)}`).join(' || ')} ? undefined : ${literal(layer)}`
}

/**
 * @param parts `settings`, `methods` by name, `state()`, and `model()`: what the server says of the model
 */
export function createReproduction({ settings, methods, state, model, onError }) {
  const isLayered = (name) => methods.get(name)?.layered ?? false

  for (const id of ['command', 'program'])
    byId(`copy-${id}`).addEventListener('click', () => {
      void copyText(byId(id).textContent).then(() => (byId('status').textContent = 'Copied.'), onError)
    })

  return {
    draw() {
      const described = model()
      const { image } = state()
      if (!described || !image) return
      const current = settings.get()
      const layer = current.methods.some(isLayered) ? (current.layer ?? described.defaultLayer) : null
      const view = { model: described, layer, methods: current.methods, target: targetOf(current), image: image.name }
      byId('command').textContent = commandOf(view)
      byId('program').textContent = programOf({ ...view, isLayered })
      byId('model-stands').hidden = described.file !== null
    },
  }
}
