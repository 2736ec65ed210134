import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cachedFolder } from './cached-folder.js'
import { programsHash, runPython, testPython } from './python.js'
import { readTensor, type StoredTensor, type Values } from './stored-tensor.js'

interface Index {
  readonly torch: string
  readonly models: Record<string, SmallNetEntry>
  readonly variants: Record<string, string>
  readonly bad: Record<string, string>
}

interface SmallNetEntry {
  readonly files: { readonly scripted?: string; readonly traced?: string }
  readonly modules: string[]
  readonly input: StoredTensor
  readonly output: StoredTensor | null
}

/** The small nets of test/python/nets.py and structured_nets.py as files, and files that are not models. */
export class SmallNets {
  constructor(
    private readonly folder: string,
    private readonly index: Index,
  ) {}

  /** Every net that has a file of that kind. */
  names(kind: 'scripted' | 'traced'): string[] {
    return Object.entries(this.index.models).flatMap(([name, entry]) => (entry.files[kind] ? [name] : []))
  }

  file(name: string, kind: 'scripted' | 'traced' = 'scripted'): string {
    const file = this.entry(name).files[kind]
    if (file === undefined) throw new Error(`${name} has no ${kind} file`)
    return join(this.folder, file)
  }

  /** The paths that named_modules() gives in Python, '' for the model itself. */
  modules(name: string): string[] {
    return this.entry(name).modules
  }

  /** Input of the shape that the net takes, and what eager PyTorch makes of it where that is one tensor. */
  input(name: string): Values {
    return readTensor(this.folder, this.entry(name).input)
  }

  output(name: string): Values {
    const { output } = this.entry(name)
    if (!output) throw new Error(`${name} does not return one tensor`)
    return readTensor(this.folder, output)
  }

  /** The net `plain` as 'frozen', one without layers as 'frozen_arithmetic', `plain` 'optimized', in 'training_mode' or with 'no_grad_parameters'. */
  variant(name: string): string {
    const file = this.index.variants[name]
    if (file === undefined) throw new Error(`there is no variant ${name}`)
    return join(this.folder, file)
  }

  /** Path of a file that is not a TorchScript model, by its name in test/python/bad_files.py, e.g. 'state_dict.pt'. */
  bad(name: string): string {
    const file = this.index.bad[name]
    if (file === undefined) throw new Error(`there is no bad file ${name}`)
    return join(this.folder, file)
  }

  badNames(): string[] {
    return Object.keys(this.index.bad)
  }

  private entry(name: string): SmallNetEntry {
    const entry = this.index.models[name]
    if (!entry) throw new Error(`there is no small net ${name}`)
    return entry
  }
}

let nets: Promise<SmallNets> | undefined

/** Has Python write them, once for all test processes. */
export function smallNets(): Promise<SmallNets> {
  return (nets ??= make())
}

async function make(): Promise<SmallNets> {
  const python = await testPython()
  const folder = await cachedFolder('small-nets', [programsHash('models.py'), python.identity], async (partial) => {
    await runPython(python, 'models.py', [partial])
  })
  return new SmallNets(folder, JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Index)
}
