import type { ModelHandle, NativeFinding, NativeRows } from '../addon/native-model.js'
import { checkModel, type Model } from './model.js'

/** Something about a model that makes its results depend on more than the image, or that changes how it runs. */
export interface ModelNote {
  /**
   * - RANDOM: its code draws random numbers, so that two runs differ.
   * - BATCH_STATISTICS: a normalisation uses the statistics of the batch, so that an image's result depends on the others.
   * - ROWS: an image was seen to come out differently beside another one; methods that run many copies run them one by one.
   * - STATE: a run changes the model's state, which is put back after each pass.
   */
  readonly code: 'RANDOM' | 'BATCH_STATISTICS' | 'ROWS' | 'STATE'
  /** The path of the layer; null where it is not known. */
  readonly layer: string | null
  /** E.g. 'aten::dropout'; null likewise. */
  readonly operator: string | null
  /** What it is, what follows from it, and what to do, in sentences. */
  readonly message: string
}

/** What turns the last layer's values into the output of a model; null where that is not one of these. */
export type Ending = 'softmax' | 'log_softmax' | 'sigmoid' | null

interface KnownOfModel {
  readonly notes: readonly ModelNote[]
  readonly ending: Ending
  rows: NativeRows | null
}

type Handled = Pick<Model, 'handle'>

const known = new WeakMap<ModelHandle, KnownOfModel>()
/** The same by model: one that is disposed gives its handle no more, and a run that goes on then still has a result. */
const knownOfModels = new WeakMap<Handled, KnownOfModel>()

function factsOf(model: Handled): KnownOfModel {
  const before = knownOfModels.get(model)
  if (before) return before
  const facts = factsOfHandle(model.handle)
  knownOfModels.set(model, facts)
  return facts
}

function factsOfHandle(handle: ModelHandle): KnownOfModel {
  const before = known.get(handle)
  if (before) return before
  const { findings, ending, changes } = handle.facts()
  const notes = findings.map(({ kind, operator, layer }) => noteOf(kind, operator, layer))
  if (changes !== '')
    notes.push({
      code: 'STATE',
      layer: null,
      operator: null,
      message: `A run of the model changes ${changes}. Each pass starts from the state that the model was loaded or left with, and puts it back.`,
    })
  const facts: KnownOfModel = { notes, ending: ending === '' ? null : ending, rows: null }
  known.set(handle, facts)
  return facts
}

const recipe = 'Export it again in evaluation mode: model.eval(), and then torch.jit.script or torch.jit.trace.'

/** What draws random numbers in training mode alone; other operators draw them in any mode. */
const drawsInTraining = /dropout|rrelu/

function noteOf(kind: NativeFinding['kind'], operator: string, layer: string): ModelNote {
  const at = layer === '' ? operator : `${operator} at layer '${layer}'`
  return kind === 'random'
    ? {
        code: 'RANDOM',
        layer: layer || null,
        operator,
        message: `The model draws random numbers by ${at}: two runs of one image differ. ${
          drawsInTraining.test(operator) ? recipe : 'Leave that out of the model that you export, if it is not meant.'
        }`,
      }
    : {
        code: 'BATCH_STATISTICS',
        layer: layer || null,
        operator,
        message: `The model normalises by the statistics of the batch, by ${at}: an image's result depends on the images beside it. ${recipe} A layer that keeps no statistics (track_running_stats=False) uses the batch's all the same: explain images one at a time.`,
      }
}

/** @internal Keeps what is known of a model for results of runs that outlive it. */
export const rememberModel = (model: Handled): void => void factsOf(model)

/** @internal What a probe found, which is a note where it is not as it should be. */
export function rememberRows(model: Handled, rows: NativeRows | null): void {
  if (rows) factsOf(model).rows = rows
}

/** @internal Forgets what a probe found: the model is run on another number of images from now on. */
export const forgetRows = (model: Handled): void => void (factsOf(model).rows = null)

/** @internal What is known of the rows of a batch; null before the first probe. */
export const rowsOf = (model: Handled): NativeRows | null => factsOf(model).rows

/** @internal What turns the last layer's values into the output. */
export const endingOf = (model: Handled): Ending => factsOf(model).ending

/**
 * What was found about a model when it was loaded, and by probes since: nothing of most models.
 *
 * @throws GradCamError ERR_INVALID_ARGUMENT, ERR_DISPOSED
 */
export function modelNotes(model: Model): readonly ModelNote[] {
  return notesOf(checkModel(model))
}

/** @internal The same for a model that explains; it may have been disposed since. */
export function notesOf(model: Handled): readonly ModelNote[] {
  const { notes, rows } = factsOf(model)
  if (!rows || rows.independent) return notes
  const layer = rows.layer || null
  if (rows.random) {
    if (notes.some(({ code }) => code === 'RANDOM')) return notes
    const message = `The model gives random results: ${rows.why}`
    return [...notes, { code: 'RANDOM', layer, operator: null, message }]
  }
  if (!rows.alone) {
    const message = `The model runs on as many images as it was given, but ${rows.why} Export it with a batch of any size, if it is to explain one.`
    return [...notes, { code: 'ROWS', layer, operator: null, message }]
  }
  const message = `The model does not take images independently of each other: ${rows.why} Methods that run copies of an image run them one by one.`
  return [...notes, { code: 'ROWS', layer, operator: null, message }]
}
