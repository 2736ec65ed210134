// What a person chose: kept in the address of the page, so that a link shows the same view.
import { palettes } from './../report/palettes.js'

/** All settings as they are at first. `null` leaves the choice to the server: its first model, its layer, the top class. */
export const initial = Object.freeze({
  model: null,
  layer: null,
  /** The methods that are shown, side by side. */
  methods: ['gradcam'],
  /** A class, and the class that is subtracted from it. */
  target: null,
  minus: null,
  /** Percent. */
  opacity: 50,
  threshold: 0,
  colours: 'jet',
  gradients: 'grey',
  sample: null,
})

const isIndex = (text) => /^\d{1,9}$/.test(text)
const isPercent = (text) => /^\d{1,3}$/.test(text) && Number(text) <= 100

/** By setting, its name in a link, and the values that are taken from one. */
const inLink = {
  model: { name: 'model', read: String, fits: (text) => text !== '' },
  layer: { name: 'layer', read: String, fits: (text) => text !== '' },
  target: { name: 'class', read: Number, fits: isIndex },
  minus: { name: 'minus', read: Number, fits: isIndex },
  opacity: { name: 'opacity', read: Number, fits: isPercent },
  threshold: { name: 'threshold', read: Number, fits: isPercent },
  colours: { name: 'colours', read: String, fits: (text) => Object.hasOwn(palettes, text) },
  gradients: { name: 'gradients', read: String, fits: (text) => Object.hasOwn(palettes, text) },
  sample: { name: 'sample', read: String, fits: (text) => text !== '' },
}

/** The settings of a link: of the part of an address after #. What is not valid in it is left out. */
export function readLink(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ''))
  const settings = { ...initial }
  for (const [key, { name, read, fits }] of Object.entries(inLink)) {
    const text = given.get(name)
    if (text !== null && fits(text)) settings[key] = read(text)
  }
  const methods = [...new Set(given.getAll('method').filter((name) => name !== ''))]
  if (methods.length > 0) settings.methods = methods
  if (settings.target === null) settings.minus = null
  return settings
}

/** The same as the part of an address after #: what differs from the settings at first. */
export function writeLink(settings) {
  const link = new URLSearchParams()
  for (const [key, { name }] of Object.entries(inLink))
    if (settings[key] !== initial[key]) link.set(name, String(settings[key]))
  if (settings.methods.join() !== initial.methods.join())
    for (const method of settings.methods) link.append('method', method)
  return link.toString()
}

/** Settings that tell when they change. */
export function createSettings(first) {
  let current = first
  const listeners = []
  return {
    get: () => current,
    /** Changes some; listeners get the names of those that differ now. */
    set(changes) {
      const changed = Object.keys(changes).filter((key) => String(changes[key]) !== String(current[key]))
      if (changed.length === 0) return
      current = { ...current, ...changes }
      for (const listener of listeners) listener(current, new Set(changed))
    },
    onChange: (listener) => void listeners.push(listener),
  }
}
