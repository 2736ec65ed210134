// The maps of images, each requested once.

/** Maps in memory: the one that was used for the longest goes first. */
const mostKept = 300

/** How many of the highest classes are listed at first. */
export const usualClasses = 10

function fromBase64(text) {
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}

/** The numbers of a .npy file of little-endian float32, as the server writes it. */
function cellsOf(npy) {
  const start = 10 + new DataView(npy.buffer).getUint16(8, true)
  return new Float32Array(npy.buffer.slice(start))
}

/** How much of a fine map may lie beyond each end of its colours: a few pixels would leave all others in the middle. */
const beyond = 0.005

/** What a server answers of one map, ready to be drawn. */
function readMap(answer, { npy, ...map }) {
  const file = fromBase64(npy)
  const cells = cellsOf(file)
  const ordered = cells.filter(Number.isFinite).sort()
  const at = (share) => ordered[Math.round(share * (ordered.length - 1))] ?? 0
  const { size, window, top, outputs } = answer
  const ends = { low: at(0), high: at(1), mostLow: at(beyond), mostHigh: at(1 - beyond) }
  return { ...map, ...ends, cells, npy: file, size, window, top, outputs }
}

/** A target as the API takes it. */
export function targetOf({ target, minus }) {
  if (target === null) return 'argmax'
  return minus === null ? target : { kind: 'difference', class: target, minus }
}

/**
 * @param api see api.js
 * @param {Map<string, object>} methods what the server says of each method, by name
 */
export function createExplanations(api, methods) {
  const kept = new Map()
  const isLayered = (name) => methods.get(name)?.layered ?? false
  const keyOf = (image, { model, layer, target, minus }, method) =>
    JSON.stringify([image.id, model, isLayered(method) ? layer : null, target, minus, method])

  function find(image, settings, method) {
    const key = keyOf(image, settings, method)
    const found = kept.get(key)
    if (!found) return null
    kept.delete(key)
    kept.set(key, found)
    return found
  }

  /** What a request says of the model, the layer, the target and the methods. */
  function optionsOf({ model, layer, ...settings }, names) {
    const layered = names.some(isLayered) && layer !== null
    return { ...(model !== null && { model }), method: names, target: targetOf(settings), ...(layered && { layer }) }
  }

  /** The maps of these methods, in one request for those that are not there yet. */
  async function explain(image, settings, names, signal) {
    const missing = names.filter((name) => !find(image, settings, name))
    if (missing.length > 0) {
      const options = { ...optionsOf(settings, missing), top: usualClasses, format: 'npy' }
      const answer = await api.explain(image, options, signal)
      for (const map of answer.maps) kept.set(keyOf(image, settings, map.method), readMap(answer, map))
      while (kept.size > mostKept) kept.delete(kept.keys().next().value)
    }
    return names.map((name) => find(image, settings, name)).filter((map) => map !== null)
  }

  /** More of the highest classes. */
  async function classes(image, settings, count) {
    const [name = ''] = settings.methods
    return (await api.explain(image, { ...optionsOf(settings, [name]), top: count, format: 'npy' })).top
  }

  return { find, explain, classes, optionsOf }
}
