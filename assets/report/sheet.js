// The contact sheet: only the tiles that are visible are in the page.
import { drawItem } from './heat.js'
import { className, loadItemImage, percent } from './items.js'

const tileWidth = 190
const tileHeight = 216
const imageHeight = 150

/**
 * A sheet of tiles, one for each item, with keys to move between them.
 *
 * @param {HTMLElement} viewport scrolls
 * @param {HTMLElement} list inside it: gets the tiles
 * @param {(position: number) => object} details of an item: see createItems
 */
export function createSheet(viewport, list, details) {
  let items = []
  let columns = 1
  let opacity = 0.5
  /** The tile that Tab moves to, by its number among the items shown. */
  let current = 0
  let open = () => {}
  const tiles = new Map()

  function makeTile(at) {
    const item = items[at]
    const shown = details(item.position)
    const entry = document.createElement('li')
    entry.setAttribute('aria-posinset', String(at + 1))
    entry.setAttribute('aria-setsize', String(items.length))
    const button = document.createElement('button')
    button.type = 'button'
    button.dataset.at = String(at)
    button.tabIndex = at === current ? 0 : -1
    const image = document.createElement('span')
    image.className = 'image'
    const text = document.createElement('span')
    text.className = 'text'
    const add = (name, content) => {
      const line = document.createElement('span')
      line.className = name
      line.textContent = content
      text.append(line)
    }
    const tile = { entry, redraw: () => {} }
    if (item.failed) {
      const error = document.createElement('span')
      error.className = 'error'
      error.textContent = shown.error.message
      image.append(error)
      add('class', shown.error.code ?? 'failed')
    } else {
      const canvas = makeCanvas(shown.size)
      image.append(canvas)
      add('class', `${className(item.target, item.label)} ${percent(item.confidence)}`)
      let loadedImage = null
      tile.redraw = () => drawItem(canvas, shown, loadedImage, opacity)
      tile.redraw()
      void loadItemImage(shown, false).then((loaded) => {
        loadedImage = loaded
        tile.redraw()
      })
    }
    add('name', item.id)
    button.title = item.id
    button.append(image, text)
    button.addEventListener('click', () => open(at))
    entry.append(button)
    list.append(entry)
    return tile
  }

  function makeCanvas([height, width]) {
    const scale = Math.min(list.clientWidth / columns / width, imageHeight / height)
    const canvas = document.createElement('canvas')
    canvas.width = Math.max(1, Math.round(width * scale))
    canvas.height = Math.max(1, Math.round(height * scale))
    canvas.setAttribute('aria-hidden', 'true')
    return canvas
  }

  function layOut() {
    columns = Math.max(1, Math.floor(list.clientWidth / tileWidth))
    list.style.height = `${Math.ceil(items.length / columns) * tileHeight}px`
    for (const { entry } of tiles.values()) entry.remove()
    tiles.clear()
    showVisible()
  }

  function showVisible() {
    const first = Math.max(0, Math.floor(viewport.scrollTop / tileHeight) - 1) * columns
    const rows = Math.ceil((viewport.scrollTop + viewport.clientHeight) / tileHeight) + 1
    const last = Math.min(items.length, rows * columns)
    for (const [at, { entry }] of tiles) {
      // The tile with the focus stays, or the keyboard would lose it.
      if ((at >= first && at < last) || entry.contains(document.activeElement)) continue
      entry.remove()
      tiles.delete(at)
    }
    const width = list.clientWidth / columns
    for (let at = first; at < last; at++) {
      if (tiles.has(at)) continue
      const tile = makeTile(at)
      tile.entry.style.width = `${width}px`
      tile.entry.style.height = `${tileHeight}px`
      tile.entry.style.transform = `translate(${(at % columns) * width}px, ${Math.floor(at / columns) * tileHeight}px)`
      tiles.set(at, tile)
    }
  }

  const buttonOf = (at) => tiles.get(at)?.entry.querySelector('button')

  function focus(at) {
    buttonOf(current)?.setAttribute('tabindex', '-1')
    current = Math.min(items.length - 1, Math.max(0, at))
    const top = Math.floor(current / columns) * tileHeight
    if (top < viewport.scrollTop) viewport.scrollTop = top
    else if (top + tileHeight > viewport.scrollTop + viewport.clientHeight)
      viewport.scrollTop = top + tileHeight - viewport.clientHeight
    showVisible()
    const button = buttonOf(current)
    if (button) button.tabIndex = 0
    button?.focus({ preventScroll: true })
  }

  list.addEventListener('keydown', (event) => {
    const page = Math.max(1, Math.floor(viewport.clientHeight / tileHeight)) * columns
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: page, PageUp: -page }
    const to = event.key === 'Home' ? 0 : event.key === 'End' ? items.length - 1 : current + (steps[event.key] ?? NaN)
    if (Number.isNaN(to)) return
    event.preventDefault()
    focus(to)
  })
  list.addEventListener('focusin', (event) => {
    const at = Number(event.target.dataset.at)
    if (Number.isNaN(at) || at === current) return
    buttonOf(current)?.setAttribute('tabindex', '-1')
    current = at
    event.target.tabIndex = 0
  })
  viewport.addEventListener('scroll', () => requestAnimationFrame(showVisible), { passive: true })
  new ResizeObserver(() => layOut()).observe(viewport)

  return {
    /** Calls back with the number of a tile among those shown when it is opened. */
    onOpen: (callback) => void (open = callback),
    focus,
    /** Shows these items of the index. */
    show(shown) {
      items = shown
      current = 0
      viewport.scrollTop = 0
      layOut()
    },
    /** The opacity of the maps, 0 to 1. */
    setOpacity(value) {
      opacity = value
      for (const { redraw } of tiles.values()) redraw()
    },
  }
}
