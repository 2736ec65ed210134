import { Malformed } from './malformed.js'

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

/** A token of TorchScript's source: a string, a comment, a name or number, one other character, or a new line. */
const tokens =
  /(?:'''|""")[^]*?(?:'''|"""|$)|'(?:\\[^]|[^'\\\n])*'?|"(?:\\[^]|[^"\\\n])*"?|#[^\n]*|\\\n|[\w.]+|\n[ \t]*|[^\s\w]/g

/** Measures source without compiling it. */
export function sourceDepth(source: string): SourceDepth {
  let brackets = 0
  let deepestBrackets = 0
  let operators = 0
  let mostOperators = 0
  let deepestBlocks = 0
  const outer: number[] = [] // operators of the expressions around
  const indents = [0]
  let justClosed = false
  for (const [token] of source.matchAll(tokens)) {
    const [first = ''] = token
    if (first === '\n') {
      if (brackets > 0) continue
      operators = 0
      const indent = token.length - 1
      while ((indents.at(-1) as number) > indent) indents.pop()
      if ((indents.at(-1) as number) < indent) indents.push(indent)
      deepestBlocks = Math.max(deepestBlocks, indents.length - 1)
    } else if ('([{'.includes(first)) {
      outer.push(operators + (justClosed ? 1 : 0)) // a call or index of what a call or index gave
      deepestBrackets = Math.max(deepestBrackets, ++brackets)
      operators = 0
    } else if (')]}'.includes(first)) {
      operators = outer.pop() ?? 0
      brackets = Math.max(0, brackets - 1)
    } else if (first === ',') {
      operators = 0
    } else if (/\w/.test(first)) {
      operators += wordOperators.has(token) ? 1 : token.split('.').length - 1
    } else if (!'\'"#\\:=;'.includes(first)) {
      operators++
    }
    mostOperators = Math.max(mostOperators, operators, ...outer.slice(-1))
    justClosed = ')]}'.includes(first)
  }
  return { brackets: deepestBrackets, blocks: deepestBlocks, operators: mostOperators }
}

const wordOperators = new Set(['not', 'and', 'or', 'is', 'in', 'if', 'else', 'lambda', 'await'])

/** Throws {@link Malformed} where the source is nested deeper than LibTorch's compiler can follow. */
export function checkSourceDepth(source: string): void {
  const found = sourceDepth(source)
  for (const what of ['brackets', 'blocks', 'operators'] as const)
    if (found[what] > deepestSource[what])
      throw new Malformed(
        `its ${what} are nested ${found[what]} deep, and more than ${deepestSource[what]} are refused`,
      )
}
