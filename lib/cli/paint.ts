const codes = { red: 31, green: 32, yellow: 33, dim: 2 } as const

/** Colours a text on a terminal, unless NO_COLOR is set. */
export function paint(colour: keyof typeof codes, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  const isColoured = stream.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
  return isColoured ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text
}
