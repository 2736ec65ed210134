// The classes with their scores; one is explained, or the difference of two.
import { byId, make, makeRoving } from './dom.js'

const percent = (share) => `${(100 * share).toFixed(1)} %`

/** Classes that a search lists. */
const mostFound = 30

/**
 * @param settings see settings.js
 * @param {(count: number) => void} onMore asks for that many of the highest classes
 */
export function createClasses(settings, onMore) {
  /** What the server says of the model and the image: { labels, outputs, top, shown: the class of the maps }. */
  let known = { labels: null, outputs: 0, top: [], shown: null }

  const rove = makeRoving(byId('class-list'), '[aria-pressed="true"]')
  const nameOf = (index) => known.labels?.[index] || `class ${index}`

  function choose(index) {
    settings.set({ target: index, minus: null })
  }

  function subtract(index) {
    const { target, minus } = settings.get()
    settings.set(minus === index ? { minus: null } : { target: target ?? known.shown, minus: index })
  }

  /** The classes to list: the highest, or those that are searched for; and in any case those that are shown. */
  function listed() {
    const { minus } = settings.get()
    const search = byId('class-search').value.trim().toLowerCase()
    const scores = new Map(known.top.map((one) => [one.class, one]))
    const row = (index) => scores.get(index) ?? { class: index, score: null, probability: null }
    if (search === '') {
      const chosen = [known.shown, minus].filter((index) => index !== null && index >= 0 && !scores.has(index))
      return [...known.top, ...chosen.map(row)]
    }
    const found = []
    for (let index = 0; index < known.outputs && found.length < mostFound; index++)
      if (String(index) === search || nameOf(index).toLowerCase().includes(search)) found.push(row(index))
    return found
  }

  function makeRow({ class: index, score, probability }) {
    const { minus } = settings.get()
    const name = nameOf(index)
    const figures = score === null ? '' : `score ${score.toFixed(2)}, ${percent(probability)}`
    const bar = make('span', { class: 'bar', 'aria-hidden': 'true' })
    bar.style.setProperty('--share', String(probability ?? 0))
    const main = make(
      'button',
      { type: 'button', class: 'class', 'aria-pressed': index === known.shown, on: { click: () => choose(index) } },
      bar,
      make('span', { class: 'name' }, name),
      make('span', { class: 'score', title: figures }, score === null ? '' : score.toFixed(2)),
      make('span', { class: 'share' }, probability === null ? '' : percent(probability)),
    )
    const less = make(
      'button',
      {
        type: 'button',
        class: 'minus',
        'aria-pressed': index === minus,
        'aria-label': `Subtract ${name}`,
        title: `Subtract ${name}: what speaks for the chosen class rather than for this one`,
        disabled: index === known.shown,
        on: { click: () => subtract(index) },
      },
      '−',
    )
    main.dataset.class = less.dataset.minus = String(index)
    return make('li', {}, main, less)
  }

  function draw() {
    const focused = document.activeElement
    const [key, value] = Object.entries(focused?.dataset ?? {})[0] ?? []
    const isRow = byId('class-list').contains(focused)
    const rows = listed()
    byId('class-list').replaceChildren(...rows.map(makeRow))
    rove()
    if (isRow) byId('class-list').querySelector(`[data-${key}="${value}"]`)?.focus()
    const { minus } = settings.get()
    const hasClasses = known.outputs > 1
    byId('classes-none').hidden = hasClasses || known.shown === null
    byId('class-search').parentElement.hidden = !hasClasses
    byId('class-more').hidden = byId('class-search').value !== '' || known.top.length >= Math.min(known.outputs, 100)
    byId('class-shown').textContent =
      known.shown === null || known.shown < 0
        ? ''
        : minus === null
          ? `Shown: ${nameOf(known.shown)}`
          : `Shown: ${nameOf(known.shown)} minus ${nameOf(minus)}`
  }

  byId('class-search').addEventListener('input', draw)
  byId('class-more').addEventListener('click', () => onMore(100))
  return {
    nameOf,
    /** Shows what was found; what is not given stays. */
    show(changes) {
      known = { ...known, ...changes }
      draw()
    },
  }
}
