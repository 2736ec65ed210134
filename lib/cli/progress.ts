import { basename } from 'node:path'

/** What a builder prints as it goes: Ninja's and make's counts, node-gyp's lines. */
const stepPattern = /^(?:\[\s*(\d+\/\d+|\d+%)\] Building \w+ object (\S+)|\s*CXX\(target\) (\S+))/

/** Shows how far a build has come: one line that is written over on a terminal, a line per file elsewhere. */
export function buildProgress(stream: NodeJS.WriteStream, verbose: boolean) {
  const overwrite = stream.isTTY && !verbose
  let rest = ''
  let shown = false
  const clear = (): void => {
    if (shown) stream.write('\r\u001b[K')
    shown = false
  }
  return {
    say: (line: string): void => {
      clear()
      stream.write(`${line}\n`)
    },
    onOutput: (text: string): void => {
      if (verbose) {
        stream.write(text)
        return
      }
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const [, count, cmakeFile, gypFile] = line.match(stepPattern) ?? []
        const file = cmakeFile ?? gypFile
        if (!file) continue
        const name = basename(file)
          .replace(/(\.cc)?\.o$/, '.cc')
          .replace('cmake_pch.hxx.gch', "LibTorch's headers")
        clear()
        stream.write(`  ${count ? `${count} ` : ''}${name}${overwrite ? '' : '\n'}`)
        shown = overwrite
      }
    },
    end: clear,
  }
}
