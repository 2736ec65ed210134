import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ScriptModule, Tensor } from '../../lib/index.js'
import { cachedFolder } from './cached-folder.js'
import { programsHash, runPython, testPython, type TestPython } from './python.js'
import { readTensor, type StoredTensor, type Values } from './stored-tensor.js'
import { toTensor } from './to-tensor.js'

type Index = Record<
  string,
  { readonly file: string; readonly inputs: StoredTensor[]; readonly values: Record<string, StoredTensor> }
>

/** The nets of a program such as test/python/unusual_nets.py, with what eager PyTorch makes of them. */
export class UnusualNets {
  constructor(
    private readonly folder: string,
    private readonly index: Index,
  ) {}

  file(name: string): string {
    return join(this.folder, this.#entry(name).file)
  }

  load(name: string): Promise<ScriptModule> {
    return ScriptModule.load(this.file(name))
  }

  inputs(name: string): Tensor[] {
    return this.#entry(name).inputs.map((stored) => toTensor(readTensor(this.folder, stored)))
  }

  /** The first input, and its first image alone. */
  batch(name: string): { readonly both: Tensor; readonly one: Tensor } {
    const [both] = this.inputs(name) as [Tensor]
    return { both, one: both.slice(0, 0, 1).clone() }
  }

  value(name: string, key: string): Values {
    const stored = this.#entry(name).values[key]
    if (!stored) throw new Error(`${name} has no value ${key}`)
    return readTensor(this.folder, stored)
  }

  #entry(name: string): Index[string] {
    const entry = this.index[name]
    if (!entry) throw new Error(`there is no unusual net ${name}`)
    return entry
  }
}

/**
 * @param program of test/python, one that writes such nets
 * @param given the Python that it runs in, where that has to have more than torch
 */
export async function unusualNets(program = 'unusual_nets.py', given?: TestPython): Promise<UnusualNets> {
  const python = given ?? (await testPython())
  const key = [programsHash(program), python.identity]
  const folder = await cachedFolder(program.replace('.py', '').replaceAll('_', '-'), key, async (partial) => {
    await runPython(python, program, [partial])
  })
  return new UnusualNets(folder, JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Index)
}
