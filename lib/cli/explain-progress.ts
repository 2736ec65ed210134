import { basename } from 'node:path'
import { barOf, duration } from './progress-bar.js'
import { statusLine } from './status-line.js'

/** What is explained at a time: an image for a target, by the methods that share their passes. */
export interface Unit {
  readonly image: string
  readonly methods: readonly string[]
  /** The index of the explainer among all: the time it took before says what it will take. */
  readonly explainer: number
}

/** How many units there will be. */
export interface Units {
  readonly images: number
  readonly targets: number
  readonly explainers: number
}

/** Seconds until anything is shown, and between two drawings. */
const showsAfter = 1
const interval = 0.2

/**
 * Says on a terminal, in one line that is written again and again, what is explained and how much time is left, where that takes longer
 * than a second. Elsewhere nothing is shown.
 */
export class ExplainProgress implements Disposable {
  readonly #line: ReturnType<typeof statusLine>
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout | undefined
  #units: Units = { images: 0, targets: 0, explainers: 0 }
  #began: number
  #current:
    { readonly unit: Unit; readonly began: number; runs: readonly [done: number, total: number] | null } | undefined
  /** By explainer: how many units are done, and the seconds that they took. */
  readonly #taken = new Map<number, { count: number; seconds: number }>()
  readonly #images = new Set<string>()

  /** @param clock gives milliseconds */
  constructor(stream: NodeJS.WriteStream, clock: () => number = () => performance.now()) {
    this.#line = statusLine(stream)
    this.#now = () => clock() / 1000
    this.#began = this.#now()
    if (this.#line.isShown) this.#timer = setInterval(() => this.show(), interval * 1000).unref()
  }

  /** Explaining begins: from now on time counts. */
  start(units: Units): void {
    this.#units = units
    this.#began = this.#now()
  }

  /** One unit begins. */
  begin(unit: Unit): void {
    this.#images.add(unit.image)
    this.#current = { unit, began: this.#now(), runs: null }
  }

  /** How many runs of the model the unit has done, and how many it needs. */
  runs(done: number, total: number): void {
    if (this.#current) this.#current.runs = [done, total]
  }

  /** The unit that had begun has ended. */
  end(): void {
    if (!this.#current) return
    const { unit, began } = this.#current
    const taken = this.#taken.get(unit.explainer) ?? { count: 0, seconds: 0 }
    this.#taken.set(unit.explainer, { count: taken.count + 1, seconds: taken.seconds + this.#now() - began })
    this.#current = undefined
  }

  /** Removes the line, before something else is printed. */
  clear(): void {
    this.#line.clear()
  }

  /** Draws the line. */
  show(): void {
    if (!this.#current || this.#now() - this.#began < showsAfter) return
    const { unit, runs } = this.#current
    const { images } = this.#units
    const counted = images > 1 ? ` (${this.#images.size} of ${images})` : ''
    const of = runs ? [`${runs[0].toLocaleString('en')} of ${runs[1].toLocaleString('en')} runs`] : []
    const bar = runs ? [barOf(runs[0] / runs[1])] : []
    const own = this.#leftOfCurrent()
    const others = this.#leftOfOthers()
    const left =
      own === null ? [] : [others === null ? `${duration(own)} left of it` : `${duration(own + others)} left`]
    this.#line.show([...bar, `${basename(unit.image)}${counted}`, unit.methods.join(', '), ...of, ...left].join('  '))
  }

  /** Seconds; null where nothing is known yet. */
  #leftOfCurrent(): number | null {
    if (!this.#current) return 0
    const { unit, began, runs } = this.#current
    const passed = this.#now() - began
    if (runs && runs[0] > 0) return (passed * (runs[1] - runs[0])) / runs[0]
    const usual = this.#usual(unit.explainer)
    return usual === null ? null : Math.max(0, usual - passed)
  }

  /** Seconds for all units that have not begun; null where one of the explainers was not tried yet. */
  #leftOfOthers(): number | null {
    const { images, targets, explainers } = this.#units
    let seconds = 0
    for (let explainer = 0; explainer < explainers; explainer++) {
      const isCurrent = this.#current?.unit.explainer === explainer ? 1 : 0
      const remaining = images * targets - (this.#taken.get(explainer)?.count ?? 0) - isCurrent
      const usual = this.#usual(explainer)
      if (remaining <= 0) continue
      if (usual === null) return null
      seconds += remaining * usual
    }
    return seconds
  }

  #usual(explainer: number): number | null {
    const taken = this.#taken.get(explainer)
    return taken ? taken.seconds / taken.count : null
  }

  /** The same as `dispose()`: for `using`. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#line.clear()
  }
}
