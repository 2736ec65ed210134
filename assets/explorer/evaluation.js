// Insertion and deletion curves of the maps that are shown.
import { byId, make, makeSvg } from './dom.js'

const metrics = {
  insertion: { title: 'Insertion', better: 'higher is better', about: 'pixels put into a blurred image' },
  deletion: { title: 'Deletion', better: 'lower is better', about: 'pixels removed' },
}

const [width, height, left, bottom, top] = [320, 200, 44, 34, 10]
/** So that lines are told apart without their colours. */
const dashes = ['', '7 4', '2 3', '9 3 2 3']

function rangeOf(curves) {
  const values = curves.flat()
  const low = Math.min(0, ...values)
  const high = Math.max(...values)
  return high - low > 0 ? [low, high] : [low, low + 1]
}

function chart(metric, points, curves, unit) {
  const [low, high] = rangeOf(curves)
  const x = (share) => left + share * (width - left - 8)
  const y = (value) => height - bottom - ((value - low) / (high - low)) * (height - bottom - top)
  const { title, about } = metrics[metric]
  const label = (text, attributes) => {
    const element = makeSvg('text', attributes)
    element.textContent = text
    return element
  }
  const lines = curves.map((curve, i) =>
    makeSvg('polyline', {
      class: `curve curve-${i % 6}`,
      points: curve.map((value, k) => `${x(points[k]).toFixed(1)},${y(value).toFixed(1)}`).join(' '),
      'stroke-dasharray': dashes[Math.floor(i / 6) % dashes.length] || dashes[i % dashes.length],
    }),
  )
  const ticks = [low, (low + high) / 2, high].flatMap((value) => [
    makeSvg('line', { class: 'grid', x1: left, x2: width - 8, y1: y(value), y2: y(value) }),
    label(String(Number(value.toPrecision(2))), { class: 'tick', x: left - 6, y: y(value) + 4, 'text-anchor': 'end' }),
  ])
  const shares = [0, 0.5, 1].map((share) =>
    label(`${100 * share} %`, {
      class: 'tick',
      x: x(share),
      y: height - bottom + 15,
      'text-anchor': share === 1 ? 'end' : share === 0 ? 'start' : 'middle',
    }),
  )
  const axis = label(about, { class: 'tick', x: (left + width) / 2, y: height - 4, 'text-anchor': 'middle' })
  return make(
    'div',
    { class: 'chart' },
    make('h3', {}, `${title} (${unit})`),
    makeSvg(
      'svg',
      { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${title}: ${unit} by share of ${about}` },
      ...ticks,
      ...shares,
      axis,
      ...lines,
    ),
  )
}

function table(maps, titleOf) {
  const names = Object.keys(metrics)
  const head = ['Method', ...names.map((name) => `${metrics[name].title} (${metrics[name].better})`)]
  const rows = maps.map(({ method, results, condition }, i) =>
    make(
      'tr',
      {},
      make(
        'th',
        { scope: 'row' },
        makeSvg(
          'svg',
          { class: 'key', viewBox: '0 0 24 8', 'aria-hidden': 'true' },
          makeSvg('line', {
            class: `curve curve-${i % 6}`,
            x1: 0,
            x2: 24,
            y1: 4,
            y2: 4,
            'stroke-dasharray': dashes[i % dashes.length],
          }),
        ),
        ` ${titleOf(method)}`,
      ),
      ...names.map((name) =>
        make('td', {}, results ? results[name].value.toFixed(4) : (condition.reason ?? 'not finite')),
      ),
    ),
  )
  return make(
    'table',
    {},
    make('caption', {}, 'Area under the curve'),
    make('thead', {}, make('tr', {}, ...head.map((text) => make('th', { scope: 'col' }, text)))),
    make('tbody', {}, ...rows),
  )
}

/**
 * @param parts `api`, `settings`, `explanations`, `methods` by name, `state()`, `onError`
 */
export function createEvaluation({ api, settings, explanations, methods, state, onError }) {
  const titleOf = (name) => methods.get(name)?.title ?? name
  const button = byId('evaluate')
  let running = null

  async function run() {
    const { image } = state()
    const current = settings.get()
    running?.abort(new Error('Another evaluation has begun.'))
    const own = (running = new AbortController())
    button.disabled = true
    byId('evaluation-state').textContent = 'Computing…'
    try {
      const options = explanations.optionsOf(current, current.methods)
      const { maps, points } = await api.evaluate(image, options, own.signal)
      const unit = current.minus === null ? 'probability' : 'difference of scores'
      const measured = maps.filter(({ results }) => results !== null)
      byId('evaluation-result').replaceChildren(
        make(
          'div',
          { class: 'charts' },
          ...(measured.length > 0 ? Object.keys(metrics) : []).map((name) =>
            chart(
              name,
              points,
              measured.map(({ results }) => results[name].curve),
              unit,
            ),
          ),
        ),
        table(maps, titleOf),
      )
      byId('evaluation-state').textContent = `Evaluated: ${maps.map(({ method }) => titleOf(method)).join(', ')}.`
    } catch (error) {
      if (own.signal.aborted) return
      byId('evaluation-state').textContent = ''
      onError(error)
    } finally {
      if (running === own) {
        running = null
        button.disabled = false
      }
    }
  }

  button.addEventListener('click', () => void run())

  return {
    /** Of another image, target, layer or other methods: the curves are not those of what is shown. */
    clear() {
      running?.abort(new Error('The view has changed.'))
      running = null
      button.disabled = state().image === null
      byId('evaluation-result').replaceChildren()
      byId('evaluation-state').textContent = ''
    },
  }
}
