import { usualTop } from '../batch/explain-batch.js'
import { methodOptions } from '../methods/options.js'
import { methodNames } from '../methods/table.js'
import { curveMetrics, mostEvaluated } from './evaluation.js'
import { mostMaps } from './plan.js'
import type { overlayFormats } from './service.js'

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

/** What a setting may cost: each counts runs of the model, which the deadline of the request bounds besides. */
const runs = { type: 'integer', minimum: 1, maximum: 10_000 } as const

/** The settings of methods that requests may give: those of lib/methods that are plain data. */
const settingProperties: Readonly<Record<string, Schema>> = {
  eigenSmooth: { type: 'boolean', description: methodOptions.eigenSmooth.help },
  seed: { type: 'integer', minimum: 0, description: methodOptions.seed.help },
  steps: { ...runs, description: methodOptions.steps.help },
  samples: { ...runs, description: methodOptions.samples.help },
  sigma: { type: 'number', minimum: 0, description: methodOptions.sigma.help },
  masks: { ...runs, description: methodOptions.masks.help },
  tokens: { type: 'array', items: { type: 'integer' }, minItems: 2, maxItems: 2, description: '[rows, columns]' },
  skip: { type: 'integer', minimum: 0, description: methodOptions.skip.help },
  segments: { ...runs, description: methodOptions.segments.help },
  baseline: { type: 'number', description: methodOptions.baseline.help },
  maxSigma: { type: 'number', minimum: 0, description: methodOptions.maxSigma.help },
  fraction: { type: 'number', minimum: 0, maximum: 1, description: methodOptions.fraction.help },
  maxDistance: { type: 'number', minimum: 0, maximum: 1, description: methodOptions.maxDistance.help },
  window: { type: 'array', items: { type: 'integer' }, minItems: 2, maxItems: 2, description: '[height, width]' },
  stride: { type: 'array', items: { type: 'integer' }, minItems: 2, maxItems: 2, description: '[height, width]' },
  smooth: {
    type: 'object',
    properties: { samples: { ...runs, description: methodOptions.samples.help } },
    description: 'SmoothGrad: kind (mean, squared or variance), samples, sigma, seed',
  },
  reshape: { description: methodOptions.reshape.help },
  // Without a type, for which a validator would make a name of a number.
  part: { description: methodOptions.part.help },
  call: { type: 'integer', minimum: 0, description: methodOptions.call.help },
  execution: { type: 'string', description: 'auto, split or hooked: how methods of layers run' },
  precision: { type: 'string', description: 'bfloat16 or float16: what methods of layers compute in before the layer' },
}

const settingsSchema: Schema = {
  type: 'object',
  properties: settingProperties,
  propertyNames: { enum: Object.keys(settingProperties) },
  description: 'Settings of the methods, as JSON; each goes to the methods that take it.',
}

/** What a request says of the maps that it asks for. */
const mapProperties: Readonly<Record<string, Schema>> = {
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
  of: {
    type: 'array',
    items: {
      anyOf: [
        { type: 'string', minLength: 1, maxLength: 1000 },
        { type: 'integer', minimum: 0 },
      ],
    },
    minItems: 1,
    maxItems: 16,
    description:
      'The part of the output that the targets are of, by name or position, or several of them, one inside the other; by default `logits`, `out`, or the only one of shape [N, C].',
  },
  settings: settingsSchema,
  top: {
    type: 'integer',
    minimum: 1,
    maximum: 1000,
    default: usualTop,
    description: 'How many of the highest classes the answer names.',
  },
}

const askProperties: Readonly<Record<string, Schema>> = {
  ...mapProperties,
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

const evaluationProperties: Readonly<Record<string, Schema>> = {
  ...mapProperties,
  metric: {
    type: 'array',
    items: { type: 'string', enum: curveMetrics },
    minItems: 1,
    maxItems: curveMetrics.length,
    uniqueItems: true,
    description: 'The metrics; all by default.',
  },
  steps: {
    type: 'integer',
    minimum: 1,
    maximum: 200,
    default: 20,
    description: 'In how many steps of equally many pixels; the model runs once for each, and once more.',
  },
  score: {
    type: 'string',
    enum: ['probability', 'logit'],
    default: 'probability',
    description: 'The score of a class; a target with a kind has its own.',
  },
}

const asked = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  properties,
  // Not additionalProperties: false, which makes Fastify take out what is unknown in silence.
  propertyNames: { enum: Object.keys(properties) },
})

/** The options of an explanation, in the query or as JSON. */
export const askSchema = asked(askProperties)

/** Those of an evaluation. */
export const evaluationSchema = asked(evaluationProperties)

/** What a body may be: an image, a form, or as JSON the name of an image that was uploaded before. */
export function bodyOf(options: Schema): Readonly<Record<string, Schema>> {
  const properties = options['properties'] as Readonly<Record<string, Schema>>
  return {
    'image/*': binary,
    'application/octet-stream': binary,
    'multipart/form-data': { type: 'object', properties: { image: binary, options }, required: ['image'] },
    'application/json': object({ image: text('The name that /v1/images gave'), ...properties }, ['image']),
  }
}

/** The bytes of a file. */
export const binary: Schema = { type: 'string', format: 'binary' }

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
    state: text('ok, zero, saturated or not-finite: whether the map says something'),
    reason: nullable(text('Why it does not')),
  }),
}

const mapSchema: Schema = {
  ...object({
    ...explainedProperties,
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
    object({
      ...explainedProperties,
      results: {
        ...object({ insertion: measuredSchema, deletion: measuredSchema }, []),
        type: ['object', 'null'],
        description: 'By metric; null where the map holds NaN or an infinity',
      },
    }),
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
