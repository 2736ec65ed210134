import { readFileSync, writeFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { cachedFolder } from './cached-folder.js'
import { programsHash, runPython, testPython } from './python.js'
import type { Judged } from './judged.js'
import { readTensor, type StoredTensor, type Values } from './stored-tensor.js'

/** One class for all images, one per image, or the sum of everything that the model returned. */
export type ReferenceTarget = number | number[] | 'sum'

/** What test/python/reference.py is asked for, see there. */
export type ReferenceCase = { readonly output?: number | string } & (
  | { readonly method: 'gradcam'; readonly layers: string[]; readonly target: ReferenceTarget }
  | { readonly method: 'ablation'; readonly layers: string[]; readonly target: number }
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
    readonly input_seed?: number | readonly number[]
    readonly size?: readonly number[]
    /** That its images leave no gate undecided, see test/python/gates.py. */
    readonly decided?: true
    /** That rounding may decide about it: see {@link Reference.isRounding}. */
    readonly may_be_rounding?: true
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

type Cases = Record<string, Record<string, Entry>>

/** As test/python/job.py writes it. */
interface Index {
  readonly torch: string
  readonly models: Record<
    string,
    {
      files: Record<string, string>
      input: StoredTensor
      cases: Cases
      exact?: Cases
      'other side'?: Cases
      is_rounding?: true
    }
  >
}

/** What PyTorch in Python says of the models of one job. */
export class Reference {
  constructor(
    private readonly folder: string,
    private readonly index: Index,
  ) {}

  /** The TorchScript file with exactly the weights that the values were computed with. */
  file(model: string, kind: 'scripted' | 'traced' | 'exported'): string {
    const file = this.fileOrNull(model, kind)
    if (file === null) throw new Error(`${model} has no ${kind} file`)
    return file
  }

  /** The same, null where tracing or scripting the model makes no sense. */
  fileOrNull(model: string, kind: 'scripted' | 'traced' | 'exported'): string | null {
    const name = this.model(model).files[kind]
    return name === undefined ? null : join(this.folder, name)
  }

  input(model: string): Values {
    return this.read(this.model(model).input)
  }

  tensor(model: string, of: string, name: string): Judged {
    return this.judged(model, (cases) => {
      const entry = entryOf(cases, of, name)
      if (typeof entry !== 'object' || Array.isArray(entry)) throw new Error(`${model} ${of} ${name} is not a tensor`)
      return entry
    })
  }

  number(model: string, of: string, name: string): number {
    const entry = entryOf(this.model(model).cases, of, name)
    if (typeof entry !== 'number') throw new Error(`${model} ${of} ${name} is not a number`)
    return entry
  }

  /** Whether float32 is too far from float64 at some gate for its results to be compared. */
  isRounding(model: string): boolean {
    return this.model(model).is_rounding ?? false
  }

  /** Of the method `hooks`. */
  events(model: string, of: string): HookEvent[] {
    return entryOf(this.model(model).cases, of, 'events') as HookEvent[]
  }

  /** Of the method `forward`. */
  outputs(model: string, of: string): Judged[] {
    const outputs = (cases: Cases) => entryOf(cases, of, 'outputs') as StoredTensor[]
    return outputs(this.model(model).cases).map((_, index) => this.judged(model, (cases) => outputs(cases)[index]!))
  }

  /** What the method `hooks` says of one tensor of an event, e.g. `({ grad_inputs }) => grad_inputs?.[0]`. */
  ofEvent(model: string, of: string, index: number, pick: (event: HookEvent) => StoredTensor): Judged {
    return this.judged(model, (cases) => pick((entryOf(cases, of, 'events') as HookEvent[])[index]!))
  }

  read(stored: StoredTensor): Values {
    return readTensor(this.folder, stored)
  }

  /** A tensor, and what it may be off by where the model is in float32, read when asked for. */
  private judged(model: string, pick: (cases: Cases) => StoredTensor): Judged {
    const { cases, exact, 'other side': otherSide } = this.model(model)
    const values = this.read(pick(cases))
    if (!exact || !otherSide) return values
    const read = (from: Cases) => this.read(pick(from))
    return {
      ...values,
      get judge() {
        return { exact: read(exact), otherSide: read(otherSide) }
      },
    }
  }

  private model(name: string): Index['models'][string] {
    const model = this.index.models[name]
    if (!model) throw new Error(`the reference has no model ${name}`)
    return model
  }
}

function entryOf(cases: Cases, of: string, name: string): Entry {
  const entry = cases[of]?.[name]
  if (entry === undefined) throw new Error(`the reference has no ${name} in case ${of}`)
  return entry
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
