import { GradCamError } from '../base/errors.js'
import { architectures, readArchitecturePlan } from './architecture.js'
import { fitWeights, isCounter } from './fit-weights.js'
import type { WeightsFile } from './weights-file.js'

/** Names of layers by which families of models are known. */
const families: readonly (readonly [string, RegExp])[] = [
  ['densenet', /denseblock\d/],
  ['vision transformer', /(?:cls_token|class_token|encoder\.layers?\.)/],
  ['swin transformer', /relative_position_bias_table/],
  ['convnext', /(?:layer_scale|\.gamma$)/],
  ['resnet', /layer[1-4]\.\d+\.conv\d/],
  ['mobilenet or efficientnet', /features\.\d+\.(?:\d+\.)?block|blocks\.\d+\.\d+\.conv_(?:pw|dw)/],
  ['vgg or alexnet', /^features\.\d+\.weight$/],
  ['inception', /Mixed_\d|inception\d/i],
]

/** What a file of weights holds, in a few sentences. */
export function describeWeights({ name, format, tensors, key }: WeightsFile): string {
  const names = [...tensors.keys()]
  const elements = [...tensors.values()].reduce((sum, { sizes }) => sum + sizes.reduce((a, b) => a * b, 1), 0)
  const shown = [...tensors].slice(0, 1).map(([each, { sizes }]) => `${each} [${sizes.join(', ')}]`)
  const found = families.find(([, pattern]) => names.some((each) => pattern.test(each)))
  const where = key === null ? '' : ` under '${key}'`
  const family = found ? ` The names look like those of a ${found[0]}.` : ''
  return `${name} holds weights alone (${format})${where}: ${tensors.size} tensors with ${elements} elements, ${shown.join(', ')}, …${family}`
}

/**
 * The error for a file of weights without an architecture: what it holds, which architecture has tensors of these names, and
 * what to do.
 *
 * @param cause the error of the reader of models, whose code it keeps
 */
export function unknownArchitecture(weights: WeightsFile, cause: GradCamError): GradCamError {
  const fitting = fittingArchitecture(weights)
  const named = fitting ?? 'NAME'
  const problem = fitting === null ? '' : ` They fit the architecture '${fitting}'.`
  return new GradCamError(cause.code, `${describeWeights(weights)}${problem}`, {
    remedy:
      `Load them into an architecture that \`gradcam architectures\` lists: ScriptModule.load('${named}', { weights: … }). Or, in Python, ` +
      "load_state_dict into the model, and torch.export.save(torch.export.export(model.eval(), (x,)), 'model.pt2') or " +
      "torch.jit.script(model.eval()).save('model.pt').",
    details: { key: weights.key, tensors: weights.tensors.size, architecture: fitting },
    cause,
  })
}

/** The tensors of auxiliary classifiers, which weights may hold besides: more than googlenet's. */
const mostUnused = 40
/** The most plans that are read to find the one that weights fit. */
const mostTried = 12

/** An architecture that the weights fit, the one with the most tensors first; null where there is none. */
export function fittingArchitecture(weights: WeightsFile): string | null {
  const count = [...weights.tensors.keys()].filter((name) => !isCounter(name)).length
  // Only their plans need to be read.
  const candidates = architectures()
    .filter(({ tensors, otherNames = 0 }) => tensors <= count && count <= tensors + otherNames + mostUnused)
    .sort((a, b) => b.tensors - a.tensors)
  for (const architecture of candidates.slice(0, mostTried)) {
    try {
      fitWeights(architecture, readArchitecturePlan(architecture), weights)
      return architecture.name
    } catch (error) {
      if (!(error instanceof GradCamError)) throw error
    }
  }
  return null
}
