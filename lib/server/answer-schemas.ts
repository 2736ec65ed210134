import { mostEvaluated } from './evaluation.js'
import { integer, list, nullable, number, object, text, type Schema } from './schema.js'

export const uploadSchema: Schema = object({
  image: text('The name by which /v1/explain takes the image, as JSON'),
  bytes: integer('Its size'),
})

/** The error of every route: RFC 9457. */
export const problemSchema: Schema = {
  ...object({
    type: text('urn:libtorch-gradcam: and the code'),
    title: text('What the code means.'),
    status: integer('The HTTP status.'),
    detail: text('What was wrong, what is expected, and what to do.'),
    code: text('The stable code, e.g. ERR_IMAGE_CORRUPT.'),
    remedy: text('What to do, where it is known: the end of the detail.'),
  }),
  required: ['type', 'title', 'status', 'code'],
}

const noteSchema = object({
  code: text('RANDOM, BATCH_STATISTICS, ROWS or STATE'),
  layer: nullable(text('The path of the layer')),
  message: text('What it is, what follows from it, and what to do.'),
})

const explainedProperties: Readonly<Record<string, Schema>> = {
  method: text('The method'),
  layer: nullable(text('The layer; null for a method that requires none')),
  class: integer('The class that was explained'),
  label: nullable(text('Its label, where the server has one')),
  score: number('The score of the target: for a class the output of the model'),
  condition: object({
    state: text('ok, zero, saturated, rounding, constant or not-finite: whether the map says something'),
    reason: nullable(text('Why it does not')),
  }),
}

/** Where the request left it to a measurement. */
const chosen: Readonly<Record<string, Schema>> = { precision: text('With precision auto: the type that was chosen') }

const mapSchema: Schema = {
  ...object({
    ...explainedProperties,
    ...chosen,
    height: integer('Rows of the map, which lies over the window'),
    width: integer('Columns of the map'),
    values: list(
      nullable({ type: 'number' }),
      'Format json: the map as the method made it, row by row; null is not finite',
    ),
    npy: text('Format npy: the same as a .npy file, float32 [height, width], in base64'),
  }),
  required: ['method', 'layer', 'class', 'label', 'score', 'condition', 'height', 'width'],
}

/** The answer as JSON. */
export const answerSchema: Schema = object({
  model: text('The name of the model'),
  size: list({ type: 'integer' }, '[height, width] of the image, upright'),
  region: {
    ...object({
      top: integer('First row'),
      left: integer('First column'),
      bottom: integer('The row after the last'),
      right: integer('The column after the last'),
    }),
    description: 'The pixels of the image that the model saw.',
  },
  window: {
    ...object({
      top: number('Upper edge'),
      left: number('Left edge'),
      bottom: number('Lower edge'),
      right: number('Right edge'),
    }),
    description:
      'Where maps lie, in pixels of the image: over the region, and beyond it where the image was padded for the model.',
  },
  outputs: integer('How many numbers the model returned; 0 where its output is not a row for each image'),
  top: list(
    object({
      class: integer('The index of the class'),
      label: nullable(text('Its label, where the server has one')),
      score: number('The output of the model for it'),
      probability: number('The softmax over all outputs, or the output where that is a probability'),
    }),
    'The highest classes, the highest first: as many as `top` says',
  ),
  maps: list(mapSchema, 'By method, layer and target, in the order of the request'),
  notes: list(noteSchema, 'What makes results of the model depend on more than the image'),
  warnings: list({ type: 'string' }, 'What LibTorch and the model warned of'),
})

const measuredSchema = object({
  value: number('The area under the curve'),
  curve: list({ type: 'number' }, 'The score at each of the points'),
})

/** The answer of an evaluation. */
export const evaluatedSchema: Schema = object({
  model: text('The name of the model'),
  points: list({ type: 'number' }, 'The shares of pixels that the curves are over, from 0 to 1'),
  maps: list(
    object(
      {
        ...explainedProperties,
        ...chosen,
        results: {
          ...object({ insertion: measuredSchema, deletion: measuredSchema }, []),
          type: ['object', 'null'],
          description: 'By metric; null where the map holds NaN or an infinity',
        },
      },
      [...Object.keys(explainedProperties), 'results'],
    ),
    `By method, layer and target, in the order of the request; at most ${mostEvaluated}`,
  ),
})

export const modelSchema: Schema = object({
  name: text('Its name'),
  file: nullable(text('What its file is called, where the server was told')),
  preprocess: {
    anyOf: [{ type: 'string' }, { type: 'object', additionalProperties: true }],
    description: 'What is done to images: the name of a preset, or a description',
  },
  isDefault: { type: 'boolean', description: 'Whether it is that of requests that name none' },
  devices: list({ type: 'string' }, 'A device for each replica'),
  defaultLayer: nullable(text('The layer of requests that name none')),
  size: list({ type: 'integer' }, '[height, width] that images are framed to'),
  labels: nullable(list({ type: 'string' }, 'The names of the classes')),
  inputs: list({ type: 'string' }, 'The names of its inputs, in order: what `inputs` of requests may give'),
  notes: list(noteSchema, 'What makes results of the model depend on more than the image'),
})

export const layerSchema: Schema = object({
  path: text('Its path'),
  type: text('Its class'),
  parameters: integer('The number of its parameters, with all inside it'),
  explainable: { type: 'boolean', description: 'Whether hooks can be put on it' },
  output: nullable(text('What it returned for one image')),
  suggested: { type: 'boolean', description: 'Whether it is a good layer to explain' },
  reason: nullable(text('Why, in one sentence')),
  isDefault: { type: 'boolean', description: 'Whether it is that of requests that name none' },
})

export const methodSchema: Schema = object({
  name: text('Its name'),
  title: text('Its name in a heading'),
  by: text('The class of the package that computes it'),
  layered: { type: 'boolean', description: 'Whether it requires a layer' },
  target: { type: 'boolean', description: 'Whether its map depends on the target' },
  fine: { type: 'boolean', description: 'Whether its map differs from pixel to pixel' },
  needs: text('gradient, runs (it runs the model many times) or nothing'),
  signed: { type: 'boolean', description: 'Whether its map may have negative values' },
  formula: text('The formula'),
  paper: nullable(text('arXiv number, DOI or the like')),
})

export const listOf = (name: string, items: Schema): Schema => object({ [name]: { type: 'array', items } })

export const statusSchema: Schema = object({ status: text('ok, or draining') })
