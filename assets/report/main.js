// The page of a report: the controls above the sheet, and the dialog that shows one item.
import { drawItem } from './heat.js'
import { className, createItems, loadItemImage, percent, selectItems } from './items.js'
import { createSheet } from './sheet.js'
import { linkSliders } from './slider.js'

const byId = (id) => document.getElementById(id)
const number = (value) => value.toLocaleString('en')
const items = createItems(JSON.parse(byId('job').textContent), (block) => byId(`items-${block}`).textContent)
const { index } = items
const sheet = createSheet(byId('sheet'), byId('tiles'), items.details)
let shown = []
let opened = 0
/** Draws the image of the dialog again. */
let redrawDetail = () => {}

byId('about').textContent = items.about
const classes = new Map()
for (const { target, label } of index) if (target !== null) classes.set(target, label)
for (const [target, label] of [...classes].sort(([a], [b]) => a - b)) {
  const option = document.createElement('option')
  option.value = String(target)
  option.textContent = label === null ? `class ${target}` : `${label} (${target})`
  byId('class').append(option)
}

function update() {
  shown = selectItems(index, {
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

linkSliders([byId('opacity'), byId('detail-opacity')], (value) => {
  sheet.setOpacity(value / 100)
  redrawDetail()
})

const dialog = byId('detail')

function addRow(parent, tag, ...cells) {
  const row = document.createElement('tr')
  for (const cell of cells) row.append(Object.assign(document.createElement(tag), { textContent: cell }))
  parent.append(row)
}

function open(at) {
  opened = at
  const item = shown[at]
  const details = items.details(item.position)
  byId('detail-name').textContent = item.id
  byId('detail-error').textContent = item.failed ? details.error.message : ''
  byId('detail-image').hidden = item.failed
  byId('detail-opacity').disabled = byId('detail-opacity').parentElement.hidden = item.failed
  byId('detail-top').parentElement.hidden = (details.top ?? []).length === 0
  byId('previous').disabled = at === 0
  byId('next').disabled = at === shown.length - 1
  byId('detail-top').replaceChildren()
  for (const { class: target, label, score, probability } of details.top ?? [])
    addRow(byId('detail-top'), 'td', className(target, label), score?.toFixed(3) ?? '', percent(probability))
  byId('detail-facts').replaceChildren()
  for (const [name, value] of Object.entries(details.facts)) {
    const term = Object.assign(document.createElement('dt'), { textContent: name })
    byId('detail-facts').append(term, Object.assign(document.createElement('dd'), { textContent: value }))
  }
  redrawDetail = () => {}
  if (!item.failed) void drawDetail(item, details)
  if (!dialog.open) dialog.showModal()
}

async function drawDetail(item, details) {
  const canvas = byId('detail-image')
  const [height, width] = details.size
  // A large image is drawn no larger than a screen, a small one not much larger than it is.
  const scale = Math.min(860 / width, 620 / height, Math.max(1, 360 / Math.max(width, height)))
  canvas.width = Math.max(1, Math.round(width * scale))
  canvas.height = Math.max(1, Math.round(height * scale))
  const label = className(item.target, item.label)
  canvas.setAttribute('aria-label', `${item.id} with the map for ${label}; ${details.where}`)
  const at = opened
  let image = null
  redrawDetail = () => drawItem(canvas, details, image, byId('detail-opacity').value / 100)
  for (const full of [false, true]) {
    const loaded = await loadItemImage(details, full)
    if (opened !== at) return
    image = loaded ?? image
    redrawDetail()
  }
}

for (const id of ['search', 'class', 'state', 'from', 'to', 'score-from', 'score-to', 'sort'])
  byId(id).addEventListener('input', update)
// On a phone the controls would leave little space for the sheet: they are folded there.
const small = matchMedia('(max-width: 600px), (max-height: 500px)')
const fold = () => (byId('filters').open = !small.matches)
small.addEventListener('change', fold)
fold()
byId('controls').addEventListener('submit', (event) => event.preventDefault())
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
