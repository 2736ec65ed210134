import type { FastifyReply, FastifyRequest } from 'fastify'
import { GradCamError } from '../base/errors.js'
import { methodNames } from '../methods/table.js'
import { describeAnswer, describeEvaluated, describeLayers, describeMethod, describeModel } from './describe.js'
import type { EvaluationAsk } from './evaluation.js'
import type { ServerMetrics } from './metrics.js'
import { readAskedInputs } from './asked-inputs.js'
import { readForm, type ImageForm } from './multipart.js'
import { openApi } from './openapi.js'
import type { ServerSettings } from './options.js'
import type { ServerPackages } from './packages.js'
import { pageRoutes } from './page-routes.js'
import type { Ask } from './plan.js'
import {
  answerSchema,
  evaluatedSchema,
  layerSchema,
  listOf,
  methodSchema,
  modelSchema,
  statusSchema,
  uploadSchema,
} from './answer-schemas.js'
import { answerFormats, askSchema, bodyOf, evaluationSchema } from './request-schemas.js'
import { binary, type Schema } from './schema.js'
import { findModel, type ServedModel } from './served-model.js'
import type { ExplainService } from './service.js'
import type { Route } from './route.js'
import type { Uploads } from './uploads.js'
import type { Visits } from './visits.js'
import { parseObject } from './parse-object.js'

/** What the handlers use. */
export interface RouteContext {
  readonly packages: ServerPackages
  readonly settings: ServerSettings
  readonly service: ExplainService
  readonly metrics: ServerMetrics
  readonly visits: Visits
  readonly uploads: Uploads
}

const plain: Schema = { type: 'string' }
const json = (schema: Schema) => ({ 'application/json': schema })

/** All routes, in the order in which they are listed. */
export function makeRoutes(context: RouteContext): Route[] {
  const { service, settings, metrics, visits, uploads } = context
  const named = ({ params }: FastifyRequest): ServedModel =>
    findModel(service.models, (params as { readonly name: string }).name)
  const routes: Route[] = [
    {
      method: 'POST',
      url: '/v1/explain',
      summary: 'Explains an image: the body, or the file of a form whose part `options` may hold the options as JSON.',
      query: askSchema,
      body: bodyOf(askSchema),
      answer: { ...json(answerSchema), 'image/png': binary, 'image/webp': binary, 'image/jpeg': binary },
      handler: (request, reply) => explain(context, request, reply),
    },
    {
      method: 'POST',
      url: '/v1/evaluate',
      summary: 'Explains an image, and measures its maps by insertion and deletion.',
      query: evaluationSchema,
      body: bodyOf(evaluationSchema),
      answer: json(evaluatedSchema),
      handler: async (request) => {
        const signal = visits.begin(request)
        const { image, options } = await readBody(context, request)
        const ask = withInputs(context, askOf<Ask & EvaluationAsk>(request, options, evaluationSchema))
        return describeEvaluated(await service.evaluate(ask, image, signal))
      },
    },
    {
      method: 'POST',
      url: '/v1/images',
      summary: 'Keeps an image for a while, so that it can be explained several times.',
      body: { 'image/*': binary, 'application/octet-stream': binary },
      answer: json(uploadSchema),
      handler: async (request) => {
        visits.begin(request)
        const { image } = await readBody(context, request)
        return { image: uploads.add(image), bytes: image.byteLength }
      },
    },
    {
      method: 'GET',
      url: '/v1/models',
      summary: 'The models.',
      answer: json(listOf('models', modelSchema)),
      handler: () => ({
        models: [...service.models.values()].map((model, index) => describeModel(model, index === 0)),
      }),
    },
    {
      method: 'GET',
      url: '/v1/models/:name/layers',
      summary: 'The layers of a model, and what they return for one image.',
      params: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
      answer: json(listOf('layers', layerSchema)),
      handler: async (request) => ({ layers: await describeLayers(named(request)) }),
    },
    {
      method: 'GET',
      url: '/v1/methods',
      summary: 'The methods that requests may ask for.',
      answer: json(listOf('methods', methodSchema)),
      handler: () => ({
        methods: methodNames.filter((name) => settings.methods.includes(name)).map(describeMethod),
      }),
    },
    {
      method: 'GET',
      url: '/healthz',
      summary: 'Whether the process answers.',
      answer: json(statusSchema),
      isOpen: true,
      handler: () => ({ status: 'ok' }),
    },
    {
      method: 'GET',
      url: '/readyz',
      summary: 'Whether requests are accepted: 503 while the server shuts down.',
      answer: json(statusSchema),
      isOpen: true,
      handler: () => {
        if (visits.admission.isDraining) throw new GradCamError('ERR_DRAINING', 'The server is shutting down.')
        return { status: 'ok' }
      },
    },
    {
      method: 'GET',
      url: '/metrics',
      summary: 'Metrics for Prometheus.',
      answer: { 'text/plain': plain },
      handler: async (_, reply) => reply.type(metrics.contentType).send(await metrics.text()),
    },
    {
      method: 'GET',
      url: '/openapi.json',
      summary: 'This description.',
      answer: json({ type: 'object', additionalProperties: true }),
      handler: (_, reply) => reply.type('application/json').send(JSON.stringify(openApi(routes))),
    },
    ...pageRoutes(),
  ]
  return routes
}

/** The options of a request with all defaults. */
type AskedFor = Ask & { readonly format: (typeof answerFormats)[number]; readonly alpha: number }

async function explain(context: RouteContext, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { service, visits } = context
  const signal = visits.begin(request)
  const { image, options } = await readBody(context, request)
  const ask = withInputs(context, askOf<AskedFor>(request, options, askSchema))
  const { format } = ask
  if (format === 'json' || format === 'npy') return describeAnswer(await service.explain(ask, image, signal), format)
  const { bytes, map } = await service.draw({ ...ask, format }, image, signal)
  return reply
    .type(`image/${format}`)
    .headers({
      'gradcam-class': map.class,
      'gradcam-score': map.score,
      'gradcam-condition': map.condition.state,
    })
    .send(bytes)
}

/** The same, with the bytes of uploads among the other inputs of the model. */
function withInputs<Asked extends Ask>({ uploads }: RouteContext, ask: Asked): Asked {
  if (ask.inputs === undefined) return ask
  return { ...ask, inputs: readAskedInputs(ask.inputs, (name) => uploads.get(name)) }
}

/** An image, and options that came with it. */
interface Posted {
  readonly image: Uint8Array
  readonly options: Readonly<Record<string, unknown>> | null
}

/** By its bytes an image says what it is. The last type is what curl calls any body. */
const acceptedTypes =
  /^(?:$|image\/|application\/octet-stream|multipart\/form-data|application\/json|application\/x-www-form-urlencoded)/i

async function readBody({ packages, uploads }: RouteContext, { body, headers }: FastifyRequest): Promise<Posted> {
  const type = headers['content-type'] ?? ''
  if (!Buffer.isBuffer(body) || !acceptedTypes.test(type))
    throw new GradCamError('ERR_MEDIA_TYPE', 'The request has no image.', {
      remedy: 'Send the bytes of an image file, with a content type such as image/jpeg, or a form with a file.',
    })
  if (/^application\/json/i.test(type)) {
    const { image, ...options } = parseObject(body.toString(), 'The body')
    if (typeof image === 'string') return { image: uploads.get(image), options }
    throw new GradCamError('ERR_REQUEST', 'The body has no `image`.', {
      remedy: 'Give the name of an image that was uploaded: POST /v1/images.',
    })
  }
  const form: ImageForm = /^multipart\/form-data/i.test(type)
    ? await readForm(packages.busboy, type, body)
    : { image: body, options: null }
  if (form.image.byteLength === 0)
    throw new GradCamError('ERR_REQUEST', 'The request has no image.', { remedy: 'Send one as the body.' })
  const options = form.options === null ? null : parseObject(form.options, "The part 'options'")
  return { image: form.image, options }
}

/** The options of the query, and over them those of the body, checked by the schema of both. */
function askOf<Asked extends Ask>(request: FastifyRequest, options: Posted['options'], schema: Schema): Asked {
  const query = request.query as Asked
  if (options === null) return query
  const merged = { ...query, ...asLists(options) }
  const validate = request.compileValidationSchema(schema, 'querystring')
  if (validate(merged)) return merged
  throw Object.assign(new Error('The options are not valid.'), {
    validation: validate.errors,
    validationContext: 'options',
    statusCode: 400,
  })
}

/** One method, layer, target or step may be given as it is, as in the query. */
function asLists(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const lists = ['method', 'layer', 'target', 'of', 'metric']
  return Object.fromEntries(
    Object.entries(options).map(([key, value]) => [
      key,
      lists.includes(key) && !Array.isArray(value) ? [value] : value,
    ]),
  )
}
