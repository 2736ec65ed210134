/** The value that would be at `index` if these were sorted from the least on, by Hoare's selection. */
export function smallest(values: Float64Array, index: number): number {
  const list = values.slice()
  let from = 0
  let to = list.length - 1
  while (from < to) {
    const pivot = list[(from + to) >> 1] as number
    let i = from
    let j = to
    while (i <= j) {
      while ((list[i] as number) < pivot) i++
      while ((list[j] as number) > pivot) j--
      if (i > j) break
      const other = list[i] as number
      list[i] = list[j] as number
      list[j] = other
      i++
      j--
    }
    if (index <= j) to = j
    else if (index >= i) from = i
    else break
  }
  return list[index] as number
}
