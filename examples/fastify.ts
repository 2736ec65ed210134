// Explanations in a Fastify service of your own, below /gradcam. It requires npm install fastify @fastify/busboy prom-client.
//   node dist/examples/fastify.js [PORT MODEL.pt LABELS.txt]
//   curl --data-binary @samples/cat_dog.png 'localhost:8080/gradcam/v1/explain?format=png&target=dog' > overlay.png
import fastify from 'fastify'
import { createServer, readLabels, ScriptModule } from 'libtorch-gradcam'

const [port = '8080', file = 'samples/animals-densenet.pt', names = 'samples/labels.txt'] = process.argv.slice(2)

using model = await ScriptModule.load(file)
await using gradcam = await createServer({
  models: { animals: { model, labels: await readLabels(names), preprocess: 'squash' } },
  maxQueue: 64,
  onError: (error) => app.log.error(error),
})

// Fastify waits for slow clients without end unless it is told otherwise.
const app = fastify({ requestTimeout: 15_000 })
app.get('/', () => ({ service: 'ours', explain: '/gradcam/v1/explain' }))
await app.register(gradcam.plugin, { prefix: '/gradcam' })

console.log(`listening on ${await app.listen({ port: Number(port), host: '127.0.0.1' })}`)
await new Promise((resolve) => process.once('SIGTERM', resolve))
await app.close()
