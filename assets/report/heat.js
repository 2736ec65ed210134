'use strict'
// Draws images with their maps over them. The parts of the page share one object: modules cannot be loaded from file://.
globalThis.gradcam = (() => {
  const segments = [
    [0, 0, 0.35, 0, 0.66, 1, 0.89, 1, 1, 0.5],
    [0, 0, 0.125, 0, 0.375, 1, 0.64, 1, 0.91, 0, 1, 0],
    [0, 0.5, 0.11, 1, 0.34, 1, 0.65, 0, 1, 0],
  ]

  /** matplotlib's jet: 256 colours of red, green and blue bytes. */
  const jet = new Uint8ClampedArray(768)
  for (let color = 0; color < 256; color++)
    segments.forEach((points, channel) => {
      const at = color / 255
      let k = 2
      while (points[k] < at) k += 2
      const share = (at - points[k - 2]) / (points[k] - points[k - 2])
      jet[color * 3 + channel] = 255 * (points[k - 1] + share * (points[k + 1] - points[k - 1]))
    })

  const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0))

  /** The map of an item as a canvas of that size: bilinear between its cells, then painted. */
  function heat({ height, width, levels }, toWidth, toHeight) {
    const cells = fromBase64(levels)
    const canvas = document.createElement('canvas')
    canvas.width = Math.max(1, toWidth)
    canvas.height = Math.max(1, toHeight)
    const context = canvas.getContext('2d')
    const image = context.createImageData(canvas.width, canvas.height)
    const axis = (size, count) =>
      Array.from({ length: size }, (_, i) => {
        const at = Math.min(count - 1, Math.max(0, ((i + 0.5) * count) / size - 0.5))
        const cell = Math.floor(at)
        return [cell, Math.min(count - 1, cell + 1), at - cell]
      })
    const columns = axis(canvas.width, width)
    const line = new Float32Array(width)
    let out = 0
    for (const [above, below, down] of axis(canvas.height, height)) {
      for (let x = 0; x < width; x++) line[x] = cells[above * width + x] * (1 - down) + cells[below * width + x] * down
      for (const [left, right, along] of columns) {
        const color = Math.round(line[left] * (1 - along) + line[right] * along) * 3
        image.data[out++] = jet[color]
        image.data[out++] = jet[color + 1]
        image.data[out++] = jet[color + 2]
        image.data[out++] = 255
      }
    }
    context.putImageData(image, 0, 0)
    return canvas
  }

  /** Draws an item: its image (or grey where there is none) at the canvas's size, and its map where the model looked. */
  function draw(canvas, item, image, opacity) {
    const context = canvas.getContext('2d')
    context.fillStyle = '#888'
    context.fillRect(0, 0, canvas.width, canvas.height)
    if (image) context.drawImage(image, 0, 0, canvas.width, canvas.height)
    if (!item.map || opacity === 0) return
    const [height, width] = item.size
    const { top, left, bottom, right } = item.region
    const x = Math.round((left / width) * canvas.width)
    const y = Math.round((top / height) * canvas.height)
    const toWidth = Math.round((right / width) * canvas.width) - x
    const toHeight = Math.round((bottom / height) * canvas.height) - y
    const key = `${toWidth}x${toHeight}`
    if (canvas.heatOf !== item || canvas.heatSize !== key) {
      canvas.heat = heat(item.map, toWidth, toHeight)
      canvas.heatOf = item
      canvas.heatSize = key
    }
    context.globalAlpha = opacity
    context.drawImage(canvas.heat, x, y)
    context.globalAlpha = 1
  }

  return { draw }
})()
