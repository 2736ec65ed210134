// A worker that explains nothing: what remains is what a queue costs. Its arguments are the address of the queue, the folder that it
// may use, how many chunks it takes at a time, and how many may wait.
import { BatchFailure, GradCamError, startWorker } from 'libtorch-gradcam'
import { stubExplainerOf } from '#test-support/stub-explainer.js'

const [queue = '', root = '', chunks = '', maxWaiting = ''] = process.argv.slice(2)
const worker = await startWorker({
  queue,
  roots: [root],
  explainer: stubExplainerOf({ BatchFailure, GradCamError }),
  chunks: Number(chunks),
  maxWaiting: Number(maxWaiting),
  onError: (error) => console.error(error.message),
})
process.once('SIGTERM', () => void worker.close())
process.send?.('ready')
await worker.ended
if (process.connected) process.disconnect()
