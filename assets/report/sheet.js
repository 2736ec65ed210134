'use strict'
// The contact sheet: of its tiles only those are in the page that can be seen.
;(() => {
  const { gradcam } = globalThis
  const main = document.getElementById('sheet')
  const list = document.getElementById('tiles')
  const least = 190
  const tileHeight = 216
  const imageHeight = 150

  let items = []
  let columns = 1
  let opacity = 0.5
  /** The tile that Tab comes to, by its place among the items shown. */
  let current = 0
  let open = () => {}
  const tiles = new Map()

  function tile(at) {
    const item = items[at]
    const details = gradcam.details(item.place)
    const entry = document.createElement('li')
    entry.setAttribute('aria-posinset', String(at + 1))
    entry.setAttribute('aria-setsize', String(items.length))
    const button = document.createElement('button')
    button.type = 'button'
    button.dataset.at = String(at)
    button.tabIndex = at === current ? 0 : -1
    const place = document.createElement('span')
    place.className = 'image'
    const text = document.createElement('span')
    text.className = 'text'
    const add = (name, content) => {
      const line = document.createElement('span')
      line.className = name
      line.textContent = content
      text.append(line)
    }
    if (item.failed) {
      const error = document.createElement('span')
      error.className = 'error'
      error.textContent = details.error.message
      place.append(error)
      add('class', details.error.code ?? 'failed')
    } else {
      const [height, width] = details.size
      const scale = Math.min(list.clientWidth / columns / width, imageHeight / height)
      const canvas = document.createElement('canvas')
      canvas.width = Math.max(1, Math.round(width * scale))
      canvas.height = Math.max(1, Math.round(height * scale))
      canvas.setAttribute('aria-hidden', 'true')
      place.append(canvas)
      add('class', `${gradcam.className(item.target, item.label)} ${gradcam.percent(item.confidence)}`)
      entry.redraw = () => gradcam.draw(canvas, details, entry.image ?? null, opacity)
      entry.redraw()
      void gradcam.image(details, false).then((image) => {
        entry.image = image
        entry.redraw()
      })
    }
    add('name', item.id)
    button.title = item.id
    button.append(place, text)
    button.addEventListener('click', () => open(at))
    entry.append(button)
    list.append(entry)
    return entry
  }

  function layOut() {
    const width = list.clientWidth
    columns = Math.max(1, Math.floor(width / least))
    list.style.height = `${Math.ceil(items.length / columns) * tileHeight}px`
    for (const entry of tiles.values()) entry.remove()
    tiles.clear()
    show()
  }

  function show() {
    const first = Math.max(0, Math.floor(main.scrollTop / tileHeight) - 1) * columns
    const last = Math.min(items.length, (Math.ceil((main.scrollTop + main.clientHeight) / tileHeight) + 1) * columns)
    for (const [at, entry] of tiles) {
      // What has the focus stays, or the keyboard would be lost.
      if ((at >= first && at < last) || entry.contains(document.activeElement)) continue
      entry.remove()
      tiles.delete(at)
    }
    const width = list.clientWidth / columns
    for (let at = first; at < last; at++) {
      if (tiles.has(at)) continue
      const entry = tile(at)
      entry.style.width = `${width}px`
      entry.style.height = `${tileHeight}px`
      entry.style.transform = `translate(${(at % columns) * width}px, ${Math.floor(at / columns) * tileHeight}px)`
      tiles.set(at, entry)
    }
  }

  function focus(at) {
    tiles.get(current)?.querySelector('button').setAttribute('tabindex', '-1')
    current = Math.min(items.length - 1, Math.max(0, at))
    const top = Math.floor(current / columns) * tileHeight
    if (top < main.scrollTop) main.scrollTop = top
    else if (top + tileHeight > main.scrollTop + main.clientHeight)
      main.scrollTop = top + tileHeight - main.clientHeight
    show()
    const button = tiles.get(current)?.querySelector('button')
    if (button) button.tabIndex = 0
    button?.focus({ preventScroll: true })
  }

  list.addEventListener('keydown', (event) => {
    const page = Math.max(1, Math.floor(main.clientHeight / tileHeight)) * columns
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: page, PageUp: -page }
    const to = event.key === 'Home' ? 0 : event.key === 'End' ? items.length - 1 : current + (steps[event.key] ?? NaN)
    if (Number.isNaN(to)) return
    event.preventDefault()
    focus(to)
  })
  list.addEventListener('focusin', (event) => {
    const at = Number(event.target.dataset.at)
    if (Number.isNaN(at) || at === current) return
    tiles.get(current)?.querySelector('button').setAttribute('tabindex', '-1')
    current = at
    event.target.tabIndex = 0
  })
  main.addEventListener('scroll', () => requestAnimationFrame(show), { passive: true })
  new ResizeObserver(() => layOut()).observe(main)

  Object.assign(gradcam, {
    sheet: {
      onOpen: (callback) => (open = callback),
      focus,
      show(shown) {
        items = shown
        current = 0
        main.scrollTop = 0
        layOut()
      },
      setOpacity(value) {
        opacity = value
        for (const entry of tiles.values()) entry.redraw?.()
      },
    },
  })
})()
