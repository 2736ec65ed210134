/** A count in at most three digits and a unit: 128, 9.41k, 7.98M. */
export function humanCount(count: number): string {
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    // 999,600 would be rounded to 1000k.
    if (count >= size * 0.9995) return `${(count / size).toPrecision(3)}${unit}`
  }
  return String(count)
}

/** '1 image', '2 images', '1,000 images'. */
export function counted(count: number, noun: string): string {
  // Loading the rules of a language takes 20 ms.
  return `${count < 1000 ? count : count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}
