import { Malformed } from './malformed.js'
import { PickledGlobal, type Pickled } from './pickled.js'

/** Does what an opcode says. */
export type Execute = (machine: PickleMachine) => void

/**
 * More than any file of PyTorch has: the values of tensors are not in its pickle. A byte may stand for an object of a hundred, so that
 * what a file may ask for is bounded by these, and not by its size.
 */
const mostOpcodes = 4_000_000
const mostObjects = 400_000

/** What a pickle's opcodes work with: its bytes, a stack of values with marks in it, and a memo. It runs no code. */
export class PickleMachine {
  #at: number
  #opcodesLeft = mostOpcodes
  #objectsLeft = mostObjects
  readonly #stack: Pickled[] = []
  readonly #marks: number[] = []
  readonly #memo = new Map<number, Pickled>()

  /** @param onGlobal sees the name of each class or function */
  constructor(
    private readonly bytes: Buffer,
    private readonly opcodes: Readonly<Record<number, Execute>>,
    start: number,
    private readonly onGlobal: ((name: string) => void) | undefined,
  ) {
    this.#at = start
  }

  get at(): number {
    return this.#at
  }

  /** Executes up to `count` opcodes; true at the end of the pickle. */
  run(count: number): boolean {
    for (let i = 0; i < count; i++) {
      if (--this.#opcodesLeft < 0) throw new Malformed(`it has more than ${mostOpcodes} opcodes`)
      const opcode = this.#take(1)[0] as number
      if (opcode === 0x2e) return true
      const execute = this.opcodes[opcode]
      if (!execute) throw new Malformed(`it has an unknown opcode, ${opcode}`)
      execute(this)
    }
    return false
  }

  result(): Pickled {
    if (this.#stack.length !== 1 || this.#marks.length > 0) throw new Malformed('it does not end with one value')
    return this.pop()
  }

  #take(length: number): Buffer {
    const start = this.#at
    this.#at += length
    if (this.#at > this.bytes.length) throw new Malformed('it ends too early')
    return this.bytes.subarray(start, this.#at)
  }

  push(value: Pickled): void {
    if (typeof value === 'object' && value !== null && --this.#objectsLeft < 0)
      throw new Malformed(`it has more than ${mostObjects} objects`)
    this.#stack.push(value)
  }

  pop(): Pickled {
    const value = this.#stack.pop()
    if (value === undefined || this.#stack.length < (this.#marks.at(-1) ?? 0))
      throw new Malformed('it takes a value that is not there')
    return value
  }

  top(): Pickled {
    const value = this.pop()
    this.push(value)
    return value
  }

  mark(): void {
    this.#marks.push(this.#stack.length)
  }

  sinceMark(): Pickled[] {
    const mark = this.#marks.pop()
    if (mark === undefined) throw new Malformed('it takes values from a mark that is not there')
    return this.#stack.splice(mark)
  }

  /** The last `count` values. */
  last(count: number): Pickled[] {
    const values: Pickled[] = []
    for (let i = 0; i < count; i++) values.push(this.pop())
    return values.reverse()
  }

  uint(length: number): number {
    return this.#take(length).readUIntLE(0, length)
  }

  int(length: number): number {
    return this.#take(length).readIntLE(0, length)
  }

  /** A number of 8 bytes that counts bytes. */
  length(): number {
    const length = this.#take(8).readBigUInt64LE()
    if (length > BigInt(this.bytes.length)) throw new Malformed('it ends too early')
    return Number(length)
  }

  double(): number {
    return this.#take(8).readDoubleBE()
  }

  long(length: number): number | bigint {
    let value = 0n
    const digits = this.#take(length)
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(digits[i] as number)
    if (length > 0 && (digits[length - 1] as number) >= 0x80) value -= 1n << BigInt(8 * length)
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }

  text(length: number): string {
    return this.#take(length).toString('utf8')
  }

  /** Texts of Python 2, and bytes: a character for each. */
  bytesAsText(length: number): string {
    return this.#take(length).toString('latin1')
  }

  global(name: string): PickledGlobal {
    this.onGlobal?.(name)
    return new PickledGlobal(name)
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.#at)
    if (end < 0) throw new Malformed('it ends too early')
    const line = this.text(end - this.#at)
    this.#at++
    return line
  }

  remember(index: number): void {
    // LibTorch makes a table of as many entries.
    if (index >= this.bytes.length)
      throw new Malformed(`it remembers value ${index}, and has ${this.bytes.length} bytes`)
    this.#memo.set(index, this.top())
  }

  rememberNext(): void {
    this.remember(this.#memo.size)
  }

  recall(index: number): void {
    const value = this.#memo.get(index)
    if (value === undefined) throw new Malformed('it recalls a value that it did not remember')
    this.push(value)
  }
}
