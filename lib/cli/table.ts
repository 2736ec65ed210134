/** A cell of a table: its text, and how it is shown once its width is known. */
export interface Cell {
  readonly text: string
  readonly paint?: (padded: string) => string
  readonly alignRight?: boolean
}

/** Rows of cells as lines, each column as wide as its widest cell. Columns that are empty in all rows are left out. */
export function formatTable(rows: readonly (readonly Cell[])[]): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, at) => Math.max(...rows.map((row) => row[at]?.text.length ?? 0)))
  return rows.map((row) => {
    const last = row.findLastIndex(({ text }) => text !== '')
    const shown = row.slice(0, last + 1).flatMap((cell, at) => {
      const { text, paint = (padded) => padded, alignRight } = cell
      const width = widths[at] ?? 0
      if (width === 0) return []
      // The last cell needs no spaces after it.
      return [paint(alignRight ? text.padStart(width) : at === last ? text : text.padEnd(width))]
    })
    return shown.join('  ')
  })
}
