/** Reads several items at a time and gives them in their order: a storage answers late, and many requests at a time. */
export async function* readAhead<Item>(
  reads: Iterable<() => Promise<Item>>,
  atOnce: number,
): AsyncGenerator<Item, undefined> {
  const waiting: Promise<Item>[] = []
  for (const read of reads) {
    const item = read()
    item.catch(() => {}) // it is thrown where it would be given
    waiting.push(item)
    if (waiting.length >= atOnce) yield await (waiting.shift() as Promise<Item>)
  }
  for (const item of waiting) yield await item
}

/** Everything that an iterable gives. */
export async function allOf<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}
