import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cachedFolder } from './cached-folder.js'
import { programsHash, runPython, testPython } from './python.js'
import { readTensor, type StoredTensor, type Values } from './stored-tensor.js'

type Scope = 'modules' | 'all'

interface Net {
  readonly files: Readonly<Record<'scripted' | 'traced', string>>
  readonly relus: readonly [modules: number, all: number]
  readonly modules?: StoredTensor
  readonly all?: StoredTensor
}

/** The nets of test/python/in_place_views.py, and their guided gradients. */
export interface InPlaceViews {
  readonly names: string[]
  readonly input: Values
  file(name: string, kind: 'scripted' | 'traced'): string
  relus(name: string, scope: Scope): number
  gradient(name: string, scope: Scope): Values
}

export async function inPlaceViews(): Promise<InPlaceViews> {
  const python = await testPython()
  const key = [programsHash('in_place_views.py'), python.identity]
  const folder = await cachedFolder('in-place-views', key, async (partial) => {
    mkdirSync(partial)
    await runPython(python, 'in_place_views.py', [partial])
  })
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
    input: StoredTensor
    nets: Record<string, Net>
  }
  const net = (name: string): Net => {
    const found = index.nets[name]
    if (!found) throw new Error(`there is no net ${name}`)
    return found
  }
  return {
    names: Object.keys(index.nets),
    input: readTensor(folder, index.input),
    file: (name, kind) => join(folder, net(name).files[kind]),
    relus: (name, scope) => net(name).relus[scope === 'modules' ? 0 : 1],
    gradient: (name, scope) => {
      const stored = net(name)[scope]
      if (!stored) throw new Error(`${name} has no rule`)
      return readTensor(folder, stored)
    },
  }
}
