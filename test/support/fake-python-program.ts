// What a test puts on PATH as python3: it answers what this package asks a Python, and its pip installs a folder that
// looks like PyTorch. How it behaves comes from a file, see fake-python.ts.
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FakePython } from './fake-python.js'
import { libraryPath } from '../../lib/addon/describe.js'
import { fakeLibTorch } from './fake-libtorch.js'

interface Behaviour extends FakePython {
  readonly there: boolean
  readonly log: string
  readonly hangsFile: string
}

const [behaviourFile = '', ...args] = process.argv.slice(2)
const behaviour = JSON.parse(readFileSync(behaviourFile, 'utf8')) as Behaviour

if (!behaviour.there) {
  process.exitCode = 127
} else if (args[0] === '-c') {
  const { version = '3.11.7', pip = '23.2.1' } = behaviour
  console.log(JSON.stringify({ executable: '/fake/python3', version, pip, torch: null }))
} else if (args[2] === 'config') {
  console.log("global.index-url='https://index.invalid/simple'")
} else {
  install(args)
}

function install(pipArgs: string[]): void {
  const target = pipArgs[pipArgs.indexOf('--target') + 1] ?? ''
  const requirement = pipArgs.at(-1) ?? ''
  appendFileSync(behaviour.log, `${JSON.stringify([...pipArgs, `TMPDIR=${process.env['TMPDIR']}`])}\n`)
  const build = behaviour.index?.[requirement]
  if (behaviour.fails || !build) {
    const none = `ERROR: Could not find a version that satisfies the requirement ${requirement}\nERROR: No matching distribution found for ${requirement}`
    console.error(behaviour.fails ?? none)
    process.exitCode = 1
    return
  }
  const root = fakeLibTorch(join(target, 'torch'), { version: `2.13.0+${build}`, cuda: build === 'cuda' })
  if (!behaviour.hangs) return
  rmSync(libraryPath(root, 'torch_cpu'))
  writeFileSync(behaviour.hangsFile, String(process.pid))
  setInterval(() => {}, 1000)
}
