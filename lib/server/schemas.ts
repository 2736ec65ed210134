import { methodNames } from '../methods/table.js'
import { mostMaps, type overlayFormats } from './service.js'

// One set of schemas: Fastify validates by them, serializes by them, and /openapi.json consists of them. They use what JSON
// Schema draft 7 and OpenAPI 3.1 have in common.

/** A JSON Schema. */
export type Schema = Readonly<Record<string, unknown>>

const text = (description: string): Schema => ({ type: 'string', description })
const number = (description: string): Schema => ({ type: 'number', description })
const integer = (description: string): Schema => ({ type: 'integer', description })
const nullable = (schema: Schema): Schema => ({ ...schema, type: [schema['type'], 'null'] })
const list = (items: Schema, description: string): Schema => ({ type: 'array', items, description })

function object(properties: Readonly<Record<string, Schema>>, required = Object.keys(properties)): Schema {
  return { type: 'object', properties, required }
}

/** The formats of an answer. */
export const answerFormats = ['json', 'npy', 'png', 'webp', 'jpeg'] as const satisfies (
  'json' | 'npy' | keyof typeof overlayFormats
)[]

const askProperties: Readonly<Record<string, Schema>> = {
  model: { type: 'string', maxLength: 100, description: 'The name of the model; by default the first of /v1/models.' },
  method: {
    type: 'array',
    items: { type: 'string', enum: methodNames },
    minItems: 1,
    maxItems: methodNames.length,
    uniqueItems: true,
    description:
      'The methods; gradcam by default, or the first that the server offers. Methods of layers share their passes.',
  },
  layer: {
    type: 'array',
    items: { type: 'string', minLength: 1, maxLength: 1000 },
    minItems: 1,
    maxItems: mostMaps,
    uniqueItems: true,
    description: 'The paths of the layers, for methods that require one; by default the defaultLayer of the model.',
  },
  target: {
    type: 'array',
    items: { anyOf: [{ type: 'string', maxLength: 1000 }, { type: 'integer', minimum: 0 }, { type: 'object' }] },
    minItems: 1,
    maxItems: mostMaps,
    description:
      'What is explained: the index of a class, its label, argmax (the default: the top class), or, in JSON, a target with a kind.',
  },
  format: {
    type: 'string',
    enum: answerFormats,
    default: 'json',
    description:
      'json has maps as arrays of numbers, npy as .npy files in base64; png, webp and jpeg are the map over the image.',
  },
  alpha: {
    type: 'number',
    minimum: 0,
    maximum: 1,
    default: 0.5,
    description: 'How much of the map an image shows: 0 the image alone, 1 the map alone.',
  },
}

/** The options of an explanation, in the query or as JSON. */
export const askSchema: Schema = {
  type: 'object',
  properties: askProperties,
  // Not additionalProperties: false, which makes Fastify take out what is unknown in silence.
  propertyNames: { enum: Object.keys(askProperties) },
}

/** The same for an image that was uploaded before. */
export const askUploadedSchema: Schema = object({ image: text('The name that /v1/images gave'), ...askProperties }, [
  'image',
])

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

const mapSchema: Schema = {
  ...object({
    method: text('The method'),
    layer: nullable(text('The layer; null for a method that requires none')),
    class: integer('The class that was explained'),
    label: nullable(text('Its label, where the server has one')),
    score: number('The score of the target: for a class the output of the model'),
    condition: object({
      state: text('ok, zero, saturated or not-finite: whether the map says something'),
      reason: nullable(text('Why it does not')),
    }),
    height: integer('Rows of the map, which lies over the region'),
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
    description: 'The pixels of the image that the model saw: maps lie over these.',
  },
  outputs: integer('How many numbers the model returned; 0 where its output is not a row for each image'),
  top: list(
    object({
      class: integer('The index of the class'),
      label: nullable(text('Its label, where the server has one')),
      score: number('The output of the model for it'),
      probability: number('The softmax over all outputs, or the output where that is a probability'),
    }),
    'The highest classes, at most five, the highest first',
  ),
  maps: list(mapSchema, 'By method, layer and target, in the order of the request'),
  notes: list(noteSchema, 'What makes results of the model depend on more than the image'),
  warnings: list({ type: 'string' }, 'What LibTorch and the model warned of'),
})

export const modelSchema: Schema = object({
  name: text('Its name'),
  isDefault: { type: 'boolean', description: 'Whether it is that of requests that name none' },
  devices: list({ type: 'string' }, 'A device for each replica'),
  defaultLayer: nullable(text('The layer of requests that name none')),
  size: list({ type: 'integer' }, '[height, width] that images are framed to'),
  labels: nullable(list({ type: 'string' }, 'The names of the classes')),
  notes: list(noteSchema, 'What makes results of the model depend on more than the image'),
})

export const layerSchema: Schema = object({
  path: text('Its path'),
  type: text('Its class'),
  parameters: integer('The number of its parameters, with all inside it'),
  explainable: { type: 'boolean', description: 'Whether hooks can be put on it' },
  output: nullable(text('What it returned for one image')),
  suggested: { type: 'boolean', description: 'Whether it is a good layer to explain' },
  isDefault: { type: 'boolean', description: 'Whether it is that of requests that name none' },
})

export const methodSchema: Schema = object({
  name: text('Its name'),
  title: text('Its name in a heading'),
  layered: { type: 'boolean', description: 'Whether it requires a layer' },
  target: { type: 'boolean', description: 'Whether its map depends on the target' },
  needs: text('gradient, runs (it runs the model many times) or nothing'),
  signed: { type: 'boolean', description: 'Whether its map may have negative values' },
  formula: text('The formula'),
  paper: nullable(text('arXiv number, DOI or the like')),
})

export const listOf = (name: string, items: Schema): Schema => object({ [name]: { type: 'array', items } })

export const statusSchema: Schema = object({ status: text('ok, or draining') })
