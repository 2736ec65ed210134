import { readFileSync, writeFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { cachedFolder } from './cached-folder.js'
import { programsHash, runPython, testPython } from './python.js'
import { readTensor, type StoredTensor, type Values } from './stored-tensor.js'

/** One class for all images, one per image, or the sum of everything that the model returned. */
export type ReferenceTarget = number | number[] | 'sum'

/** What test/python/reference.py is asked for, see there. */
export type ReferenceCase = { readonly output?: number | string } & (
  | { readonly method: 'gradcam'; readonly layers: string[]; readonly target: ReferenceTarget }
  | { readonly method: 'gradcam_last_call'; readonly layer: string; readonly target: ReferenceTarget }
  | { readonly method: 'guided'; readonly scope: 'all' | 'modules'; readonly target: ReferenceTarget }
  | { readonly method: 'gradient'; readonly target: ReferenceTarget }
  | { readonly method: 'mixed'; readonly layer: string; readonly target: ReferenceTarget }
  | { readonly method: 'forward' }
  | { readonly method: 'hooks'; readonly layers?: string[]; readonly target?: ReferenceTarget }
)

export type ReferenceJob = Record<
  string,
  {
    readonly seed?: number
    readonly input_seed?: number
    readonly files?: boolean
    readonly cases: Record<string, ReferenceCase>
  }
>

/** One call of one hook, as PyTorch made it. */
export interface HookEvent {
  readonly hook: 'pre' | 'forward' | 'backward'
  readonly path: string
  readonly inputs?: (StoredTensor | null)[]
  readonly outputs?: (StoredTensor | null)[]
  readonly grad_inputs?: (StoredTensor | null)[]
  readonly grad_outputs?: (StoredTensor | null)[]
}

type Entry = StoredTensor | number | StoredTensor[] | HookEvent[]

interface Index {
  readonly torch: string
  readonly models: Record<
    string,
    { files: Record<string, string>; input: StoredTensor; cases: Record<string, Record<string, Entry>> }
  >
}

/** What PyTorch in Python says of the models of one job. */
export class Reference {
  constructor(
    private readonly folder: string,
    private readonly index: Index,
  ) {}

  /** The TorchScript file with exactly the weights that the values were computed with. */
  file(model: string, kind: 'scripted' | 'traced'): string {
    const file = this.fileOrNull(model, kind)
    if (file === null) throw new Error(`${model} has no ${kind} file`)
    return file
  }

  /** The same, null where tracing or scripting the model makes no sense. */
  fileOrNull(model: string, kind: 'scripted' | 'traced'): string | null {
    const name = this.model(model).files[kind]
    return name === undefined ? null : join(this.folder, name)
  }

  input(model: string): Values {
    return this.read(this.model(model).input)
  }

  tensor(model: string, of: string, name: string): Values {
    const entry = this.entry(model, of, name)
    if (typeof entry !== 'object' || Array.isArray(entry)) throw new Error(`${model} ${of} ${name} is no tensor`)
    return this.read(entry)
  }

  number(model: string, of: string, name: string): number {
    const entry = this.entry(model, of, name)
    if (typeof entry !== 'number') throw new Error(`${model} ${of} ${name} is no number`)
    return entry
  }

  /** Of the method `hooks`. */
  events(model: string, of: string): HookEvent[] {
    return this.entry(model, of, 'events') as HookEvent[]
  }

  /** Of the method `forward`. */
  outputs(model: string, of: string): Values[] {
    return (this.entry(model, of, 'outputs') as StoredTensor[]).map((stored) => this.read(stored))
  }

  read(stored: StoredTensor): Values {
    return readTensor(this.folder, stored)
  }

  private entry(model: string, of: string, name: string): Entry {
    const entry = this.model(model).cases[of]?.[name]
    if (entry === undefined) throw new Error(`the reference has no ${name} in case ${of} of ${model}`)
    return entry
  }

  private model(name: string): Index['models'][string] {
    const model = this.index.models[name]
    if (!model) throw new Error(`the reference has no model ${name}`)
    return model
  }
}

/** Has Python compute a job, or takes what it computed for the same job, programs and PyTorch before. */
export async function reference(name: string, models: ReferenceJob): Promise<Reference> {
  const python = await testPython()
  const job = JSON.stringify({ models })
  const folder = await cachedFolder(name, [job, programsHash('reference.py'), python.identity], async (partial) => {
    mkdirSync(partial)
    const file = join(partial, 'job.json')
    writeFileSync(file, job)
    await runPython(python, 'reference.py', [file, partial])
  })
  return new Reference(folder, JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Index)
}
