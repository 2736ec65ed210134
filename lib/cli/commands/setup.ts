import { prepare } from '../../setup/prepare.js'
import { ensureImportable } from '../../setup/libtorch/python-with-torch.js'
import type { Command } from '../command.js'
import { withConfirmation, yesOption } from '../confirm.js'

export const command: Command = {
  usage: '[--yes] [--full]',
  description: [
    'Gets LibTorch, and compiles nothing: the one that is found on this machine, else a PyTorch that pip puts into this',
    "user's cache folder, the smallest that this machine can use. Where npm installed an addon for it, everything is ready",
    'then; else gradcam build compiles one. For a step of its own in a Dockerfile.',
  ].join('\n'),
  options: {
    ...yesOption,
    full: { type: 'boolean', help: 'a PyTorch that python3 can import too, which is larger' },
  },
  positionals: false,
  run: async (values) => {
    const say = (line: string): void => void process.stderr.write(`${line}\n`)
    const options = { say, ...withConfirmation(values) }
    if (values['full'] === true) {
      await ensureImportable(options)
      process.stdout.write('There is a PyTorch that python3 can import.\n')
      return 0
    }
    const { libtorch, ready } = await prepare(options)
    const { version, cuda, root } = libtorch
    const end = ready ? 'Ready, with an addon for it.' : 'Next: npx gradcam build compiles the addon for it.'
    process.stdout.write(`LibTorch ${version}, ${cuda ? 'CUDA' : 'CPU'} build: ${root}\n${end}\n`)
    return 0
  },
}
