/** Reads several things at a time and gives them in their order: a storage answers late, and many requests at a time. */
export async function* readAhead<Thing>(
  reads: Iterable<() => Promise<Thing>>,
  atOnce: number,
): AsyncGenerator<Thing, undefined> {
  const waiting: Promise<Thing>[] = []
  for (const read of reads) {
    const thing = read()
    thing.catch(() => {}) // it is thrown where it would be given
    waiting.push(thing)
    if (waiting.length >= atOnce) yield await (waiting.shift() as Promise<Thing>)
  }
  for (const thing of waiting) yield await thing
}

/** Everything that an iterable gives. */
export async function allOf<Thing>(things: AsyncIterable<Thing>): Promise<Thing[]> {
  const all: Thing[] = []
  for await (const thing of things) all.push(thing)
  return all
}
