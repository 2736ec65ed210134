import { join, parse } from 'node:path'
import { makeFolder } from '../../base/make-folder.js'
import { writeWhole } from '../../base/write-file.js'
import { pickLayer } from '../../cam/pick-layer.js'
import { FeatureFactorization } from '../../cam/feature-factorization.js'
import { conceptColor, drawConcepts } from '../../images/draw-concepts.js'
import { saveEncoded } from '../../images/save-image.js'
import { Tensor } from '../../tensor/tensor.js'
import { reshapeOption, single, svgOption, trustOption, usageError, wholeNumber } from '../arguments.js'
import type { Command, Option } from '../command.js'
import { describeConcepts, linesOf, type Concept } from '../describe-concepts.js'
import { preprocessFor, readJob, type ExplainJob } from '../explain-job.js'
import { frameFile, type FramedImage } from '../framed-image.js'
import { layerFlags } from '../method-settings.js'
import { inputFlags, loadInputs } from '../model-inputs.js'
import { loadChoice, modelFlags } from '../model-options.js'
import { nameOutputs } from '../output-files.js'
import { preprocessOption } from '../preprocess-option.js'
import { command as explain } from './explain.js'

const usual = 5

/** Options that mean the same as for `gradcam explain`. */
const shared = explain.options as Readonly<Record<'model' | 'out' | 'labels' | 'device', Option>>

export const command: Command = {
  usage: 'IMAGE… --model FILE --out DIR [options]',
  description: [
    'Deep feature factorization: which few concepts the activations of a layer are made of, over all the images together, and where',
    'each image shows them. In DIR: NAME-concepts.png, what the model saw of the image with a colour for each concept and a legend;',
    'and concepts.json, with the classes that the model finds in each concept alone. The classes are left out if a part of the output',
    'does not go through the layer (skip connections). Nothing is random: the same images give the same concepts. All images are one batch.',
  ].join('\n'),
  options: {
    model: shared.model,
    ...modelFlags,
    out: shared.out,
    layer: {
      type: 'string',
      multiple: true,
      value: 'PATH',
      help: 'the layer to look at, see gradcam layers; by default the one that it marks',
    },
    concepts: { type: 'string', value: 'N', help: `how many concepts; ${usual} by default` },
    ...inputFlags,
    ...layerFlags,
    reshape: reshapeOption,
    ...preprocessOption,
    labels: shared.labels,
    device: shared.device,
    ...trustOption,
    ...svgOption,
    json: { type: 'boolean', help: 'print what concepts.json holds' },
  },
  positionals: true,
  run: async (values, positionals) => {
    const concepts = wholeNumber(values, 'concepts', 1) ?? usual
    const job = await readJob(values, positionals, 'concepts')
    if (job.layers.length > 1) throw usageError('concepts takes one --layer: concepts are those of one layer.')
    const of = single(values, 'of')
    return await findConcepts(job, concepts, of)
  },
}

async function findConcepts(job: ExplainJob, count: number, of: string | undefined): Promise<number> {
  using model = await loadChoice(job.modelChoice, { device: job.device, ...job.trust })
  const preprocess = preprocessFor(model, job)
  using inputs = await loadInputs(model, job.inputs, () => preprocess)
  const framed: FramedImage[] = []
  try {
    for (const image of job.images)
      framed.push(await frameFile(image, { ...job, preprocess, ownSize: false, expected: inputs.expected }))
    const images = requireOneSize(framed, job.images)
    using batch = Tensor.cat(images)
    const [named] = job.layers
    const picked =
      named === undefined
        ? await pickLayer(model, [1, ...batch.shape.slice(1)], { inputs: inputs.values })
        : { layer: named, reshape: undefined }
    const { layer } = picked
    const reshape = job.reshape ?? picked.reshape
    using factorization = new FeatureFactorization(model, {
      layer,
      concepts: count,
      input: inputs.at,
      ...job.settings,
      ...(reshape !== undefined && { reshape }),
    })
    using found = await factorization.explain(inputs.with(batch), of === undefined ? {} : { of })
    const concepts = describeConcepts(model, found, job.labels)
    return await write(job, { framed, concepts, layer, maps: found.maps, why: found.whyUnscored })
  } finally {
    for (const one of framed) one[Symbol.dispose]()
  }
}

async function write(
  job: ExplainJob,
  found: {
    readonly framed: readonly FramedImage[]
    readonly concepts: readonly Concept[]
    readonly layer: string
    readonly maps: Tensor
    readonly why: string | null
  },
): Promise<number> {
  const { concepts, layer, maps, framed, why } = found
  await makeFolder(job.out)
  const variant = { layer: null, target: '', method: 'concepts', kinds: ['concepts'] }
  const outputs = nameOutputs(job.out, job.images, [variant])
  const legend = linesOf(concepts)
  const most = concepts.map((concept) => concept.most)
  const files: string[] = []
  for (const [i, one] of framed.entries()) {
    using shown = (one.shown as () => Tensor)()
    using own = maps.narrow(0, i, 1)
    const file = outputs.path(i, variant, 'concepts')
    await saveEncoded(await drawConcepts(shown, own, { legend, most }), file)
    files.push(file)
  }
  const images = job.images.map((image, i) => ({ image, file: files[i] }))
  const colors = concepts.map((concept, i) => ({ ...concept, color: conceptColor(i) }))
  const text = `${JSON.stringify({ model: job.model, layer, concepts: colors, unscored: why, images }, null, 2)}\n`
  await writeWhole(join(job.out, 'concepts.json'), text)
  if (job.json) process.stdout.write(text)
  else {
    process.stdout.write(
      `${concepts.length} concepts of layer ${layer}:\n${legend.map((line) => `  ${line}\n`).join('')}`,
    )
    if (why !== null) process.stdout.write(`They have no classes. ${why}\n`)
    process.stdout.write(`${files.map((file) => parse(file).base).join(', ')} and concepts.json in ${job.out}\n`)
  }
  return 0
}

/** Concepts are found over all images together, as one batch. */
function requireOneSize(framed: readonly FramedImage[], names: readonly string[]): Tensor[] {
  const [first] = framed as readonly [FramedImage]
  const expected = first.input.shape.slice(1).join('x')
  for (const [i, { input, shown }] of framed.entries()) {
    if (shown === null || input.shape.length !== 4)
      throw usageError(`'${names[i]}' is not an image: concepts are drawn over images.`)
    const size = input.shape.slice(1).join('x')
    if (size !== expected)
      throw usageError(
        `All images are one batch, but '${names[i]}' is ${size} for the model, and '${names[0]}' ${expected}. Use a --preprocess that makes all of one size.`,
      )
  }
  return framed.map(({ input }) => input)
}
