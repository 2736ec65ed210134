/** The message of an error in one line: LibTorch's own messages may have many. */
export function inOneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.trim().replace(/\s*[\r\n]+\s*/g, ' ')
}
