import { convertModel } from '../../model/convert.js'
import { usageError } from '../arguments.js'
import type { Command } from '../command.js'
import { modelFlags, chooseModel } from '../model-options.js'

export const command: Command = {
  usage: 'MODEL OUT.pt [--weights FILE] [--library FILE]…',
  description: [
    'Writes an exported program (.pt2), or an architecture with weights, as a TorchScript file, for tools that read',
    'only TorchScript: gradcam convert model.pt2 model.pt, or gradcam convert densenet121 model.pt --weights densenet121.pth.',
  ].join('\n'),
  options: modelFlags,
  positionals: true,
  run: async (values, positionals) => {
    const [source, out, ...more] = positionals
    if (source === undefined || out === undefined || more.length > 0)
      throw usageError('convert requires a model and the file to write. See: gradcam convert --help')
    const { file, weights, libraries } = await chooseModel(source, values)
    await convertModel(file, out, { libraries, ...(weights !== undefined && { weights }) })
    process.stdout.write(`${out} written.\n`)
    return 0
  },
}
