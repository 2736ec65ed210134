// The page: what is shown of which image, and what follows from a change.
import { palettes } from '../report/palettes.js'
import { linkSliders } from '../report/slider.js'
import { createApi } from './api.js'
import { createClasses } from './classes.js'
import { byId, copyText, make } from './dom.js'
import { createEvaluation } from './evaluation.js'
import { createExplanations } from './explanations.js'
import { createImages } from './images.js'
import { createLayers } from './layers.js'
import { createMethods } from './methods.js'
import { createReproduction } from './reproduce.js'
import { createSettings, readLink, writeLink } from './settings.js'
import { createStage } from './stage.js'
import { askToken } from './token.js'

const api = createApi(askToken)
const settings = createSettings(readLink(location.hash))
/** What is shown: see stage.js. */
const shown = { image: null, bitmap: null, maps: new Map(), errors: new Map(), subject: '' }
const state = () => shown

function showError(error) {
  byId('error').hidden = error === null
  byId('error-text').textContent = error?.message ?? ''
}
byId('error-close').addEventListener('click', () => showError(null))

async function start() {
  const [models, listed] = await Promise.all([api.models(), api.methods()])
  const methods = new Map(listed.map((method) => [method.name, method]))
  correctSettings(models, methods)
  const model = () => models.find(({ name }) => name === settings.get().model) ?? models[0]
  const explanations = createExplanations(api, methods)
  const parts = { api, settings, explanations, methods, state, model, onError: showError }
  const stage = createStage(parts)
  const layers = createLayers(settings)
  const classes = createClasses(settings, (count) => void showMore(count))
  const thumbnails = createMethods({ ...parts, onMap: () => thumbnails.draw() })
  const evaluation = createEvaluation(parts)
  const reproduction = createReproduction(parts)
  let running = null
  let layersOf = null

  /** Computes and shows what the settings ask for of the current image. */
  async function explain() {
    running?.abort(new Error('The view has changed.'))
    const own = (running = new AbortController())
    const { image } = shown
    if (!image) return
    const current = settings.get()
    thumbnails.pause(true)
    byId('status').textContent = 'Explaining…'
    shown.errors = new Map()
    const [bitmap] = await Promise.all([
      image.decoded.catch(() => null),
      find(image, current, own.signal).catch((error) => own.signal.aborted || showError(error)),
    ])
    if (own.signal.aborted || image !== shown.image) return
    shown.bitmap = bitmap
    const [map] = shown.maps.values()
    if (map) tell(map)
    else byId('status').textContent = ''
    stage.drawNow()
    performance.mark('maps-drawn')
    thumbnails.draw()
    reproduction.draw()
    thumbnails.pause(false)
    void loadLayers()
  }

  async function showMore(count) {
    const { image } = shown
    const top = await explanations.classes(image, settings.get(), count).catch(showError)
    if (top && image === shown.image) classes.show({ top })
  }

  /** The maps that are shown: together, or each alone where that fails. */
  async function find(image, current, signal) {
    showError(null)
    const maps = new Map()
    const errors = new Map()
    const explainSome = async (names) => {
      for (const map of await explanations.explain(image, current, names, signal)) maps.set(map.method, map)
    }
    const fails = async (names) => {
      const error = await explainSome(names).then(
        () => null,
        (failure) => failure,
      )
      signal.throwIfAborted()
      if (error && names.length === 1) errors.set(names[0], error.message)
      return error !== null
    }
    const names = current.methods
    if ((await fails(names)) && names.length > 1) for (const name of names) await fails([name])
    Object.assign(shown, { maps, errors })
    if (maps.size === 0) throw new Error(errors.values().next().value)
  }

  /** Says what was found. */
  function tell(map) {
    const { labels } = model()
    classes.show({ labels, outputs: map.outputs, top: map.top, shown: map.class < 0 ? null : map.class })
    const { minus } = settings.get()
    const name = map.class < 0 ? 'the output' : classes.nameOf(map.class)
    shown.subject = minus === null ? name : `${name} minus ${classes.nameOf(minus)}`
    byId('status').textContent =
      `${shown.image.name}: ${shown.subject}, score ${map.score.toFixed(2)}; ${shown.maps.size} of ${settings.get().methods.length} maps.`
  }

  async function loadLayers() {
    const { name, defaultLayer } = model()
    if (layersOf === name) return
    layersOf = name
    await api.layers(name).then(
      (list) => layersOf === name && layers.show(list, defaultLayer),
      (error) => {
        layersOf = null
        showError(error)
      },
    )
  }

  const images = createImages({
    onError: showError,
    toPng: (image) => api.asPng(image, { model: model().name, method: settings.get().methods.slice(0, 1) }),
    onCurrent: (image) => {
      document.body.classList.toggle('empty', image === null)
      Object.assign(shown, { image, bitmap: null, maps: new Map(), errors: new Map() })
      settings.set({ sample: image?.sample ?? null })
      stage.reset()
      thumbnails.renew()
      evaluation.clear()
      void explain()
    },
  })

  const recompute = ['model', 'layer', 'target', 'minus', 'methods']
  settings.onChange((current, changed) => {
    history.replaceState(null, '', `#${writeLink(current)}`)
    showControls()
    stage.draw()
    layers.draw()
    if (recompute.some((key) => changed.has(key))) {
      if (!changed.has('methods') || changed.size > 1) thumbnails.renew()
      evaluation.clear()
      void explain()
    }
    if (['opacity', 'colours', 'gradients', 'threshold'].some((key) => changed.has(key))) thumbnails.draw()
  })

  const showControls = connectControls(models, model, methods)
  window.addEventListener('hashchange', () => {
    const linked = readLink(location.hash)
    settings.set(linked)
    if (linked.sample !== null && linked.sample !== shown.image?.sample)
      images.addSample(linked.sample).catch(showError)
  })
  byId('copy-link').addEventListener('click', () => {
    const say = () => (byId('status').textContent = 'The link is copied.')
    copyText(location.href).then(say, showError)
  })
  document.body.classList.add('ready')
  const { sample } = settings.get()
  if (sample !== null) await images.addSample(sample)
}

/** A link may name a model or methods that this server does not have. */
function correctSettings(models, methods) {
  const { model, methods: names } = settings.get()
  const known = names.filter((name) => methods.has(name))
  const [first = ''] = methods.keys()
  settings.set({
    model: models.some(({ name }) => name === model) ? model : null,
    methods: known.length > 0 ? known : [methods.has('gradcam') ? 'gradcam' : first],
  })
}

/** The controls that set one value each; returns what shows the values. */
function connectControls(models, model, methods) {
  byId('model-choice').hidden = models.length < 2
  byId('model').append(...models.map(({ name }) => make('option', { value: name }, name)))
  byId('model').addEventListener('change', ({ target }) =>
    settings.set({ model: target.value, layer: null, target: null, minus: null }),
  )
  for (const id of ['colours', 'gradients']) {
    byId(id).append(...Object.entries(palettes).map(([name, { title }]) => make('option', { value: name }, title)))
    byId(id).addEventListener('change', ({ target }) => settings.set({ [id]: target.value }))
  }
  const sliders = ['opacity', 'threshold'].map((id) => [
    id,
    linkSliders([byId(id)], (value) => settings.set({ [id]: value })),
  ])
  const show = () => {
    const current = settings.get()
    byId('model').value = model().name
    for (const id of ['colours', 'gradients']) byId(id).value = current[id]
    for (const [id, set] of sliders) set(current[id])
    const fine = current.methods.map((name) => methods.get(name)?.fine ?? false)
    byId('gradients').parentElement.hidden = !fine.includes(true)
    for (const id of ['opacity', 'threshold', 'colours']) byId(id).parentElement.hidden = !fine.includes(false)
  }
  show()
  return show
}

start().catch(showError)
