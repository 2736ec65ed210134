import { setImmediate as nextTurn } from 'node:timers/promises'
import { Malformed } from './malformed.js'
import { PickledCall, PickledDict, PickledList, PickledReference, type Pickled } from './pickled.js'
import { PickleMachine, type Execute } from './pickle-machine.js'

/** Opcodes that are read in one go: a few milliseconds. */
const opcodesInOneTurn = 20_000

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
  const machine = machineOf(bytes, options)
  while (!machine.run(opcodesInOneTurn)) await nextTurn()
  return machine.result()
}

/** The same at once, with where the pickle ends. */
export function readPickleNow(bytes: Buffer, options: PickleOptions = {}): { value: Pickled; end: number } {
  const machine = machineOf(bytes, options)
  while (!machine.run(Infinity));
  return { value: machine.result(), end: machine.at }
}

const machineOf = (bytes: Buffer, { start = 0, python = false, onGlobal }: PickleOptions): PickleMachine =>
  new PickleMachine(bytes, python ? pythonOpcodes : opcodes, start, onGlobal)

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
