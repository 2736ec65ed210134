// Colour maps: tables of 256 colours, red, green and blue bytes, from the lowest value to the highest.

const size = 256

/**
 * A table whose channels are linear between points, position and value by turns, as matplotlib publishes its own.
 *
 * @param {number[][]} segments of red, green and blue
 */
function linear(segments) {
  const table = new Uint8ClampedArray(3 * size)
  for (let color = 0; color < size; color++)
    segments.forEach((points, channel) => {
      const at = color / (size - 1)
      let k = 2
      while (points[k] < at) k += 2
      const share = (at - points[k - 2]) / (points[k] - points[k - 2])
      table[color * 3 + channel] = 255 * (points[k - 1] + share * (points[k + 1] - points[k - 1]))
    })
  return table
}

const fromBase64 = (text) => Uint8ClampedArray.from(atob(text), (character) => character.charCodeAt(0))

const jet = linear([
  [0, 0, 0.35, 0, 0.66, 1, 0.89, 1, 1, 0.5],
  [0, 0, 0.125, 0, 0.375, 1, 0.64, 1, 0.91, 0, 1, 0],
  [0, 0.5, 0.11, 1, 0.34, 1, 0.65, 0, 1, 0],
])

const grey = linear([
  [0, 0, 1, 1],
  [0, 0, 1, 1],
  [0, 0, 1, 1],
])

/** Blue below 0, white at 0, red above it. */
const bwr = linear([
  [0, 0, 0.5, 1, 1, 1],
  [0, 0, 0.5, 1, 1, 0],
  [0, 1, 0.5, 1, 1, 0],
])

const viridis = fromBase64(
  'RAFURAJWRQRXRQVZRgdaRghcRgpdRgteRw1gRw5hRxBjRxFkRxNlSBRnSBZoSBdpSBhqSBpsSBttSBxuSB1vSB9wSCBxSCFzSCN0SCR1SCV2SCZ3SCh4SCl5Ryp6Ryx6Ry17Ry58Ry99RjB+RjJ+RjN/RjSARTWBRTeBRTiCRDmDRDqDRDuEQz2EQz6FQj+FQkCGQkGGQUKHQUSHQEWIQEaIP0eIP0iJPkmJPkqJPkyKPU2KPU6KPE+KPFCLO1GLO1KLOlOLOlSMOVWMOVaMOFiMOFmMN1qMN1uNNlyNNl2NNV6NNV+NNGCNNGGNM2KNM2ONMmSOMmWOMWaOMWeOMWiOMGmOMGqOL2uOL2yOLm2OLm6OLm+OLXCOLXGOLHGOLHKOLHOOK3SOK3WOKnaOKneOKniOKXmOKXqOKXuOKHyOKH2OJ36OJ3+OJ4COJoGOJoKOJoKOJYOOJYSOJYWOJIaOJIeOI4iOI4mOI4qNIouNIoyNIo2NIY6NIY+NIZCNIZGMIJKMIJKMIJOMH5SMH5WLH5aLH5eLH5iLH5mKH5qKHpuKHpyJHp2JH56JH5+IH6CIH6GIH6GHH6KHIKOGIKSGIaWFIaaFIqeFIqiEI6mDJKqDJauCJayCJq2BJ62BKK6AKa9/KrB/LLF+LbJ9LrN8L7R8MbV7MrZ6NLZ5Nbd5N7h4OLl3Orp2O7t1Pbx0P7xzQL1yQr5xRL9wRsBvSMFuSsFtTMJsTsNrUMRqUsVpVMVoVsZnWMdlWshkXMhjXsliYMpgY8tfZcteZ8xcac1bbM1abs5YcM9Xc9BWddBUd9FTetFRfNJQf9NOgdNNhNRLhtVJidVIi9ZGjtZFkNdDk9dBldhAmNg+m9k8ndk7oNo5oto3pds2qNs0qtwyrdwwsN0vst0ttd4ruN4put4ovd8mwN8lwt8jxeAhyOAgyuEfzeEd0OEc0uIb1eIa2OIZ2uMZ3eMY3+MY4uQY5eQZ5+QZ6uUa7OUb7+Uc8eUd9OYe9uYg+OYh++cj/ecl',
)

/** The colour maps by name, as matplotlib has them. The middle of a diverging one stands for 0. */
export const palettes = {
  jet: { title: 'Jet', table: jet, diverging: false },
  viridis: { title: 'Viridis', table: viridis, diverging: false },
  grey: { title: 'Grey', table: grey, diverging: false },
  bwr: { title: 'Blue, white, red', table: bwr, diverging: true },
}

/** The index of a colour in such a table, for a value in [0, 1]: as matplotlib and the library choose it. */
export const colourAt = (value) => Math.min(size - 1, Math.max(0, Math.floor(value * size)))
