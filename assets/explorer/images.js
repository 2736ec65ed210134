// The images of the page: how they come in, and the strip of them.
import { byId, make } from './dom.js'

/** Images that come with the server. */
export const samples = [
  { name: 'cat_dog.png', title: 'Cat and dog' },
  { name: 'rabbit-fish.webp', title: 'Rabbit and fish' },
  { name: 'bird-turtle.webp', title: 'Bird and turtle' },
]

/**
 * @param events `onCurrent(image)`, where another image is shown, null for none; `onError(error)`; `toPng(image)`, for a format
 *   that the browser cannot show: resolves with a blob
 */
export function createImages({ onCurrent, onError, toPng }) {
  const all = []
  let current = null
  let next = 0

  async function decode(image) {
    // As it is to be seen: turned as the camera says.
    const options = { imageOrientation: 'from-image' }
    return await createImageBitmap(image.file, options).catch(async () => {
      const png = await toPng(image)
      URL.revokeObjectURL(image.url)
      image.url = URL.createObjectURL(png)
      draw()
      return await createImageBitmap(png)
    })
  }

  function add(files, sample = null) {
    const images = files.map((file) => {
      const image = { id: next++, name: file.name || 'pasted', file, sample, uploaded: null, uploading: null }
      image.url = URL.createObjectURL(file)
      image.decoded = decode(image)
      image.decoded.catch(() => {}) // the page says why where it asks for the map
      return image
    })
    all.push(...images)
    if (images[0]) show(images[0])
  }

  function show(image) {
    current = image
    draw()
    onCurrent(image)
  }

  function remove(image) {
    const at = all.indexOf(image)
    all.splice(at, 1)
    URL.revokeObjectURL(image.url)
    if (image === current) show(all[Math.min(at, all.length - 1)] ?? null)
    else draw()
  }

  function draw() {
    const focused = document.activeElement?.dataset.image
    byId('strip').hidden = all.length === 0
    byId('strip').replaceChildren(
      ...all.map((image) => {
        const open = make(
          'button',
          { type: 'button', 'aria-pressed': image === current, title: image.name, on: { click: () => show(image) } },
          make('img', { src: image.url, alt: image.name }),
        )
        open.dataset.image = String(image.id)
        const close = make(
          'button',
          { type: 'button', class: 'remove', 'aria-label': `Remove ${image.name}`, on: { click: () => remove(image) } },
          '×',
        )
        return make('li', {}, open, close)
      }),
    )
    byId('strip').querySelector(`[data-image="${focused}"]`)?.focus()
  }

  async function addSample(name) {
    const reply = await fetch(`explorer/${name}`)
    if (!reply.ok) throw new Error(`The sample ${name} cannot be loaded.`)
    add([new File([await reply.blob()], name)], name)
  }

  /** Files that are images, or may be: some formats have no type in a browser. */
  function take(files) {
    const taken = [...files].filter(({ type }) => type === '' || type.startsWith('image/'))
    if (taken.length > 0) add(taken)
    else if (files.length > 0) onError(new Error('That is not an image file.'))
  }

  for (const { name, title } of samples)
    byId('samples').append(
      make('button', { type: 'button', on: { click: () => addSample(name).catch(onError) } }, title),
    )
  byId('choose').addEventListener('click', () => byId('file').click())
  byId('file').addEventListener('change', ({ target }) => {
    take(target.files)
    target.value = ''
  })
  document.addEventListener('paste', ({ clipboardData }) => take(clipboardData?.files ?? []))
  let inside = 0
  const mark = (change) => {
    inside = Math.max(0, inside + change)
    document.body.classList.toggle('dropping', inside > 0)
  }
  document.addEventListener('dragenter', () => mark(1))
  document.addEventListener('dragleave', () => mark(-1))
  document.addEventListener('dragover', (event) => event.preventDefault())
  document.addEventListener('drop', (event) => {
    event.preventDefault()
    mark(-inside)
    performance.mark('image-received')
    take(event.dataTransfer?.files ?? [])
  })
  return { addSample, current: () => current }
}
