import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cachedFolder } from './cached-folder.js'
import { programsHash, runPython, testPython } from './python.js'
import { readTensor, type StoredTensor, type Values } from './stored-tensor.js'

interface Index {
  readonly input: StoredTensor
  readonly nets: Record<string, { readonly file: string; readonly cam: StoredTensor }>
}

/** The nets of test/python/copied_nets.py, and what eager PyTorch says of them. */
export interface CopiedNets {
  readonly names: string[]
  readonly input: Values
  file(name: string): string
  /** Grad-CAM of class 1 at the layer `features`, of the first run. */
  cam(name: string): Values
}

export async function copiedNets(): Promise<CopiedNets> {
  const python = await testPython()
  const key = [programsHash('copied_nets.py'), python.identity]
  const folder = await cachedFolder('copied-nets', key, async (partial) => {
    mkdirSync(partial)
    await runPython(python, 'copied_nets.py', [partial])
  })
  const { input, nets } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Index
  const net = (name: string) => {
    const found = nets[name]
    if (!found) throw new Error(`there is no net ${name}`)
    return found
  }
  return {
    names: Object.keys(nets),
    input: readTensor(folder, input),
    file: (name) => join(folder, net(name).file),
    cam: (name) => readTensor(folder, net(name).cam),
  }
}
