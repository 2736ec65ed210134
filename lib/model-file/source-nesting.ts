import { Malformed } from '../archive/malformed.js'

/** How deep code is nested, by what LibTorch's compiler calls itself for. */
export interface SourceDepth {
  /** Brackets in brackets. */
  readonly brackets: number
  /** Blocks in blocks. */
  readonly blocks: number
  /** The most operators in one expression, where no bracket or comma divides it. */
  readonly operators: number
}

/** What PyTorch writes is far below: it breaks long expressions into statements. */
export const deepestSource: SourceDepth = { brackets: 100, blocks: 100, operators: 500 }

/** Measures source without compiling it. One pass over its characters, since every model is measured when it is loaded. */
export function sourceDepth(source: string): SourceDepth {
  const found = { brackets: 0, blocks: 0, operators: 0 }
  const outer: number[] = [] // operators of the expressions around
  const indents = [0]
  let operators = 0
  let justClosed = false
  for (let at = 0; at < source.length;) {
    const code = source.charCodeAt(at)
    let next = at + 1
    let closed = false
    if (code === space || code === tab || code === carriageReturn) {
      at = next
      continue
    }
    if (isWord(code)) {
      while (isWord(source.charCodeAt(next))) next++
      if (next - at <= longestWordOperator && wordOperators.has(source.slice(at, next))) operators++
    } else if (code === newLine) {
      while (source.charCodeAt(next) === space || source.charCodeAt(next) === tab) next++
      if (outer.length === 0) {
        operators = 0
        const indent = next - at - 1
        while ((indents.at(-1) as number) > indent) indents.pop()
        if ((indents.at(-1) as number) < indent) indents.push(indent)
        found.blocks = Math.max(found.blocks, indents.length - 1)
      }
    } else if (openers.has(code)) {
      outer.push(operators + (justClosed ? 1 : 0)) // a call or index of what a call or index gave
      found.operators = Math.max(found.operators, outer.at(-1) as number)
      found.brackets = Math.max(found.brackets, outer.length)
      operators = 0
    } else if (closers.has(code)) {
      operators = outer.pop() ?? 0
      closed = true
    } else if (code === singleQuote || code === doubleQuote) {
      next = endOfString(source, at)
    } else if (code === hash) {
      const end = source.indexOf('\n', at)
      next = end < 0 ? source.length : end
    } else if (code === backslash) {
      next = at + 2 // the line goes on
    } else if (code === comma) {
      operators = 0
    } else if (!neither.has(code)) {
      operators++
    }
    found.operators = Math.max(found.operators, operators)
    justClosed = closed
    at = next
  }
  return found
}

const [space, tab, newLine, carriageReturn, singleQuote, doubleQuote, hash, backslash, comma] =
  codesOf(' \t\n\r\'"#\\,')
const openers = new Set(codesOf('([{'))
const closers = new Set(codesOf(')]}'))
/** What neither combines values nor divides expressions. */
const neither = new Set(codesOf(':=;'))
const wordOperators = new Set(['not', 'and', 'or', 'is', 'in', 'if', 'else', 'lambda', 'await'])
const longestWordOperator = 6

function codesOf(characters: string): number[] {
  return Array.from(characters, (character) => character.charCodeAt(0))
}

/** Letters, digits, the underscore, and all that is not ASCII. */
function isWord(code: number): boolean {
  return (
    (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95 || code > 127
  )
}

/** Where the string that begins at `at` ends: after its quote, or where a line ends that must not. */
function endOfString(source: string, at: number): number {
  const quote = source[at] as string
  const long = quote.repeat(3)
  if (source.startsWith(long, at)) {
    const end = source.indexOf(long, at + 3)
    return end < 0 ? source.length : end + 3
  }
  let next = at + 1
  for (; next < source.length; next++) {
    const code = source.charCodeAt(next)
    if (code === backslash) next++
    else if (code === newLine) return next
    else if (source[next] === quote) return next + 1
  }
  return next
}

/** Throws {@link Malformed} where the source is nested deeper than LibTorch's compiler can follow. */
export function checkSourceDepth(source: string): void {
  const found = sourceDepth(source)
  for (const what of ['brackets', 'blocks', 'operators'] as const)
    if (found[what] > deepestSource[what])
      throw new Malformed(
        `its ${what} are nested ${found[what]} deep, and more than ${deepestSource[what]} are refused`,
      )
}
