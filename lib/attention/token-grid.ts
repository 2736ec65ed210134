import { GradCamError } from '../base/errors.js'

/** Where the tokens of an image are: after the first `skip`, row by row in a grid. */
export interface TokenGrid {
  readonly skip: number
  readonly rows: number
  readonly columns: number
}

/** What the caller said of the tokens. */
export interface TokenOptions {
  /** Their grid, [rows, columns]. By default one whose cells are squares of the input [N, C, H, W]. */
  readonly tokens?: 'input' | readonly [rows: number, columns: number]
  /**
   * How many tokens before them are not positions: class and distillation tokens, registers. By default as few as leave a whole
   * grid. The first of them is the class token, from which a map starts; without any it starts from all positions alike.
   */
  readonly skip?: number
}

/** Class and distillation tokens and registers are fewer. */
const mostSkipped = 16

/** A cell may be so much higher than wide, or the other way: patches of an input whose sizes are not multiples of theirs. */
const stretch = 1.1

/** @throws GradCamError ERR_SHAPE */
export function tokenGrid(count: number, size: readonly number[], { tokens = 'input', skip }: TokenOptions): TokenGrid {
  const remedy = 'Say where they are: `tokens`: [rows, columns], and `skip` for those before them.'
  const details = { tokens: count, size }
  if (tokens !== 'input') {
    const [rows, columns] = tokens
    const before = count - rows * columns
    if (before < 0 || (skip !== undefined && skip !== before))
      throw new GradCamError(
        'ERR_SHAPE',
        `The model attends between ${count} tokens, which are not ${rows} x ${columns}${skip === undefined ? '' : ` after the first ${skip}`}.`,
        { remedy, details },
      )
    return { skip: before, rows, columns }
  }
  const [height, width, ...more] = size
  if (height === undefined || width === undefined || more.length > 0)
    throw new GradCamError(
      'ERR_SHAPE',
      `The tokens of an input with ${size.length} spatial dimensions are in no known grid.`,
      {
        remedy,
        details,
      },
    )
  for (let before = skip ?? 0; before <= (skip ?? Math.min(mostSkipped, count - 1)); before++) {
    const positions = count - before
    const rows = Math.round(Math.sqrt((positions * height) / width))
    if (rows < 1 || positions % rows !== 0) continue
    const columns = positions / rows
    const shape = height / rows / (width / columns)
    if (shape < stretch && shape > 1 / stretch) return { skip: before, rows, columns }
  }
  throw new GradCamError(
    'ERR_SHAPE',
    `The model attends between ${count} tokens, which form no grid of squares of the ${height} x ${width} input.`,
    { remedy, details },
  )
}
