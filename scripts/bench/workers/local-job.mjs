// Runs a job in this process with two replicas of its model, and tells how long it took from when the model was loaded.
import { FileSource, FolderSink, FolderStore, ModelExplainer, runJob } from 'libtorch-gradcam'

async function run(/** @type {any} */ { spec, source, out, batchSize }) {
  let began = NaN
  await runJob(spec, {
    source: await FileSource.open(source, { exclude: out }),
    store: new FolderStore(out),
    sink: new FolderSink(out),
    explainer: new ModelExplainer({ devices: ['cpu', 'cpu'], batchSize, maxWait: Infinity }),
    onStart: () => void (began = performance.now()),
  })
  process.send?.((performance.now() - began) / 1000, () => process.exit(0))
}

process.once('message', (work) => void run(work))
