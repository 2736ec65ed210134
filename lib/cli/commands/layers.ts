import { basename } from 'node:path'
import { manualSeed } from '../../addon/runtime.js'
import { noiseOf, type ExpectedInput } from '../../model/expected-input.js'
import { shapeAtOnce } from '../../model/images-at-once.js'
import { runAtOnce } from '../../model/learn-images-at-once.js'
import type { Model, NamedModule } from '../../model/model.js'
import { whyNone } from '../../cam/reached-layers.js'
import { spatialSizes, suggestFrom, type LayerSuggestion } from '../../cam/suggest-layers.js'
import { observeGiven, type LayerOutput } from '../../model/observe-layers.js'
import { parseSizes, readShape, readTrust, shapeOption, single, trustOption, usageError } from '../arguments.js'
import type { Command } from '../command.js'
import { inputFlags, inputShape, loadInputs, readInputs, trialShape, type LoadedInputs } from '../model-inputs.js'
import { inputSizesOf, loadChoice, modelFlags, chooseModel } from '../model-options.js'
import { comfortableDepth, deepestOf, moduleTree, type ModuleRow } from '../../model/module-tree.js'
import { paint } from '../paint.js'
import { preprocessAt } from '../preprocess-option.js'
import { refusedInput } from '../../model/refused-input.js'
import { formatTable, type Cell } from '../table.js'
import { counted, humanCount } from '../../base/units.js'

export const command: Command = {
  usage:
    'FILE [--size HxW | --shape NxCxHxW] [--input NAME=FILE]… [--under PATH] [--depth N|all] [--device D] [--untrusted] [--json]',
  description: [
    'Shows the layers of a model as a tree: name, class, number of parameters. With --size, or where the file fixes',
    'the size, the model runs once on noise, and the tree shows what each layer returned, and which one explain uses',
    'by default.',
    "A layer's path joins the names from the outermost in with dots, e.g. features.denseblock4.",
  ].join('\n'),
  options: {
    size: {
      type: 'string',
      value: 'HxW',
      help: 'run on an input of this size, by default the one that the file fixes; DxHxW for volumes, L for signals; if the model does not say how many channels it takes, put them first: CxHxW',
    },
    shape: shapeOption,
    input: inputFlags.input,
    ...modelFlags,
    under: { type: 'string', value: 'PATH', help: 'only the layers inside this one' },
    depth: { type: 'string', value: 'N|all', help: 'how many levels to show; by default what fits on a screen' },
    device: { type: 'string', value: 'D', help: 'cpu (the default), cuda, cuda:N, or auto' },
    ...trustOption,
    json: { type: 'boolean', help: 'print all layers as JSON, with their full paths' },
  },
  positionals: true,
  run: async (values, positionals) => {
    const [file, ...more] = positionals
    if (file === undefined || more.length > 0)
      throw usageError('layers requires one model file, e.g. gradcam layers model.pt. See: gradcam layers --help')
    const size = single(values, 'size')
    const whole = readShape(values)
    const sizes = size === undefined ? null : parseSizes(size)
    const flags = readInputs(values)
    const depth = parseDepth(single(values, 'depth'))
    const under = single(values, 'under') ?? ''

    const device = single(values, 'device') ?? 'cpu'
    using model = await loadChoice(await chooseModel(file, values), {
      device,
      ...readTrust(values, whole ?? (sizes && trialShape(sizes))),
    })
    // By itself it runs where nothing else has to be given.
    const isWhole = (model.inputs?.length ?? 1) - flags.length <= 1
    const runs = whole ?? sizes ?? (isWhole ? inputSizesOf(model) : null)
    const shapeOf = (expected: ExpectedInput) => whole ?? (runs && inputShape(runs, expected))
    using inputs = await loadInputs(model, runs ? flags : [], (expected) =>
      preprocessAt(model.weights, spatialSizes(shapeOf(expected) ?? [])),
    )
    const shape = shapeOf(inputs.expected)
    const modules = model.namedModules()
    if (!modules.some(({ path }) => path === under)) model.checkLayer(under) // throws, with the nearest names
    const seen = shape && (await runOnce(model, shape, inputs))
    const { outputs, picked } = seen ?? { outputs: null, picked: null }
    const frozen = !model.capabilities.hookable
    const ran = shape && shapeAtOnce(model, shape)
    const listing = { file, under, depth, modules, shape: ran, outputs, picked, frozen }
    process.stdout.write(values['json'] ? toJson(listing, model.device) : toText(listing))
    return 0
  },
}

/** The layers of a model, and what is to be shown of them. */
interface LayerListing {
  readonly file: string
  readonly under: string
  readonly depth: number | undefined
  readonly modules: readonly NamedModule[]
  readonly shape: readonly number[] | null
  readonly outputs: readonly LayerOutput[] | null
  /** The layer that explain uses by default. */
  readonly picked: LayerSuggestion | null
  readonly frozen: boolean
}

function parseDepth(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const depth = text === 'all' ? Infinity : Number(text)
  if (depth === Infinity || (Number.isInteger(depth) && depth > 0)) return depth
  throw usageError(`--depth requires a number of at least 1, or all, not "${text}".`)
}

/** What the layers return, and which one explain uses by default. */
type Seen = Readonly<Pick<LayerListing, 'picked'>> & { readonly outputs: readonly LayerOutput[] }

async function runOnce(model: Model, shape: readonly number[], inputs: LoadedInputs): Promise<Seen> {
  manualSeed(0)
  const { dtype } = inputs.expected
  using noise = noiseOf(shape, dtype)
  const all = inputs.with(noise)
  try {
    return await runAtOnce(model, all, async (values) => {
      const outputs = await observeGiven(model, values)
      const run = { model, inputs: values, options: {} }
      const [picked = null] = await suggestFrom(run, outputs, shapeAtOnce(model, shape))
      return { outputs, picked }
    })
  } catch (error) {
    throw await refusedInput(error, model, all, inputs.at)
  }
}

function toJson({ file, modules, shape, outputs, picked }: LayerListing, device: string): string {
  const byPath = new Map(outputs?.map((output) => [output.path, output]))
  const layers = modules.map((module) => {
    if (!outputs) return module
    const output = byPath.get(module.path)
    return { ...module, calls: output?.calls ?? 0, shape: output?.shape ?? null, output: output?.description ?? null }
  })
  const suggested = outputs ? { suggestedLayer: picked?.layer ?? null, suggestedReshape: picked?.reshape ?? null } : {}
  return `${JSON.stringify({ file, device, inputShape: shape, ...suggested, layers }, null, 2)}\n`
}

function toText(listing: LayerListing): string {
  const { modules, under, outputs, picked } = listing
  const tree = moduleTree(modules, under)
  const depth = listing.depth ?? comfortableDepth(tree)
  const shown = tree.filter((row) => row.depth <= depth)
  const byPath = new Map(outputs?.map((output) => [output.path, output]))
  const rows = shown.map((row) => {
    const { path } = row.module
    const isPicked = path === picked?.layer
    return cells(row, { isFolded: row.depth === depth, ran: outputs !== null, output: byPath.get(path), isPicked })
  })
  const table = rows.length > 0 ? [...formatTable(rows), ''] : []
  return `${[...heading(listing), '', ...table, ...footing(listing, tree, depth)].join('\n')}\n`
}

function heading({ file, modules, under, shape, outputs }: LayerListing): string[] {
  const root = modules.find(({ path }) => path === under)
  const what = `${root?.typeName ?? 'Module'}, ${humanCount(root?.parameters ?? 0)} parameters`
  const line = `${basename(file)}${under === '' ? '' : `, ${under}`}: ${what}`
  const output = outputs?.find(({ path }) => path === under)?.description
  if (!shape || output === undefined) return [line]
  return [under === '' ? `${line}, [${shape.join(', ')}] → ${output}` : `${line} → ${output}`]
}

/** What is known of a row besides its module. */
interface RowState {
  /** Whether the rows inside it are not shown. */
  readonly isFolded: boolean
  /** Whether the model was run; what the layer returned then, where the pass called it. */
  readonly ran: boolean
  readonly output: LayerOutput | undefined
  /** Whether it is the layer that explain uses by default. */
  readonly isPicked: boolean
}

function cells({ module, branch, name, inside }: ModuleRow, { isFolded, ran, output, isPicked }: RowState): Cell[] {
  const notes = [
    ...(isPicked ? ['← explain uses this'] : []),
    ...(module.hookable ? [] : [inside > 0 ? 'a container, never called' : 'no code in the file']),
    ...(ran && module.hookable && !output ? ['not reached'] : []),
    ...(output && output.calls > 1 ? [`called ${output.calls} times`] : []),
    ...(isFolded && inside > 0 ? [`+${inside} inside`] : []),
  ]
  const dim = (text: string) => paint('dim', text)
  const highlight = (text: string) => (isPicked ? paint('green', text) : text)
  return [
    { text: branch + name, paint: (text) => dim(branch) + highlight(text.slice(branch.length)) },
    { text: module.typeName },
    { text: module.parameters === 0 ? '' : humanCount(module.parameters), alignRight: true },
    { text: output?.description ?? '' },
    { text: notes.join(', '), paint: isPicked ? highlight : dim },
  ]
}

/** The reshape as a flag. */
function asOption({ reshape }: LayerSuggestion): string {
  if (reshape === undefined) return ''
  return ` with --reshape ${typeof reshape === 'string' ? reshape : `'${JSON.stringify(reshape)}'`}`
}

function footing(listing: LayerListing, tree: readonly ModuleRow[], depth: number): string[] {
  const { outputs, under, picked } = listing
  const lines: string[] = []
  if (tree.length === 0)
    return [
      listing.frozen
        ? 'The model has no layers inside: it was frozen (torch.jit.freeze). Save it without freezing.'
        : 'The model has no layers inside: all code is in one module. Methods of the input, e.g. saliency, need none.',
    ]
  if (outputs && picked)
    lines.push(`explain uses ${picked.layer}${asOption(picked)}, unless --layer names another. ${picked.reason}`)
  else if (outputs) {
    const { reason, remedy } = whyNone(outputs)
    lines.push(`explain has no layer to use: ${reason}. ${remedy}`)
  } else
    lines.push(
      'With --size, e.g. --size 224x224, it shows what each layer returns, and which one explain uses by default.',
    )
  const deepest = deepestOf(tree)
  if (depth < deepest) {
    const shown = tree.filter((row) => row.depth <= depth).length
    const folded = tree.find((row) => row.depth === depth && row.inside > 0)
    const example = under === '' && folded ? `, --under ${folded.module.path} one part of it` : ''
    const more =
      depth + 1 < deepest ? `--depth ${depth + 1} shows more, --depth all everything` : '--depth all shows the rest'
    lines.push(`Shown: ${shown} of ${counted(tree.length, 'layer')}. ${more}${example}.`)
  }
  return lines
}
