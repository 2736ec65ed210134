import { usualTop } from '../batch/explain-batch.js'
import { methodOptions } from '../methods/options.js'
import { methodNames } from '../methods/table.js'
import { curveMetrics } from './evaluation.js'
import { mostMaps } from './plan.js'
import { binary, object, text, type Schema } from './schema.js'
import type { overlayFormats } from './service.js'

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
  blocks: {
    type: 'array',
    items: { type: 'string', maxLength: 1000 },
    minItems: 1,
    description: methodOptions.blocks.help,
  },
  segments: { ...runs, description: methodOptions.segments.help },
  baseline: { type: 'number', description: methodOptions.baseline.help },
  maxSigma: { type: 'number', minimum: 0, description: methodOptions.maxSigma.help },
  fraction: { type: 'number', minimum: 0, maximum: 1, description: methodOptions.fraction.help },
  maxDistance: { type: 'number', minimum: 0, maximum: 1, description: methodOptions.maxDistance.help },
  scoreLayer: { type: 'string', maxLength: 1000, description: methodOptions.scoreLayer.help },
  // A name, or the rules; a number, or one for each channel.
  composite: { description: methodOptions.composite.help },
  low: { description: methodOptions.low.help },
  high: { description: methodOptions.high.help },
  // Without a type, for which a validator would make an array of a number.
  window: {
    description: `[height, width], [depth, height, width], [length], or a number: ${methodOptions.window.help}`,
  },
  stride: {
    description: `[height, width], [depth, height, width], [length], or a number: ${methodOptions.stride.help}`,
  },
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
  precision: {
    type: 'string',
    description: 'bfloat16, float16 or auto: what methods of layers compute in before the layer',
  },
  precisionError: { type: 'number', minimum: 0, description: 'With precision auto: how much maps in [0, 1] may move' },
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
  inputs: {
    type: 'object',
    description:
      'The model\'s other inputs by name or position, as JSON: numbers, true, false, nested arrays, or {"image": NAME} of an image or array that was uploaded. The image goes to the input that the server was told, or to the first that is not given.',
  },
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
