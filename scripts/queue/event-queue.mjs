/** @typedef {(now: number) => void} Action */

/** What is to happen, by its time: a heap. Of two things at one time the first that was added happens first. */
export class EventQueue {
  /** @type {{ at: number, order: number, action: Action }[]} */
  #heap = []
  #added = 0

  add(/** @type {number} */ at, /** @type {Action} */ action) {
    const heap = this.#heap
    heap.push({ at, order: this.#added++, action })
    for (let child = heap.length - 1; child > 0;) {
      const parent = (child - 1) >> 1
      if (!this.#isBefore(child, parent)) break
      this.#swap(child, parent)
      child = parent
    }
  }

  /** Has everything happen. @returns {number} when the last thing did */
  run() {
    let now = 0
    for (let next = this.#take(); next; next = this.#take()) {
      now = next.at
      next.action(now)
    }
    return now
  }

  #take() {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (!first || !last || heap.length === 0) return first
    heap[0] = last
    for (let parent = 0; ;) {
      let least = parent
      for (const child of [2 * parent + 1, 2 * parent + 2])
        if (child < heap.length && this.#isBefore(child, least)) least = child
      if (least === parent) return first
      this.#swap(parent, least)
      parent = least
    }
  }

  #isBefore(/** @type {number} */ one, /** @type {number} */ other) {
    const [a, b] = [this.#heap[one], this.#heap[other]]
    if (!a || !b) throw new Error('out of the heap')
    return a.at < b.at || (a.at === b.at && a.order < b.order)
  }

  #swap(/** @type {number} */ one, /** @type {number} */ other) {
    const [a, b] = [this.#heap[one], this.#heap[other]]
    if (a && b) [this.#heap[one], this.#heap[other]] = [b, a]
  }
}
