// Makes and finds elements. Text is always set as text: nothing here parses markup.

export const byId = (id) => document.getElementById(id)

/**
 * An element. Of its properties, `class` and names with a hyphen or `role` are attributes, `on` is an object of listeners, and
 * the others are properties of the element.
 *
 * @param {string} tag
 * @param {Record<string, any>} properties
 * @param {(Node | string | null)[]} children null is left out
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue
    if (name === 'on') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener)
    else if (name === 'class' || name === 'role' || name.includes('-')) element.setAttribute(name, String(value))
    else element[name] = value
  }
  element.append(...children.filter((child) => child !== null))
  return element
}

const svgNames = 'http://www.w3.org/2000/svg'

/** An element of SVG with attributes. */
export function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(svgNames, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
  element.append(...children)
  return element
}

/** Puts the focus on the next element of a list by the arrow keys, Home and End; Tab leaves the list. */
export function moveFocus(event, elements) {
  const at = elements.indexOf(document.activeElement)
  const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: elements.length - 1 }
  const to = steps[event.key]
  if (to === undefined || at < 0) return false
  event.preventDefault()
  elements[Math.min(elements.length - 1, Math.max(0, to))].focus()
  return true
}

/** Copies text. Where the page is not on a secure origin, a browser copies only what is selected. */
export async function copyText(text) {
  if (navigator.clipboard) return await navigator.clipboard.writeText(text)
  const area = make('textarea', { value: text, class: 'hidden-text' })
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  if (!done) throw new Error('The browser does not let the page copy. Select the text, and copy it.')
}

/** Saves bytes or a blob as a file of that name. */
export function saveFile(content, name) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content]))
  make('a', { href: url, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
