import { GradCamError } from '../../base/errors.js'
import { pickLayer } from '../../cam/pick-layer.js'
import type { MethodFailure } from '../../methods/method-maps.js'
import { methodNames, methods } from '../../methods/table.js'
import { saveEncoded } from '../../images/save-image.js'
import { svgOption, trustOption } from '../arguments.js'
import type { Command } from '../command.js'
import { inputSizeOf, preprocessFor, readJob, type ExplainJob } from '../explain-job.js'
import { preprocessOption } from '../preprocess-option.js'
import { ExplainProgress } from '../explain-progress.js'
import { kindsOf, ImageExplainer, type Finding } from '../explain-image.js'
import { explainReport, type Files } from '../explain-report.js'
import { methodFlags } from '../method-settings.js'
import { readArray } from '../framed-image.js'
import { inputFlags, loadInputs, targetHelp, type LoadedInputs } from '../model-inputs.js'
import { writeWhole } from '../../base/write-file.js'
import { loadChoice, modelFlags } from '../model-options.js'
import { makeFolder } from '../../base/make-folder.js'
import { nameOutputs } from '../output-files.js'
import { describeInput } from '../../preprocess/describe-input.js'
import { modelNotes } from '../../model/model-notes.js'
import { reshapeOption } from '../arguments.js'

export const command: Command = {
  usage: 'IMAGE… --model FILE --out DIR [options]',
  description: [
    'Shows what a model looked at in each image. In DIR, by --method:',
    ...methodNames.map(
      (name) =>
        `  ${name.padEnd(20)}  ${methods[name].title.padEnd(20)}  ${kindsOf(name)
          .map((kind) => `NAME-${kind}.png`)
          .join(', ')}`,
    ),
    'IMAGE may be an array that numpy.save wrote (.npy), which is given to the model as it is: [C, H, W], or a volume or signal,',
    'whose map is written as NAME-map.npy.',
    'overlay is the map over the image, from blue to red; the others are grey, min-max normalised. They have the size of the',
    'image; parts that the model did not see are left as they are. gradcam batch writes the same overlay.',
    'docs/methods describes each method. Methods of one layer share their passes: --method gradcam,layercam.',
    'With several layers, targets or methods their names follow NAME, as in NAME-LAYER-TARGET-METHOD-map.png.',
    'Exit code: 0, or 1 when an image or a method failed (the others are explained all the same), or 2 for a wrong call.',
  ].join('\n'),
  options: {
    model: {
      type: 'string',
      value: 'FILE',
      help: 'the model: a .pt file that torch.jit saved, a .pt2 file of torch.export.save, s3://bucket/key, or an architecture by name',
    },
    ...modelFlags,
    out: { type: 'string', value: 'DIR', help: 'the folder to write to; made if necessary' },
    layer: {
      type: 'string',
      multiple: true,
      value: 'PATH',
      help: 'the layer to explain, see gradcam layers; by default the one that it marks; may be repeated',
    },
    target: {
      type: 'string',
      multiple: true,
      value: 'N|argmax|JSON',
      help: `${targetHelp}; may be repeated`,
    },
    ...inputFlags,
    method: {
      type: 'string',
      multiple: true,
      value: 'NAME,…',
      help: 'one or more of the above, with commas between or repeated; gradcam by default',
    },
    reshape: reshapeOption,
    ...preprocessOption,
    size: {
      type: 'string',
      value: 'HxW',
      help: 'instead: resize the whole image to this, whatever its proportions; results are then drawn in this size',
    },
    normalize: {
      type: 'string',
      value: 'HOW',
      help: `imagenet subtracts ImageNet's mean and divides by its deviation; none leaves 0 to 1; or JSON, '{"mean":[0.5],"std":[0.5]}'; by default as weights were published, else imagenet for 3 channels`,
    },
    labels: {
      type: 'string',
      value: 'FILE',
      help: 'names of the classes, one a line, class 0 first, or JSON: an array, or an object with a name for each number',
    },
    ...methodFlags,
    device: { type: 'string', value: 'D', help: 'cpu (the default), cuda, cuda:N, or auto' },
    ...trustOption,
    ...svgOption,
    json: { type: 'boolean', help: 'print one JSON object a line for each explanation and each failure' },
  },
  positionals: true,
  run: async (values, positionals) => explainAll(await readJob(values, positionals)),
}

async function explainAll(job: ExplainJob): Promise<number> {
  const began = performance.now()
  using model = await loadChoice(job.modelChoice, { device: job.device, ...job.trust })
  const preprocess = preprocessFor(model, job)
  const inputSize = inputSizeOf(preprocess)
  const { images } = job
  const layered = job.methods.some((name) => methods[name].layered)
  using inputs = await loadInputs(model, job.inputs, () => preprocess)
  const targets = [...job.targets.values()]
  const names = [...job.targets.keys()]
  const report = explainReport(job)
  const onlyArrays = images.every((image) => isArray(image))
  const shape = await shapeOf(images, inputSize, inputs)
  const picked =
    layered && job.layers.length === 0
      ? await pickLayer(model, shape, { inputs: inputs.values, target: targets[0] })
      : null
  const layers = picked ? [picked.layer] : job.layers
  const reshape = job.reshape ?? picked?.reshape
  const settings = { ...job.settings, ...(reshape !== undefined && { reshape }) }
  const ownSize = job.size === null
  using progress = new ExplainProgress(process.stderr)
  using explainer = new ImageExplainer(model, { ...job, layers, settings, inputs, preprocess, ownSize, progress })
  await makeFolder(job.out)
  const variants = job.methods.flatMap((method) =>
    (methods[method].layered ? layers : [null]).flatMap((layer) =>
      names.map((target) => ({ layer, target, method, kinds: kindsOf(method) })),
    ),
  )
  const outputs = nameOutputs(job.out, images, variants)

  const unusual = describeInput(inputs.expected, preprocess, job.normalization !== false)
  report.start({ device: model.device, layers, picked, inputSize, unusual, arrays: onlyArrays ? shape : null })
  progress.start({ images: images.length, targets: targets.length, explainers: explainer.explainers })
  let failed = 0
  let partly = 0
  let files = 0
  for (const [index, image] of images.entries()) {
    let shown = false
    try {
      let methodFailed = false
      const onFailure = (failure: MethodFailure): void => {
        methodFailed = true
        progress.clear()
        report.methodFailure(image, failure)
      }
      for await (const finding of explainer.explain(image, targets, onFailure)) {
        const target = names[targets.indexOf(finding.target)] ?? String(finding.class)
        const written = await save(finding, (kind) => outputs.path(index, { ...finding, target }, kind))
        files += Object.keys(written).length
        progress.clear()
        if (!shown) report.image(image)
        shown = true
        report.finding(image, finding, written)
      }
      if (methodFailed) partly++
    } catch (error) {
      // An error of one image does not concern the next one; an error of the model does.
      if (!isAboutImage(error)) throw error
      failed++
      progress.end()
      progress.clear()
      report.failure(image, error)
    }
  }
  progress.clear()
  report.notes(modelNotes(model))
  report.end(images.length - failed, files, (performance.now() - began) / 1000)
  return failed + partly > 0 ? 1 : 0
}

const isArray = (file: string): boolean => /\.npy$/i.test(file)

/** The input that a layer is picked for: that of the first array, or images of the size that they are resized to. */
async function shapeOf(
  images: readonly string[],
  inputSize: readonly [number, number],
  { expected }: LoadedInputs,
): Promise<number[]> {
  const [first] = images
  if (first !== undefined && images.every((image) => isArray(image))) {
    using array = await readArray(first, expected)
    return [...array.shape]
  }
  return [1, expected.channels ?? 3, ...inputSize]
}

async function save({ images, array }: Finding, pathOf: (kind: string) => string): Promise<Files> {
  const files: Record<string, string> = {}
  if (array) {
    const file = pathOf('map').replace(/\.png$/, '.npy')
    await writeWhole(file, array)
    return { map: file }
  }
  for (const [kind, image] of Object.entries(images)) {
    files[kind] = pathOf(kind)
    await saveEncoded(image, pathOf(kind))
  }
  return files
}

function isAboutImage(error: unknown): boolean {
  const codes: readonly string[] = [
    'ERR_IMAGE_NOT_FOUND',
    'ERR_IMAGE_UNREADABLE',
    'ERR_IMAGE_CORRUPT',
    'ERR_IMAGE_TOO_LARGE',
    'ERR_IMAGE_TIMEOUT',
    'ERR_IMAGE_SVG',
    'ERR_SHAPE',
  ]
  return error instanceof GradCamError && codes.includes(error.code)
}
