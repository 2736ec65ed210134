'use strict'
// The controls above the sheet, and the dialog that shows one item.
;(() => {
  const { gradcam } = globalThis
  const { job, index, sheet } = gradcam
  const byId = (id) => document.getElementById(id)
  const number = (value) => value.toLocaleString('en')
  let shown = []
  let opened = 0

  byId('about').textContent = job.about
  const classes = new Map()
  for (const { target, label } of index) if (target !== null) classes.set(target, label)
  for (const [target, label] of [...classes].sort(([a], [b]) => a - b)) {
    const option = document.createElement('option')
    option.value = String(target)
    option.textContent = label === null ? `class ${target}` : `${label} (${target})`
    byId('class').append(option)
  }

  function update() {
    shown = gradcam.select({
      search: byId('search').value,
      target: byId('class').value,
      state: byId('state').value,
      from: Number(byId('from').value) / 100,
      to: Number(byId('to').value) / 100,
      scores: ['score-from', 'score-to'].map((id) => (byId(id).value === '' ? null : Number(byId(id).value))),
      sort: byId('sort').value,
    })
    const failed = shown.filter((item) => item.failed).length
    byId('status').textContent =
      `${number(shown.length)} of ${number(index.length)} shown, ${number(failed)} of them failed`
    sheet.show(shown)
  }

  function setOpacity(percent) {
    byId('opacity').value = byId('detail-opacity').value = percent
    sheet.setOpacity(percent / 100)
    byId('detail-image').redraw?.()
  }

  const dialog = byId('detail')

  function row(parent, tag, ...cells) {
    const line = document.createElement('tr')
    for (const cell of cells) line.append(Object.assign(document.createElement(tag), { textContent: cell }))
    parent.append(line)
  }

  function open(at) {
    opened = at
    const item = shown[at]
    const details = gradcam.details(item.place)
    byId('detail-name').textContent = item.id
    byId('detail-error').textContent = item.failed ? details.error.message : ''
    byId('detail-image').hidden = item.failed
    byId('detail-opacity').disabled = byId('detail-opacity').parentElement.hidden = item.failed
    byId('detail-top').parentElement.hidden = (details.top ?? []).length === 0
    byId('previous').disabled = at === 0
    byId('next').disabled = at === shown.length - 1
    byId('detail-top').replaceChildren()
    for (const { class: target, label, score, probability } of details.top ?? [])
      row(
        byId('detail-top'),
        'td',
        gradcam.className(target, label),
        score?.toFixed(3) ?? '',
        gradcam.percent(probability),
      )
    byId('detail-facts').replaceChildren()
    for (const [name, value] of Object.entries(details.facts)) {
      const term = Object.assign(document.createElement('dt'), { textContent: name })
      byId('detail-facts').append(term, Object.assign(document.createElement('dd'), { textContent: value }))
    }
    if (!item.failed) void drawDetail(item, details)
    if (!dialog.open) dialog.showModal()
  }

  async function drawDetail(item, details) {
    const canvas = byId('detail-image')
    const [height, width] = details.size
    // Large images are drawn no larger than a screen shows them, small ones not larger than they are by much.
    const scale = Math.min(860 / width, 620 / height, Math.max(1, 360 / Math.max(width, height)))
    canvas.width = Math.max(1, Math.round(width * scale))
    canvas.height = Math.max(1, Math.round(height * scale))
    const label = gradcam.className(item.target, item.label)
    canvas.setAttribute('aria-label', `${item.id} with the map for ${label}; ${details.where}`)
    const at = opened
    let image = null
    canvas.redraw = () => gradcam.draw(canvas, details, image, byId('detail-opacity').value / 100)
    for (const full of [false, true]) {
      const loaded = await gradcam.image(details, full)
      if (opened !== at) return
      image = loaded ?? image
      canvas.redraw()
    }
  }

  for (const id of ['search', 'class', 'state', 'from', 'to', 'score-from', 'score-to', 'sort'])
    byId(id).addEventListener('input', update)
  // On a phone the controls would leave little of the sheet: they fold away there.
  const small = matchMedia('(max-width: 600px), (max-height: 500px)')
  const fold = () => (byId('filters').open = !small.matches)
  small.addEventListener('change', fold)
  fold()
  byId('controls').addEventListener('submit', (event) => event.preventDefault())
  for (const id of ['opacity', 'detail-opacity'])
    byId(id).addEventListener('input', (event) => setOpacity(Number(event.target.value)))
  byId('previous').addEventListener('click', () => open(opened - 1))
  byId('next').addEventListener('click', () => open(opened + 1))
  byId('close').addEventListener('click', () => dialog.close())
  dialog.addEventListener('close', () => sheet.focus(opened))
  dialog.addEventListener('keydown', (event) => {
    if (event.target instanceof HTMLInputElement) return
    if (event.key === 'ArrowLeft' && opened > 0) open(opened - 1)
    if (event.key === 'ArrowRight' && opened < shown.length - 1) open(opened + 1)
  })
  sheet.onOpen(open)
  update()
})()
