import { basename } from 'node:path'
import { statusLine } from './status-line.js'

/** What a builder prints as it goes: Ninja's and make's counts, node-gyp's lines. */
const stepPattern = /^(?:\[\s*(\d+\/\d+|\d+%)\] Building \w+ object (\S+)|\s*CXX\(target\) (\S+))/

/** Shows how far a build is: a status line on a terminal, a line per file elsewhere. */
export function buildProgress(stream: NodeJS.WriteStream, verbose: boolean) {
  const status = statusLine(stream)
  let rest = ''
  return {
    say: (line: string): void => {
      status.clear()
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
        const step = `  ${count ? `${count} ` : ''}${name}`
        if (status.isShown) status.show(step)
        else stream.write(`${step}\n`)
      }
    },
    end: status.clear,
  }
}
