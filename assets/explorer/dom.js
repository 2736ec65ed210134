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

const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -Infinity, End: Infinity }

/**
 * Makes one stop of Tab of a list of many buttons: the arrow keys, Home and End move between its entries, each of which may have
 * several buttons.
 *
 * @param {HTMLElement} list of li
 * @returns what is to be called when the entries have changed; the first that fits `preferred` is the stop
 */
export function makeRoving(list, preferred) {
  let current = null
  const buttons = (entry) => [...entry.querySelectorAll('button')]
  const set = (entry) => {
    current = entry
    for (const one of list.children) for (const button of buttons(one)) button.tabIndex = one === entry ? 0 : -1
  }
  list.addEventListener('focusin', ({ target }) => set(target.closest('li')))
  list.addEventListener('keydown', (event) => {
    const entry = event.target.closest('li')
    const step = steps[event.key]
    if (!entry || step === undefined) return
    event.preventDefault()
    const entries = [...list.children]
    const to = entries[Math.min(entries.length - 1, Math.max(0, entries.indexOf(entry) + step))]
    const kind = buttons(entry).indexOf(event.target)
    const button = buttons(to)[kind]
    // A button that is disabled takes no focus.
    ;(button.disabled ? buttons(to)[0] : button).focus()
  })
  return () => {
    const stays = current?.isConnected ? current : null
    const entry = stays ?? list.querySelector(preferred)?.closest('li') ?? list.firstElementChild
    if (entry) set(entry)
  }
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
