// Explanations in an Express service of your own, below /gradcam. The same works for any handler of node:http.
//   node dist/examples/express.js [PORT MODEL.pt LABELS.txt]
//   curl --data-binary @samples/cat_dog.png 'localhost:8080/gradcam/v1/explain?format=png&target=dog' > overlay.png
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import express from 'express'
import { createServer, readLabels, ScriptModule } from 'libtorch-gradcam'

const [port = '8080', file = 'samples/animals-densenet.pt', names = 'samples/labels.txt'] = process.argv.slice(2)

using model = await ScriptModule.load(file)
await using gradcam = await createServer({
  models: { animals: { model, labels: await readLabels(names), preprocess: 'squash' } },
  maxQueue: 64,
  onError: console.error,
})

const app = express()
app.get('/', (_, reply) => void reply.json({ service: 'ours', explain: '/gradcam/v1/explain' }))
app.use('/gradcam', gradcam.handler) // before express.json() and the like, which would read the image

const server = createHttpServer({ requestTimeout: 15_000, connectionsCheckingInterval: 1000 }, app)
server.listen(Number(port), '127.0.0.1')
await once(server, 'listening')
const address = server.address()
console.log(`listening on http://127.0.0.1:${typeof address === 'object' && address ? address.port : port}`)
await once(process, 'SIGTERM')
server.close()
server.closeIdleConnections()
