import { damaged } from './byte-source.js'
import { GradCamError } from '../base/errors.js'

/** What a pickle says that it is made of a class or a function of Python: nothing is imported or called. */
export interface Global {
  readonly global: string
}

/** Gives meaning to what only Python could make. */
export interface PickleWorld {
  /** How messages call the file. */
  readonly name: string
  /**
   * The value of a call of a global: `undefined` refuses it.
   *
   * @param global e.g. 'collections.OrderedDict'
   */
  call(global: string, args: readonly unknown[]): unknown
  /** Whether the pickle may name the global at all. */
  knows(global: string): boolean
  /** The value of a persistent id, which torch.save uses for storages. */
  persistent?(id: unknown): unknown
}

const mark = Symbol('mark')
/** The longest integer that is read, in bytes: PyTorch's magic number has 10. */
const longestInteger = 16

export const isGlobal = (value: unknown): value is Global =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, 'global')

/**
 * A pickle machine that knows plain values and containers. It executes nothing: what the pickle would have Python import
 * is a name here, and a name that `world` does not know is refused. Memory stays in the order of the pickle's own size.
 */
class PickleMachine {
  #at: number
  readonly #stack: unknown[] = []
  readonly #memo = new Map<number, unknown>()

  constructor(
    private readonly bytes: Buffer,
    start: number,
    private readonly world: PickleWorld,
  ) {
    this.#at = start
  }

  run(): { value: unknown; end: number } {
    for (;;) {
      const at = this.#at
      const code = this.#byte()
      if (code === 0x2e) return { value: this.#pop(), end: this.#at }
      const step = steps.get(code)
      if (!step) throw this.#invalid(`has an instruction 0x${code.toString(16)} at ${at} that is not known`)
      step(this)
    }
  }

  #invalid(what: string) {
    return damaged(this.world.name, `its pickle ${what}`)
  }

  #take(length: number): number {
    const from = this.#at
    if (!(length >= 0 && from + length <= this.bytes.length)) throw this.#invalid('is cut off')
    this.#at += length
    return from
  }

  #byte(): number {
    return this.bytes[this.#take(1)] as number
  }

  #uint32(): number {
    return this.bytes.readUInt32LE(this.#take(4))
  }

  #uint64(): number {
    return Number(this.bytes.readBigUInt64LE(this.#take(8)))
  }

  #text(length: number, encoding: 'utf8' | 'latin1' = 'utf8'): string {
    const from = this.#take(length)
    return this.bytes.toString(encoding, from, this.#at)
  }

  #line(): string {
    const end = this.bytes.indexOf(10, this.#at)
    if (end < 0) throw this.#invalid('is cut off')
    const line = this.bytes.toString('utf8', this.#at, end)
    this.#at = end + 1
    return line
  }

  #pop(): unknown {
    if (this.#stack.length === 0) throw this.#invalid('takes a value that it did not make')
    const value = this.#stack.pop()
    if (value === mark) throw this.#invalid('takes a value that it did not make')
    return value
  }

  #top(): unknown {
    if (this.#stack.length === 0) throw this.#invalid('takes a value that it did not make')
    return this.#stack.at(-1)
  }

  #toMark(): unknown[] {
    const at = this.#stack.lastIndexOf(mark)
    if (at < 0) throw this.#invalid('takes values that it did not make')
    return this.#stack.splice(at).slice(1)
  }

  #integer(length: number): number | bigint {
    if (length > longestInteger) throw this.#invalid('holds an integer that is too long')
    const from = this.#take(length)
    let value = 0n
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[from + i] as number)
    if (length > 0 && (this.bytes[from + length - 1] as number) >= 128) value -= 1n << BigInt(8 * length)
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }

  #nameGlobal(module: string, name: string): void {
    const global = `${module}.${name}`
    if (!this.world.knows(global)) throw refusedGlobal(this.world.name, global)
    this.#stack.push({ global })
  }

  #setItems(items: readonly unknown[]): void {
    const target = this.#top()
    if (!(target instanceof Map)) throw this.#invalid('puts items into what is not a dict')
    for (let i = 0; i + 1 < items.length; i += 2) target.set(items[i], items[i + 1])
  }

  #append(items: readonly unknown[]): void {
    const target = this.#top()
    if (!Array.isArray(target)) throw this.#invalid('appends to what is not a list')
    for (const item of items) target.push(item)
  }

  #call(args: unknown): void {
    const callee = this.#pop()
    if (!isGlobal(callee) || !Array.isArray(args)) throw this.#invalid('calls what cannot be called')
    const value = this.world.call(callee.global, args as unknown[])
    if (value === undefined) throw refusedGlobal(this.world.name, callee.global)
    this.#stack.push(value)
  }

  static readonly steps: ReadonlyMap<number, (m: PickleMachine) => void> = new Map(
    Object.entries({
      '\x80': (m) => void m.#byte(), // PROTO
      '\x95': (m) => void m.#take(8), // FRAME
      '(': (m) => m.#stack.push(mark),
      '0': (m) => void m.#pop(),
      '1': (m) => void m.#toMark(),
      '2': (m) => m.#stack.push(m.#top()),
      N: (m) => m.#stack.push(null),
      '\x88': (m) => m.#stack.push(true),
      '\x89': (m) => m.#stack.push(false),
      J: (m) => m.#stack.push(m.bytes.readInt32LE(m.#take(4))),
      K: (m) => m.#stack.push(m.#byte()),
      M: (m) => m.#stack.push(m.bytes.readUInt16LE(m.#take(2))),
      I: (m) => {
        const line = m.#line()
        m.#stack.push(line === '01' ? true : line === '00' ? false : Number(line))
      },
      L: (m) => m.#stack.push(Number(m.#line().replace(/L$/, ''))),
      F: (m) => m.#stack.push(Number(m.#line())),
      G: (m) => m.#stack.push(m.bytes.readDoubleBE(m.#take(8))),
      '\x8a': (m) => m.#stack.push(m.#integer(m.#byte())),
      '\x8b': (m) => m.#stack.push(m.#integer(m.#uint32())),
      X: (m) => m.#stack.push(m.#text(m.#uint32())),
      '\x8c': (m) => m.#stack.push(m.#text(m.#byte())),
      '\x8d': (m) => m.#stack.push(m.#text(m.#uint64())),
      T: (m) => m.#stack.push(m.#text(m.#uint32(), 'latin1')),
      U: (m) => m.#stack.push(m.#text(m.#byte(), 'latin1')),
      B: (m) => m.#stack.push(m.#text(m.#uint32(), 'latin1')),
      C: (m) => m.#stack.push(m.#text(m.#byte(), 'latin1')),
      '}': (m) => m.#stack.push(new Map()),
      ']': (m) => m.#stack.push([]),
      ')': (m) => m.#stack.push([]),
      '\x8f': (m) => m.#stack.push([]), // EMPTY_SET
      '\x90': (m) => m.#append(m.#toMark()),
      t: (m) => m.#stack.push(m.#toMark()),
      l: (m) => m.#stack.push(m.#toMark()),
      '\x91': (m) => m.#stack.push(m.#toMark()),
      d: (m) => {
        const items = m.#toMark()
        m.#stack.push(new Map())
        m.#setItems(items)
      },
      '\x85': (m) => m.#stack.push([m.#pop()]),
      '\x86': (m) => {
        const second = m.#pop()
        m.#stack.push([m.#pop(), second])
      },
      '\x87': (m) => {
        const [third, second] = [m.#pop(), m.#pop()]
        m.#stack.push([m.#pop(), second, third])
      },
      s: (m) => {
        const value = m.#pop()
        const key = m.#pop()
        m.#setItems([key, value])
      },
      u: (m) => m.#setItems(m.#toMark()),
      a: (m) => {
        const value = m.#pop()
        m.#append([value])
      },
      e: (m) => m.#append(m.#toMark()),
      q: (m) => void m.#memo.set(m.#byte(), m.#top()),
      r: (m) => void m.#memo.set(m.#uint32(), m.#top()),
      '\x94': (m) => void m.#memo.set(m.#memo.size, m.#top()),
      h: (m) => m.#recall(m.#byte()),
      j: (m) => m.#recall(m.#uint32()),
      c: (m) => m.#nameGlobal(m.#line(), m.#line()),
      '\x93': (m) => {
        const name = m.#pop()
        m.#nameGlobal(String(m.#pop()), String(name))
      },
      R: (m) => m.#call(m.#pop()),
      '\x81': (m) => m.#call(m.#pop()),
      // The state of an object, such as the metadata of an OrderedDict, says nothing about tensors.
      b: (m) => void m.#pop(),
      Q: (m) => {
        const value = m.world.persistent?.(m.#pop())
        if (value === undefined) throw m.#invalid('refers to something outside the file')
        m.#stack.push(value)
      },
    } satisfies Record<string, (m: PickleMachine) => unknown>).map(([key, step]) => [key.charCodeAt(0), step]),
  )

  #recall(index: number): void {
    if (!this.#memo.has(index)) throw this.#invalid('recalls a value that it did not keep')
    this.#stack.push(this.#memo.get(index))
  }
}

const { steps } = PickleMachine

function refusedGlobal(name: string, global: string): GradCamError {
  return new GradCamError(
    'ERR_MODEL_IS_EAGER_PICKLE',
    `${name} is a pickle that needs '${global}' of Python, which is not read here: only tensors, numbers, texts, lists and dicts are.`,
    {
      remedy: "Save the weights alone in Python: torch.save(model.state_dict(), 'weights.pth').",
      details: { global },
    },
  )
}

/**
 * Reads one pickle.
 *
 * @param start where it starts in `bytes`
 * @returns its value, dicts as maps and tuples as arrays, and where the pickle ends. A value may hold itself.
 * @throws GradCamError ERR_MODEL_CORRUPT, ERR_MODEL_IS_EAGER_PICKLE for a global that `world` does not know
 */
export function readPickle(bytes: Buffer, start: number, world: PickleWorld): { value: unknown; end: number } {
  return new PickleMachine(bytes, start, world).run()
}
