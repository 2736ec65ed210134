import { convertModel } from '../../model/convert.js'
import { single, usageError } from '../arguments.js'
import type { Command } from '../command.js'
import { modelFlags } from '../model-options.js'

export const command: Command = {
  usage: 'MODEL OUT.pt [--weights FILE]',
  description: [
    'Writes an exported program (.pt2), or an architecture with weights, as a TorchScript file, for tools that read no',
    'other: gradcam convert model.pt2 model.pt, or gradcam convert densenet121 model.pt --weights densenet121.pth.',
  ].join('\n'),
  options: { weights: modelFlags.weights },
  positionals: true,
  run: async (values, positionals) => {
    const [source, out, ...more] = positionals
    if (source === undefined || out === undefined || more.length > 0)
      throw usageError('convert requires a model and the file to write. See: gradcam convert --help')
    const file = single(values, 'weights')
    await convertModel(source, out, file === undefined ? {} : { weights: file })
    process.stdout.write(`${out} written.\n`)
    return 0
  },
}
