/** One line of a terminal that is written again and again. */
export interface StatusLine {
  /** Whether the stream is a terminal: elsewhere nothing is shown. */
  readonly isShown: boolean
  /** Replaces the line. */
  readonly show: (text: string) => void
  /** Removes the line, e.g. before another one is printed. */
  readonly clear: () => void
}

const clearLine = '\r\u001b[K'

/** A status line on a stream. */
export function statusLine(stream: NodeJS.WriteStream): StatusLine {
  let shown = false
  return {
    isShown: stream.isTTY,
    show(text) {
      if (!stream.isTTY) return
      // A line that is wider than the terminal would wrap, and could not be replaced.
      const width = (stream.columns || 80) - 1
      stream.write(`${clearLine}${text.slice(0, width)}`)
      shown = true
    },
    clear() {
      if (shown) stream.write(clearLine)
      shown = false
    },
  }
}
