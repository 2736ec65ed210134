/** How much memory the decoded images of a job may take. What does not fit waits. */
export class Room {
  readonly #taken = new Map<number, number>()
  readonly #waiting = new Map<number, { bytes: number; enter: () => void; leave: (reason: unknown) => void }>()
  #free: number

  constructor(
    bytes: number,
    /** Called when somebody has to wait, or does no longer. */
    private readonly onChange: () => void,
  ) {
    this.#free = bytes
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Resolves when there are `bytes` for an input. One that would never fit is let in when nobody else is there. */
  async take(index: number, bytes: number): Promise<void> {
    if (bytes <= this.#free || this.#taken.size === 0) return this.#enter(index, bytes)
    await new Promise<void>((enter, leave) => {
      this.#waiting.set(index, { bytes, enter, leave })
      this.onChange()
    })
  }

  release(index: number): void {
    this.#free += this.#taken.get(index) ?? 0
    this.#taken.delete(index)
    // First come, first served: a small one that overtook a large one again and again would keep it waiting.
    for (const [waiting, { bytes }] of this.#waiting) {
      if (bytes > this.#free && this.#taken.size > 0) return
      this.#admit(waiting)
    }
  }

  /** Lets the first input of the job in although there is no room: when all others wait for it. */
  squeeze(): void {
    if (this.#waiting.size > 0) this.#admit(Math.min(...this.#waiting.keys()))
  }

  /** Refuses all who wait. */
  close(reason: unknown): void {
    for (const { leave } of this.#waiting.values()) leave(reason)
    this.#waiting.clear()
  }

  #admit(index: number): void {
    const { bytes, enter } = this.#waiting.get(index) as { bytes: number; enter: () => void }
    this.#waiting.delete(index)
    this.#enter(index, bytes)
    enter()
  }

  #enter(index: number, bytes: number): void {
    this.#free -= bytes
    this.#taken.set(index, bytes)
  }
}
