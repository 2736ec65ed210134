// As consumer.ts, of a program that has the types of Node.js: what this package returns are Node's own objects then.
import { createServer as createHttpServer } from 'node:http'
import { createServer, explainAll, type GradCam, type ScriptModule, type Tensor } from 'libtorch-gradcam'

export async function withNode(model: ScriptModule, gradCam: GradCam, input: Tensor): Promise<void> {
  using found = await gradCam.explain(input, { target: 0, signal: AbortSignal.timeout(1000) })
  void found
  // @ts-expect-error a signal is not any object
  await gradCam.explain(input, { signal: {} })
  for await (const result of explainAll([new URL('file:///a.jpg')], { model, layer: 'features' })) {
    if (!result.ok) continue
    const png: Buffer = await result.encode('overlay-png')
    void png.toString('base64')
  }
  await using server = await createServer({ models: { animals: { model } } })
  createHttpServer(server.handler).close()
}
