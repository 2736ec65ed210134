import { basename } from 'node:path'
import { inOneLine } from '../../base/one-line.js'
import { threadsOfReplicas } from '../../jobs/model-explainer.js'
import type { Model } from '../../model/model.js'
import { framingOf } from '../../preprocess/framing.js'
import { createServer, type ExplainServer } from '../../server/create-server.js'
import { isLoopback } from '../../server/web-app.js'
import type { ServedModelOptions } from '../../server/options.js'
import { usageError } from '../arguments.js'
import type { Command } from '../command.js'
import { onInterrupt } from '../interrupt.js'
import { loadInputs, type LoadedInputs } from '../model-inputs.js'
import { loadChoices } from '../model-options.js'
import { readServeCall, serveOptions, type ModelCall, type ServeCall } from '../serve-options.js'

export const command: Command = {
  usage: '[--model [NAME=]FILE …] [options]',
  description: [
    'Explains images over HTTP: POST /v1/explain with an image; requests that arrive together share a batch. It prints its address',
    'when it is ready; opened in a browser, that is a page on which images are dropped and looked at. docs/server.md describes the page,',
    'the API, the limits and what is checked. Without --model it serves the sample model.',
    'It requires three packages: npm install fastify@5 @fastify/busboy@3 prom-client@15',
    'SIGTERM and SIGINT end it after the requests in progress. Exit code: 0, or 1 when it could not start, or 2 for a wrong call.',
  ].join('\n'),
  options: serveOptions,
  positionals: false,
  run: async (values) => {
    const call = await readServeCall(values)
    const { host = '127.0.0.1', insecure } = call.listen
    if (!isLoopback(host) && call.server.token === undefined && !insecure)
      throw usageError(
        `Others can reach --host ${host}. Give --token-file FILE, or --insecure if only permitted users can reach it.`,
      )
    const loaded: Loaded = { models: [], inputs: [] }
    try {
      await serve(call, loaded)
      return 0
    } finally {
      for (const model of loaded.models) model.dispose()
      for (const inputs of loaded.inputs) inputs[Symbol.dispose]()
    }
  },
}

/** What is freed when the server has ended. */
interface Loaded {
  readonly models: Model[]
  readonly inputs: LoadedInputs[]
}

async function serve(call: ServeCall, loaded: Loaded): Promise<void> {
  const interrupt = onInterrupt()
  let server: ExplainServer | null = null
  try {
    const models: Record<string, ServedModelOptions> = {}
    for (const one of call.models) models[one.name] = await load(one, call, loaded)
    server = await createServer({
      ...call.server,
      models,
      onError: (error) => process.stderr.write(`gradcam: ${inOneLine(error)}\n`),
    })
    if (interrupt.signal.aborted) return
    process.stdout.write(`listening on ${await server.listen(call.listen)}\n`)
    await new Promise((resolve) => interrupt.signal.addEventListener('abort', resolve, { once: true }))
  } finally {
    await server?.close()
    interrupt.dispose()
  }
}

async function load(
  { choice, labels, preprocess, layer, reshape, part, inputs: flags }: ModelCall,
  { devices, trust }: ServeCall,
  { models, inputs }: Loaded,
): Promise<ServedModelOptions> {
  const { size } = framingOf([224, 224], preprocess)
  const loading = { ...threadsOfReplicas(devices), trust, trial: { shape: [1, 3, ...size] } }
  const replicas = await loadChoices(choice, devices, loading)
  models.push(...replicas)
  const others = await loadInputs(replicas[0] as Model, flags, () => preprocess)
  inputs.push(others)
  // An architecture is not a file: commands would have to name its weights, too.
  const file = choice.weights === undefined ? basename(choice.file) : undefined
  return { model: replicas, labels, preprocess, layer, reshape, part, inputs: others.values, file }
}
