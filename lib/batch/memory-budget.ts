/** A limit on the memory of the decoded images of a batch run. An image that does not fit waits. */
export class MemoryBudget {
  readonly #taken = new Map<number, number>()
  readonly #waiting = new Map<number, { bytes: number; admit: () => void; reject: (reason: unknown) => void }>()
  #free: number

  constructor(
    bytes: number,
    /** Called when an input starts to wait. */
    private readonly onChange: () => void,
  ) {
    this.#free = bytes
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Resolves when there are `bytes` for an input. One larger than the whole budget is admitted when the budget is unused. */
  async take(index: number, bytes: number): Promise<void> {
    if (bytes <= this.#free || this.#taken.size === 0) return this.#reserve(index, bytes)
    await new Promise<void>((admit, reject) => {
      this.#waiting.set(index, { bytes, admit, reject })
      this.onChange()
    })
  }

  release(index: number): void {
    this.#free += this.#taken.get(index) ?? 0
    this.#taken.delete(index)
    // First come, first served: small inputs that overtake a large one would keep it waiting for ever.
    for (const [waiting, { bytes }] of this.#waiting) {
      if (bytes > this.#free && this.#taken.size > 0) return
      this.#admit(waiting)
    }
  }

  /** Admits the first input that waits, over budget: for when all others wait for it. */
  admitFirst(): void {
    if (this.#waiting.size > 0) this.#admit(Math.min(...this.#waiting.keys()))
  }

  /** Rejects every input that waits. */
  close(reason: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(reason)
    this.#waiting.clear()
  }

  #admit(index: number): void {
    const { bytes, admit } = this.#waiting.get(index) as { bytes: number; admit: () => void }
    this.#waiting.delete(index)
    this.#reserve(index, bytes)
    admit()
  }

  #reserve(index: number, bytes: number): void {
    this.#free -= bytes
    this.#taken.set(index, bytes)
  }
}
