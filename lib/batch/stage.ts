/** Work of one kind on items that wait for it, so much of it at a time. */
export class Stage<Item> {
  #waiting: Item[] = []
  #running = 0

  /**
   * @param limit how many items are worked on at a time
   * @param track is given each piece of work that was started
   */
  constructor(
    private readonly limit: number,
    private readonly work: (item: Item) => Promise<void>,
    private readonly track: (task: Promise<void>) => void,
  ) {}

  get waiting(): number {
    return this.#waiting.length
  }

  get running(): number {
    return this.#running
  }

  get isFull(): boolean {
    return this.#running === this.limit
  }

  add(item: Item): void {
    this.#waiting.push(item)
  }

  /** Starts what can start. */
  start(): void {
    while (this.#waiting.length > 0 && this.#running < this.limit) {
      this.#running++
      this.track(this.work(this.#waiting.shift() as Item).finally(() => this.#running--))
    }
  }

  /** The items that have not been begun; empty at the end. */
  drain(): Item[] {
    const left = this.#waiting
    this.#waiting = []
    return left
  }
}
