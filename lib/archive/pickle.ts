import { setImmediate as nextTurn } from 'node:timers/promises'
import { Malformed } from './malformed.js'

/** A value of a pickle. Nothing was looked up and nothing was called: calls stand there as {@link PickledCall}. */
export type Pickled =
  null | boolean | number | bigint | string | PickledGlobal | PickledReference | PickledList | PickledDict | PickledCall

/** A class or function, by name. */
export class PickledGlobal {
  /** @param name with its module: 'torch._utils._rebuild_tensor_v2' */
  constructor(readonly name: string) {}
}

/** Something that is not in the pickle itself, such as the bytes of a storage. */
export class PickledReference {
  constructor(readonly id: Pickled) {}
}

export class PickledList {
  constructor(
    readonly kind: 'list' | 'tuple' | 'set',
    readonly items: Pickled[],
  ) {}
}

export class PickledDict {
  readonly entries: (readonly [key: Pickled, value: Pickled])[] = []
}

/** What calling `callee` with `args` gives, and what is then put into it. */
export class PickledCall {
  state: Pickled | undefined
  /** Items of a class of dicts such as OrderedDict, or the elements of a class of lists. */
  readonly dict = new PickledDict()
  readonly list = new PickledList('list', [])
  constructor(
    readonly callee: Pickled,
    readonly args: Pickled,
  ) {}
}

/** Opcodes that are read in one go: a few milliseconds. */
const opcodesInOneTurn = 20_000

/**
 * More than any file of PyTorch has: the values of tensors are not in its pickle. A byte may stand for an object of a hundred, so that
 * what a file may ask for is bounded by these, and not by its size.
 */
const mostOpcodes = 4_000_000
const mostObjects = 400_000

/** How a pickle is read. */
export interface PickleOptions {
  /** Where it begins in the bytes; 0 unless given. */
  readonly start?: number
  /** Also what Python's own pickler writes in the protocols 0 to 4, and LibTorch cannot read. */
  readonly python?: boolean
  /** Sees the name of each class or function when the pickle names it; what it throws ends the reading. */
  readonly onGlobal?: (name: string) => void
}

/**
 * Reads a pickle as LibTorch writes them, without executing anything. It gives the event loop its turn every few
 * milliseconds.
 *
 * Throws {@link Malformed} where the pickle does not end properly, or has an opcode that LibTorch does not read.
 */
export async function readPickle(bytes: Buffer, options: PickleOptions = {}): Promise<Pickled> {
  const machine = new PickleMachine(bytes, options)
  while (!machine.run(opcodesInOneTurn)) await nextTurn()
  return machine.result()
}

/** The same at once, with where the pickle ends. */
export function readPickleNow(bytes: Buffer, options: PickleOptions = {}): { value: Pickled; end: number } {
  const machine = new PickleMachine(bytes, options)
  while (!machine.run(Infinity));
  return { value: machine.result(), end: machine.at }
}

class PickleMachine {
  #at: number
  #opcodesLeft = mostOpcodes
  #objectsLeft = mostObjects
  readonly #stack: Pickled[] = []
  readonly #marks: number[] = []
  readonly #memo = new Map<number, Pickled>()
  readonly #opcodes: Readonly<Record<number, Execute>>

  constructor(
    private readonly bytes: Buffer,
    private readonly options: PickleOptions,
  ) {
    this.#at = options.start ?? 0
    this.#opcodes = options.python === true ? pythonOpcodes : opcodes
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
      const execute = this.#opcodes[opcode]
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
    this.options.onGlobal?.(name)
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

type Execute = (machine: PickleMachine) => void

const push =
  (make: (machine: PickleMachine) => Pickled): Execute =>
  (machine) =>
    machine.push(make(machine))

const pushTuple = (count: number): Execute => push((m) => new PickledList('tuple', m.last(count)))

/** The longest integer: what has more digits is not one that LibTorch reads. */
const longestInteger = 255

const opcodes: Readonly<Record<number, Execute>> = {
  0x80: (m) => m.uint(1), // PROTO
  0x95: (m) => m.length(), // FRAME
  0x28: (m) => m.mark(),
  0x4e: push(() => null),
  0x88: push(() => true),
  0x89: push(() => false),
  0x4b: push((m) => m.uint(1)), // BININT1
  0x4d: push((m) => m.uint(2)), // BININT2
  0x4a: push((m) => m.int(4)), // BININT
  0x8a: push((m) => m.long(Math.min(m.uint(1), longestInteger))), // LONG1
  0x47: push((m) => m.double()), // BINFLOAT
  0x58: push((m) => m.text(m.uint(4))), // BINUNICODE
  0x8c: push((m) => m.text(m.uint(1))), // SHORT_BINUNICODE
  0x8d: push((m) => m.text(m.length())), // BINUNICODE8
  0x54: push((m) => m.bytesAsText(m.uint(4))), // BINSTRING
  0x55: push((m) => m.bytesAsText(m.uint(1))), // SHORT_BINSTRING
  0x42: push((m) => m.bytesAsText(m.uint(4))), // BINBYTES
  0x43: push((m) => m.bytesAsText(m.uint(1))), // SHORT_BINBYTES
  0x29: pushTuple(0),
  0x85: pushTuple(1),
  0x86: pushTuple(2),
  0x87: pushTuple(3),
  0x74: push((m) => new PickledList('tuple', m.sinceMark())), // TUPLE
  0x5d: push(() => new PickledList('list', [])), // EMPTY_LIST
  0x6c: push((m) => new PickledList('list', m.sinceMark())), // LIST
  0x7d: push(() => new PickledDict()), // EMPTY_DICT
  0x64: push((m) => fill(new PickledDict(), m.sinceMark())), // DICT
  0x61: (m) => append(m, m.last(1)), // APPEND
  0x65: (m) => append(m, m.sinceMark()), // APPENDS
  0x73: (m) => setItems(m, m.last(2)), // SETITEM
  0x75: (m) => setItems(m, m.sinceMark()), // SETITEMS
  0x63: push((m) => m.global(`${m.line()}.${m.line()}`)), // GLOBAL
  // STACK_GLOBAL
  0x93: push((m) => {
    const names = m.last(2)
    if (!names.every((name) => typeof name === 'string')) throw new Malformed('it names a class by something else')
    return m.global(names.join('.'))
  }),
  0x52: push((m) => call(m)), // REDUCE
  0x81: push((m) => call(m)), // NEWOBJ
  // BUILD
  0x62: (m) => {
    const state = m.pop()
    const object = m.top()
    if (!(object instanceof PickledCall)) throw new Malformed('it gives a state to something that is not an object')
    object.state = state
  },
  0x51: push((m) => new PickledReference(m.pop())), // BINPERSID
  0x71: (m) => m.remember(m.uint(1)), // BINPUT
  0x72: (m) => m.remember(m.uint(4)), // LONG_BINPUT
  0x94: (m) => m.rememberNext(), // MEMOIZE
  0x68: (m) => m.recall(m.uint(1)), // BINGET
  0x6a: (m) => m.recall(m.uint(4)), // LONG_BINGET
  0x30: (m) => m.pop(), // POP
}

/** What LibTorch writes, and what else Python does. */
const pythonOpcodes: Readonly<Record<number, Execute>> = {
  ...opcodes,
  0x31: (m) => m.sinceMark(), // POP_MARK
  0x32: push((m) => m.top()), // DUP
  // INT
  0x49: push((m) => {
    const line = m.line()
    return line === '01' ? true : line === '00' ? false : Number(line)
  }),
  0x4c: push((m) => Number(m.line().replace(/L$/, ''))), // LONG
  0x46: push((m) => Number(m.line())), // FLOAT
  0x8b: push((m) => m.long(Math.min(m.uint(4), longestInteger))), // LONG4
  0x8f: push(() => new PickledList('set', [])), // EMPTY_SET
  0x90: (m) => append(m, m.sinceMark()), // ADDITEMS
  0x91: push((m) => new PickledList('set', m.sinceMark())), // FROZENSET
}

function call(machine: PickleMachine): PickledCall {
  const [callee = null, args = null] = machine.last(2)
  return new PickledCall(callee, args)
}

function append(machine: PickleMachine, values: Pickled[]): void {
  const top = machine.top()
  const list = top instanceof PickledCall ? top.list : top
  if (!(list instanceof PickledList) || list.kind === 'tuple')
    throw new Malformed('it appends to something that is not a list')
  for (const value of values) list.items.push(value)
}

function setItems(machine: PickleMachine, values: Pickled[]): void {
  const top = machine.top()
  const dict = top instanceof PickledCall ? top.dict : top
  if (!(dict instanceof PickledDict)) throw new Malformed('it sets an item of something that is not a dict')
  fill(dict, values)
}

function fill(dict: PickledDict, values: readonly Pickled[]): PickledDict {
  if (values.length % 2 === 1) throw new Malformed('it has a key without a value')
  for (let i = 0; i < values.length; i += 2) dict.entries.push([values[i] as Pickled, values[i + 1] as Pickled])
  return dict
}

/** The values directly inside a value. */
export function partsOf(value: Pickled): readonly Pickled[] {
  if (value instanceof PickledList) return value.items
  if (value instanceof PickledDict) return value.entries.flat()
  if (value instanceof PickledReference) return [value.id]
  if (value instanceof PickledCall)
    return [
      ...[value.callee, value.args, value.state].filter((part) => part !== undefined),
      ...partsOf(value.dict),
      ...partsOf(value.list),
    ]
  return []
}
