// The methods as thumbnails: each is computed when it is seen, the cheap ones together and first.
import { byId, make, makeRoving } from './dom.js'
import { drawFigure } from './figure.js'

const side = 112

/**
 * @param parts `settings`, `explanations`, `methods` by name, `state()` with the image that is shown (null for none), and
 *   `onMap`, called when a map has come
 */
export function createMethods({ settings, explanations, methods, state, onMap, onError }) {
  const cards = new Map()
  /** Those that scrolled into view. */
  const seen = new Set()
  /** Methods that run the model many times are asked for one by one. */
  const asked = new Set()
  const failed = new Map()
  let running = null
  let isPaused = true

  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries)
      if (isIntersecting) seen.add(target.dataset.method)
      else seen.delete(target.dataset.method)
    void pump()
  })

  function toggle(name) {
    const shown = settings.get().methods
    const others = shown.filter((one) => one !== name)
    if (others.length === shown.length) settings.set({ methods: [...shown, name] })
    else if (others.length > 0) settings.set({ methods: others })
  }

  function makeCard(name, { title, needs, formula }) {
    const canvas = make('canvas', { width: side, height: side, 'aria-hidden': 'true' })
    const note = make('span', { class: 'note' })
    const main = make(
      'button',
      {
        type: 'button',
        class: 'method',
        title: `${title}: ${formula}`,
        on: {
          click: () => {
            asked.add(name)
            failed.delete(name)
            settings.set({ methods: [name] })
          },
        },
      },
      canvas,
      make('span', { class: 'name' }, title),
      note,
    )
    const beside = make(
      'button',
      {
        type: 'button',
        class: 'beside',
        'aria-label': `${title} beside the others`,
        title: 'Show it beside the others, or take it away',
        on: {
          click: () => {
            asked.add(name)
            failed.delete(name)
            toggle(name)
          },
        },
      },
      '+',
    )
    const card = make('li', {}, main, beside)
    card.dataset.method = name
    observer.observe(card)
    byId('method-list').append(card)
    cards.set(name, { canvas, note, main, beside, isSlow: needs === 'runs' })
  }

  for (const [name, method] of methods) makeCard(name, method)
  makeRoving(byId('method-list'), 'li')()

  function draw() {
    const { image, bitmap } = state()
    const current = settings.get()
    for (const [name, { canvas, note, main, beside, isSlow }] of cards) {
      const isShown = current.methods.includes(name)
      main.setAttribute('aria-pressed', String(isShown && current.methods.length === 1))
      beside.setAttribute('aria-pressed', String(isShown))
      beside.textContent = isShown ? '✓' : '+'
      const map = image && explanations.find(image, current, name)
      const error = failed.get(name)
      const waits = isSlow && !asked.has(name) ? 'runs many times: press' : image ? '…' : ''
      note.textContent = map ? '' : error ? 'no map' : waits
      note.title = error ?? ''
      note.classList.toggle('failed', Boolean(error) && !map)
      if (map && bitmap) drawFigure(canvas, { image: bitmap, map, how: { ...current, fine: methods.get(name).fine } })
      else canvas.getContext('2d').clearRect(0, 0, side, side)
    }
  }

  /** The methods to request next. */
  function nextOf(image, current) {
    const waiting = [...cards]
      .filter(([name, { isSlow }]) => seen.has(name) && !failed.has(name) && (!isSlow || asked.has(name)))
      .map(([name]) => name)
      .filter((name) => !explanations.find(image, current, name))
    // Methods of layers share their passes.
    const together = waiting.filter((name) => methods.get(name).by === 'Cam' && methods.get(name).needs !== 'runs')
    return together.length > 0 ? together : waiting.slice(0, 1)
  }

  async function pump() {
    const { image } = state()
    const current = settings.get()
    if (running || isPaused || !image || document.hidden) return
    const names = nextOf(image, current)
    if (names.length === 0) return
    running = new AbortController()
    try {
      await explanations.explain(image, current, names, running.signal)
      onMap()
    } catch (error) {
      if (!running.signal.aborted) {
        // One of several may be at fault: then each is tried alone.
        if (names.length === 1) failed.set(names[0], error.message)
        else for (const name of names) await alone(image, current, name)
        if (error.code === null) onError(error)
      }
    } finally {
      running = null
      draw()
    }
    void pump()
  }

  async function alone(image, current, name) {
    await explanations
      .explain(image, current, [name], running.signal)
      .catch((error) => running.signal.aborted || failed.set(name, error.message))
  }

  document.addEventListener('visibilitychange', () => void pump())

  return {
    draw,
    /** Of another image, layer or target: what is under way for the last one is not needed any more. */
    renew() {
      running?.abort(new Error('The view has changed.'))
      failed.clear()
      asked.clear()
      draw()
    },
    /** Thumbnails wait while the maps that are shown are computed. */
    pause(paused) {
      isPaused = paused
      void pump()
    },
  }
}
