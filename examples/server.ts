// A server that explains images. Requests that arrive together share a batch: all of them feed one explainAll.
//   node dist/examples/server.js [PORT MODEL.pt LAYER]
//   curl --data-binary @samples/cat_dog.png localhost:8080 > overlay.jpg
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { GradCamError, ScriptModule, explainAll, type BatchEntry } from 'libtorch-gradcam'

const [port = '8080', file = 'samples/animals-densenet.pt', layer = 'features'] = process.argv.slice(2)
const maxBytes = 20_000_000

const replies = new Map<string, ServerResponse>()
const waiting: BatchEntry[] = []
let wake = () => {}
const stop = new AbortController()

/** Requests as inputs of the pipeline, which takes one when it has room. */
async function* requests(): AsyncGenerator<BatchEntry> {
  while (!stop.signal.aborted) {
    const next = waiting.shift()
    if (next) yield next
    else await new Promise<void>((resolve) => (wake = resolve))
  }
}

const server = createServer((request, reply) => void accept(request, reply))

async function accept(request: IncomingMessage, reply: ServerResponse): Promise<void> {
  try {
    if (Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY) > maxBytes) {
      reply.writeHead(413).end()
      return
    }
    const id = crypto.randomUUID()
    const source = await buffer(request)
    replies.set(id, reply)
    reply.on('close', () => replies.delete(id))
    waiting.push({ id, source })
    wake()
  } catch {
    reply.destroy()
  }
}
server.listen(Number(port), '127.0.0.1')
await once(server, 'listening')
const address = server.address()
console.log(`listening on http://127.0.0.1:${typeof address === 'object' && address ? address.port : port}`)
process.once('SIGTERM', () => {
  stop.abort()
  wake()
  server.close()
})

using model = await ScriptModule.load(file)
for await (const result of explainAll(requests(), {
  model,
  layer,
  order: 'ready',
  finish: (found) => found.encode('overlay'),
})) {
  const reply = replies.get(result.id)
  if (result.ok) reply?.writeHead(200, { 'content-type': 'image/jpeg' }).end(result.extra)
  else {
    const code = result.error instanceof GradCamError ? result.error.code : 'ERR_INTERNAL'
    reply?.writeHead(422, { 'content-type': 'application/json' }).end(JSON.stringify({ code }))
  }
  result.dispose()
}
