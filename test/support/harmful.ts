import { readFileSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { cachedFolder } from './cached-folder.js'
import { programsHash, runPython, testPython } from './python.js'

/** A pickle that Python wrote, with its value as JSON has it. */
export interface PythonPickle {
  readonly name: string
  readonly protocol: number
  readonly pickle: string
  readonly value: unknown
}

/** The files of test/python/harmful.py. */
export interface HarmfulModels {
  /** The path of a model, by the name of its class there. */
  file(name: string): string
  readonly lies: readonly string[]
  lie(name: string): string
  readonly pickles: readonly PythonPickle[]
}

export async function harmfulModels(): Promise<HarmfulModels> {
  const python = await testPython()
  const folder = await cachedFolder('harmful', [programsHash('harmful.py'), python.identity], async (partial) => {
    await runPython(python, 'harmful.py', [partial])
  })
  return {
    file: (name) => join(folder, `${name}.pt`),
    lies: readdirSync(join(folder, 'lies')).map((file) => basename(file, '.pt')),
    lie: (name) => join(folder, 'lies', `${name}.pt`),
    pickles: JSON.parse(readFileSync(join(folder, 'pickles.json'), 'utf8')) as PythonPickle[],
  }
}
