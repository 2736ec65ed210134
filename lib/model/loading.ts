import type { ModelHandle } from '../addon/native-model.js'
import { native } from '../addon/native.js'
import { expect, invalid, isInstance } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { toNativePlan } from '../exported/plan.js'
import { checkModelFile } from '../model-file/check.js'
import { isPathLike } from './load-libraries.js'
import { toModelInput, type ModelInput } from './model-input.js'
import { explainRefusal, planOfWeights, type LoadedWeights } from './open-plan.js'
import { openPlan, type OpenedPlan } from './plan-thread.js'
import { readWhole, tryUntrusted, type TrialLimits } from './trial.js'

/** A native model, with what only its file tells. */
export interface LoadedModel {
  readonly handle: ModelHandle
  readonly inputs: readonly ModelInput[] | null
  readonly weights: LoadedWeights | null
}

/** Where and how the addon loads a model. */
export interface Placement {
  readonly device: string
  /** 0 for those of the process. */
  readonly threads: number
  readonly splitMemory: number | undefined
}

/** The file of a model that is loaded, for one device or for several: it is read, checked and tried once. */
export class Loading {
  readonly #from: string | Uint8Array
  readonly #weights: string | Uint8Array | undefined
  #read: Promise<string | Uint8Array> | undefined
  #checked: Promise<void> | undefined

  /**
   * @param weights of the architecture that `source` names
   * @param trial how it is tried; null for a file that is trusted
   */
  constructor(
    source: unknown,
    weights: unknown,
    private readonly trial: TrialLimits | null,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#from = toOrigin('source', source)
    this.#weights = weights === undefined ? undefined : toOrigin('weights', weights)
  }

  async load({ device, threads, splitMemory }: Placement, ticket: number): Promise<LoadedModel> {
    const from = await (this.#read ??= this.#readFile())
    const opened = await this.#open(from, device)
    this.signal?.throwIfAborted()
    if (opened) {
      const handle = await native().loadPlan(opened.plan, device, threads, splitMemory, ticket)
      return { handle, inputs: opened.inputs.map(toModelInput), weights: opened.loaded }
    }
    await (this.#checked ??= this.#check(from))
    this.signal?.throwIfAborted()
    const handle = await native()
      .loadModel(from, device, threads, splitMemory, ticket)
      .catch((error: unknown) => {
        throw explainRefusal(error, from)
      })
    return { handle, inputs: null, weights: null }
  }

  // Bytes of the caller's may change while others are awaited, and an untrusted file as well.
  async #readFile(): Promise<string | Uint8Array> {
    if (typeof this.#from !== 'string') return Buffer.from(this.#from)
    return this.trial && this.#weights === undefined ? await readWhole(this.#from) : this.#from
  }

  /** What is not TorchScript, as the addon takes it; null for what the addon reads itself. */
  async #open(
    from: string | Uint8Array,
    device: string,
  ): Promise<(OpenedPlan & { loaded: LoadedWeights | null }) | null> {
    const weights = this.#weights
    if (weights !== undefined) {
      if (typeof from !== 'string')
        throw invalid('source', 'the name of an architecture where `weights` are given', from)
      const { plan, loaded } = planOfWeights(from, weights)
      return { plan: toNativePlan(plan), inputs: plan.inputs, loaded }
    }
    // Constants that a program makes are made on the model's device.
    const where = device === 'auto' ? (native().info().cuda ? 'cuda' : 'cpu') : device
    const opened = await openPlan({ from, device: where }, this.signal)
    return opened && { ...opened, loaded: null }
  }

  async #check(from: string | Uint8Array): Promise<void> {
    const name = typeof this.#from === 'string' ? `'${this.#from}'` : 'The buffer'
    const found = await checkModelFile(from, name)
    if (this.trial && typeof from !== 'string')
      await tryUntrusted(from, name, found, { ...this.trial, signal: this.signal })
  }
}

/** A path, or bytes. */
function toOrigin(name: 'source' | 'weights', value: unknown): string | Uint8Array {
  if (isInstance(value, Uint8Array)) return value
  if (!isPathLike(value)) throw invalid(name, 'a path, a file: URL, or a Buffer with the bytes of the file', value)
  if (value === '')
    throw new GradCamError('ERR_FILE_NOT_FOUND', `The path of the ${name === 'source' ? 'model' : 'weights'} is empty.`)
  return expect.path(name, value)
}
