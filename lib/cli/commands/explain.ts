import { GradCamError } from '../../base/errors.js'
import { pickLayer } from '../../cam/pick-layer.js'
import type { MethodFailure } from '../../methods/map-explainer.js'
import { methodNames, methods } from '../../methods/table.js'
import { saveOutput } from '../../images/save-image.js'
import { svgOption, trustOption } from '../arguments.js'
import type { Command } from '../command.js'
import { defaultSize, readJob, type ExplainJob } from '../explain-job.js'
import { kindsOf, ImageExplainer, type Finding } from '../explain-image.js'
import { explainReport, type Files } from '../explain-report.js'
import { methodFlags } from '../method-settings.js'
import { imageSizeOf, loadChoice, modelFlags } from '../model-options.js'
import { makeFolder } from '../../base/make-folder.js'
import { nameOutputs } from '../output-files.js'
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
    'overlay is the map over the image, from blue to red; the others are grey, min-max normalised.',
    'docs/methods describes each method. Methods of one layer share their passes: --method gradcam,layercam.',
    'With several layers, targets or methods their names follow NAME, as in NAME-LAYER-TARGET-METHOD-map.png.',
    'Exit code: 0, or 1 when an image or a method failed (the others are explained all the same), or 2 for a wrong call.',
  ].join('\n'),
  options: {
    model: {
      type: 'string',
      value: 'FILE',
      help: 'the model: a .pt file that torch.jit saved, a .pt2 file of torch.export.save, or an architecture by name',
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
      value: 'N|argmax',
      help: 'the class to explain, by number or label; argmax (the default) is the top one; may be repeated',
    },
    method: {
      type: 'string',
      multiple: true,
      value: 'NAME,…',
      help: 'one or more of the above, with commas between or repeated; gradcam by default',
    },
    reshape: reshapeOption,
    size: {
      type: 'string',
      value: 'HxW',
      help: `what images are resized to; by default what the model was exported for, else ${defaultSize.join('x')}`,
    },
    normalize: {
      type: 'string',
      value: 'HOW',
      help: "imagenet (the default) subtracts ImageNet's mean and divides by its deviation; none leaves 0 to 1",
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

async function explainAll(asked: ExplainJob): Promise<number> {
  const began = performance.now()
  using model = await loadChoice(asked.modelChoice, { device: asked.device, ...asked.trust })
  const size = asked.sizeGiven ? null : imageSizeOf(model)
  const job = size ? { ...asked, size, sizeGiven: true } : asked
  const { images } = job
  const layered = job.methods.some((name) => methods[name].layered)
  const targets = [...job.targets.values()]
  const names = [...job.targets.keys()]
  const report = explainReport(job)
  const picked = layered && job.layers.length === 0 ? await pickLayer(model, [1, 3, ...job.size]) : null
  const layers = picked ? [picked.layer] : job.layers
  const reshape = job.reshape ?? picked?.reshape
  const settings = { ...job.settings, ...(reshape !== undefined && { reshape }) }
  using explainer = new ImageExplainer(model, { ...job, layers, settings })
  await makeFolder(job.out)
  const variants = job.methods.flatMap((method) =>
    (methods[method].layered ? layers : [null]).flatMap((layer) =>
      names.map((target) => ({ layer, target, method, kinds: kindsOf(method) })),
    ),
  )
  const outputs = nameOutputs(job.out, images, variants)

  report.start(model.device, layers, picked)
  let failed = 0
  let partly = 0
  let files = 0
  for (const [index, image] of images.entries()) {
    let shown = false
    try {
      let methodFailed = false
      const onFailure = (failure: MethodFailure): void => {
        methodFailed = true
        report.methodFailure(image, failure)
      }
      for await (const finding of explainer.explain(image, targets, onFailure)) {
        const target = names[targets.indexOf(finding.target)] ?? String(finding.class)
        const written = await save(finding, (kind) => outputs.path(index, { ...finding, target }, kind))
        files += Object.keys(written).length
        if (!shown) report.image(image)
        shown = true
        report.finding(image, finding, written)
      }
      if (methodFailed) partly++
    } catch (error) {
      // An error of one image does not concern the next one; an error of the model does.
      if (!isAboutImage(error)) throw error
      failed++
      report.failure(image, error)
    }
  }
  report.notes(modelNotes(model))
  report.end(images.length - failed, files, (performance.now() - began) / 1000)
  return failed + partly > 0 ? 1 : 0
}

async function save({ images }: Finding, pathOf: (kind: string) => string): Promise<Files> {
  const files: Record<string, string> = {}
  try {
    for (const [kind, image] of Object.entries(images)) {
      files[kind] = pathOf(kind)
      await saveOutput(image, pathOf(kind))
    }
  } finally {
    for (const image of Object.values(images)) image.dispose()
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
  ]
  return error instanceof GradCamError && codes.includes(error.code)
}
