const codes = { red: 31, green: 32, yellow: 33, dim: 2 } as const

/** Colours a text where a person reads it: on a terminal, unless NO_COLOR says otherwise. */
export function paint(colour: keyof typeof codes, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  const wanted = stream.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
  return wanted ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text
}
