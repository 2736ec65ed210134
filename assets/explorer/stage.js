// The maps that are shown, side by side, with one view and one cursor for all.
import { palettes } from '../report/palettes.js'
import { byId, make, saveFile } from './dom.js'
import { cellAt, drawFigure, middleOf, peakOf, scaleOf } from './figure.js'

const mostZoom = 32
/** The longer side of an image that is saved, in pixels. */
const mostSaved = 8192

const numeral = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(6))) : String(value))

const short = (value) => String(Number(value.toPrecision(3)))

/**
 * @param parts `settings`, `methods` by name, and `state()`: { image, bitmap, maps: by method, errors: by method, subject: what the
 *   maps explain, in words }
 */
export function createStage({ settings, methods, state }) {
  const figures = new Map()
  let view = { zoom: 1, x: 0, y: 0 }
  let cursor = null

  const imageSize = () => {
    const { bitmap, maps } = state()
    const [first] = maps.values()
    return first ? first.size : bitmap ? [bitmap.height, bitmap.width] : [1, 1]
  }
  const howOf = (name) => ({ ...settings.get(), fine: methods.get(name)?.fine ?? false })

  function makeFigure(name) {
    const title = methods.get(name)?.title ?? name
    const canvas = make('canvas', { role: 'img' })
    const pad = make('div', { class: 'pad', role: 'application', tabIndex: 0 }, canvas)
    const bar = make('canvas', { class: 'colours', width: 256, height: 1, 'aria-hidden': 'true' })
    const parts = {
      canvas,
      pad,
      bar,
      low: make('span', { class: 'low' }),
      high: make('span', { class: 'high' }),
      value: make('data', { class: 'value' }),
      cell: make('span', { class: 'cell' }),
      message: make('p', { class: 'message' }),
    }
    const save = (what, text, make_) =>
      make(
        'button',
        { type: 'button', 'aria-label': `Save ${title} as ${what}`, on: { click: () => make_(name) } },
        text,
      )
    parts.element = make(
      'figure',
      {},
      pad,
      make(
        'figcaption',
        {},
        make(
          'div',
          { class: 'title' },
          make('strong', {}, title),
          save('PNG', 'PNG', savePng),
          save('.npy', '.npy', saveNpy),
        ),
        make('div', { class: 'legend' }, parts.low, bar, parts.high),
        make('div', { class: 'readout' }, parts.value, parts.cell),
        parts.message,
      ),
    )
    parts.element.dataset.method = name
    listen(pad, name)
    return parts
  }

  /** The point of the image under the pointer. */
  function pointOf(canvas, { clientX, clientY }) {
    const box = canvas.getBoundingClientRect()
    const [height, width] = imageSize()
    const fit = Math.min(box.width / width, box.height / height)
    const left = (box.width - width * fit) / 2
    const top = (box.height - height * fit) / 2
    return {
      x: (clientX - box.left - left) / (fit * view.zoom) + view.x,
      y: (clientY - box.top - top) / (fit * view.zoom) + view.y,
    }
  }

  function listen(pad, name) {
    const { canvas } = { canvas: pad.querySelector('canvas') }
    let drag = null
    pad.addEventListener('pointerdown', (event) => {
      if (view.zoom > 1) drag = { x: event.clientX, y: event.clientY, view, id: event.pointerId }
      if (drag) pad.setPointerCapture(event.pointerId)
      setCursor(pointOf(canvas, event))
    })
    pad.addEventListener('pointermove', (event) => {
      if (drag) {
        const from = pointOf(canvas, { clientX: drag.x, clientY: drag.y })
        const to = pointOf(canvas, event)
        setView({ zoom: view.zoom, x: drag.view.x + (from.x - to.x), y: drag.view.y + (from.y - to.y) })
      } else setCursor(pointOf(canvas, event))
    })
    for (const end of ['pointerup', 'pointercancel']) pad.addEventListener(end, () => (drag = null))
    pad.addEventListener('pointerleave', () => {
      if (document.activeElement !== pad) setCursor(null)
    })
    pad.addEventListener(
      'wheel',
      (event) => {
        // Without a key the wheel scrolls the page.
        if (!event.ctrlKey && !event.metaKey) return
        event.preventDefault()
        zoomAt(pointOf(canvas, event), Math.exp(-event.deltaY / 200))
      },
      { passive: false },
    )
    pad.addEventListener('keydown', (event) => onKey(event, name))
  }

  function onKey(event, name) {
    const map = state().maps.get(name)
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }
    const step = steps[event.key]
    const zooms = { '+': 1.5, '=': 1.5, '-': 1 / 1.5, 0: 0 }
    if (step && map) {
      event.preventDefault()
      moveCursor(map, step)
    } else if (Object.hasOwn(zooms, event.key) && !event.ctrlKey && !event.metaKey) {
      event.preventDefault()
      if (zooms[event.key] === 0) setView({ zoom: 1, x: 0, y: 0 })
      else zoomAt(cursor ?? middle(), zooms[event.key])
    }
  }

  function moveCursor(map, [down, along]) {
    const at = cursor && cellAt(map, cursor)
    const from = at ?? { row: Math.floor(map.height / 2), column: Math.floor(map.width / 2) }
    const within = (value, count) => Math.min(count - 1, Math.max(0, value))
    const to = at
      ? { row: within(from.row + down, map.height), column: within(from.column + along, map.width) }
      : { row: from.row, column: from.column }
    const point = middleOf(map, to)
    // Cells of padding lie outside the image.
    if (cellAt(map, point)) setCursor(point)
    follow()
    const cell = cursor && cellAt(map, cursor)
    if (cell) byId('readout').textContent = `${cellText(map, cell)}: ${numeral(cell.value)}`
  }

  const cellText = ({ height, width }, { row, column }) =>
    `row ${row + 1} of ${height}, column ${column + 1} of ${width}`

  const middle = () => {
    const [height, width] = imageSize()
    return { x: view.x + width / view.zoom / 2, y: view.y + height / view.zoom / 2 }
  }

  /** Keeps the cursor in view while it is moved by keys. */
  function follow() {
    if (view.zoom === 1 || !cursor) return
    const [height, width] = imageSize()
    const [wide, high] = [width / view.zoom, height / view.zoom]
    const isSeen = cursor.x > view.x && cursor.x < view.x + wide && cursor.y > view.y && cursor.y < view.y + high
    if (!isSeen) setView({ zoom: view.zoom, x: cursor.x - wide / 2, y: cursor.y - high / 2 })
  }

  function zoomAt({ x, y }, factor) {
    const zoom = Math.min(mostZoom, Math.max(1, view.zoom * factor))
    const share = view.zoom / zoom
    setView({ zoom, x: x - (x - view.x) * share, y: y - (y - view.y) * share })
  }

  function setView({ zoom, x, y }) {
    const [height, width] = imageSize()
    const within = (value, size) => Math.min(size - size / zoom, Math.max(0, value))
    view = { zoom, x: within(x, width), y: within(y, height) }
    byId('zoom-shown').textContent = `${Math.round(100 * zoom)} %`
    byId('zoom-out').disabled = byId('zoom-reset').disabled = zoom === 1
    for (const { pad } of figures.values()) pad.classList.toggle('zoomed', zoom > 1)
    drawAll()
  }

  function setCursor(point) {
    cursor = point
    drawAll()
  }

  /** Sizes a canvas to its place, in pixels of the screen. */
  function fitCanvas({ canvas, pad }) {
    const [height, width] = imageSize()
    pad.style.aspectRatio = `${width} / ${height}`
    const ratio = devicePixelRatio || 1
    const size = [Math.round(pad.clientWidth * ratio), Math.round(pad.clientHeight * ratio)]
    if (canvas.width !== size[0]) canvas.width = size[0]
    if (canvas.height !== size[1]) canvas.height = size[1]
  }

  function drawOne(name, parts) {
    const { image, bitmap, maps, errors, subject } = state()
    const map = maps.get(name) ?? null
    fitCanvas(parts)
    if (bitmap) drawFigure(parts.canvas, { image: bitmap, map, how: howOf(name), view, cursor })
    const title = methods.get(name)?.title ?? name
    const what = map ? `${title} for ${subject}; ${peakOf(map)}` : `${title}, not computed yet`
    parts.canvas.setAttribute('aria-label', `${image?.name ?? ''} with ${what}`)
    parts.pad.setAttribute('aria-label', `Map of ${title}. Arrow keys read the cells, plus and minus zoom.`)
    const reason = errors.get(name) ?? (map && map.condition.state !== 'ok' ? map.condition.reason : null)
    parts.message.textContent = reason ?? ''
    parts.element.classList.toggle('pending', !map && !errors.has(name))
    for (const button of parts.element.querySelectorAll('.title button')) button.disabled = !map
    drawLegend(parts, map, howOf(name))
    const cell = map && cursor ? cellAt(map, cursor) : null
    parts.value.value = cell ? String(cell.value) : ''
    parts.value.textContent = cell ? numeral(cell.value) : ''
    parts.cell.textContent = cell ? cellText(map, cell) : map ? `${map.height} × ${map.width} cells` : ''
  }

  function drawLegend({ bar, low, high }, map, how) {
    const scale = map && scaleOf(map, how)
    low.textContent = scale ? `${scale.isOver ? '≤ ' : ''}${short(scale.low)}` : ''
    high.textContent = scale ? `${scale.isOver ? '≥ ' : ''}${short(scale.high)}` : ''
    const { table } = palettes[how.fine ? how.gradients : how.colours]
    const context = bar.getContext('2d')
    const colours = context.createImageData(256, 1)
    for (let color = 0; color < 256; color++) {
      colours.data.set(table.subarray(3 * color, 3 * color + 3), 4 * color)
      colours.data[4 * color + 3] = 255
    }
    context.putImageData(colours, 0, 0)
  }

  let isDue = false
  function drawAll() {
    if (isDue) return
    isDue = true
    requestAnimationFrame(() => {
      isDue = false
      drawNow()
    })
  }

  function drawNow() {
    const shown = settings.get().methods
    for (const [name, { element }] of figures)
      if (!shown.includes(name)) {
        element.remove()
        figures.delete(name)
      }
    for (const name of shown) {
      if (!figures.has(name)) figures.set(name, makeFigure(name))
      const { element } = figures.get(name)
      if (!element.isConnected) byId('figures').append(element)
    }
    byId('figures').style.setProperty('--count', String(shown.length))
    for (const [name, parts] of figures) drawOne(name, parts)
  }

  const nameOf = (name) => `${state().image.name.replace(/\.[^.]*$/, '')}-${name}`

  function savePng(name) {
    const { bitmap, maps } = state()
    const [height, width] = imageSize()
    const share = Math.min(1, mostSaved / Math.max(height, width))
    const canvas = make('canvas', { width: Math.round(width * share), height: Math.round(height * share) })
    drawFigure(canvas, { image: bitmap, map: maps.get(name), how: howOf(name) })
    canvas.toBlob((blob) => saveFile(blob, `${nameOf(name)}.png`), 'image/png')
  }

  /** The bytes as the server sent them. */
  const saveNpy = (name) => saveFile(state().maps.get(name).npy, `${nameOf(name)}.npy`)

  byId('zoom-in').addEventListener('click', () => zoomAt(cursor ?? middle(), 1.5))
  byId('zoom-out').addEventListener('click', () => zoomAt(cursor ?? middle(), 1 / 1.5))
  byId('zoom-reset').addEventListener('click', () => setView({ zoom: 1, x: 0, y: 0 }))
  new ResizeObserver(drawAll).observe(byId('figures'))

  return {
    draw: drawAll,
    drawNow,
    /** Of another image. */
    reset() {
      cursor = null
      setView({ zoom: 1, x: 0, y: 0 })
    },
  }
}
