import { architectures, type Architecture } from '../../architectures/architecture.js'
import { humanCount } from '../../base/units.js'
import type { Command } from '../command.js'
import { formatTable } from '../table.js'

export const command: Command = {
  usage: '[--json]',
  description: [
    'Lists the architectures that come with this package, without weights: name, parameters, the images that they take, and the',
    'files of weights that were published for them. Give one as --model NAME --weights FILE. The definitions are those of',
    'torchvision (BSD licence, assets/architectures/LICENSE) and timm (Apache licence, assets/architectures/LICENSE-timm).',
  ].join('\n'),
  options: {
    json: { type: 'boolean', help: 'print it as JSON, with what is done to images for each file of weights' },
  },
  positionals: false,
  run: async (values) => {
    const all = architectures()
    process.stdout.write(values['json'] ? `${JSON.stringify(all, null, 2)}\n` : toText(all))
    return await Promise.resolve(0)
  },
}

/** The first few: timm has published dozens for some architectures. */
const mostShown = 2

function shownWeights(weights: Architecture['weights']): string {
  const names = weights.slice(0, mostShown).map(({ file }) => file)
  const more = weights.length - names.length
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function toText(all: readonly Architecture[]): string {
  const rows = all.map(({ name, parameters, size, weights }) => [
    { text: name },
    { text: humanCount(parameters) },
    { text: size ? size.join('x') : 'any size' },
    { text: shownWeights(weights) },
  ])
  return `${formatTable(rows).join('\n')}\n`
}
