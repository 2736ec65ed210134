import { join } from 'node:path'
import { isAddonPlaced } from '../../addon/loader.js'
import { packageRoot } from '../../base/paths.js'
import { single } from '../arguments.js'
import type { Command, Values } from '../command.js'
import { withConfirmation, yesOption } from '../confirm.js'

const samples = join(packageRoot, 'samples')
const defaultOut = 'gradcam-demo'

export const command: Command = {
  usage: '[--out DIR] [--yes]',
  description: [
    'Explains the sample image, a cat and a dog, with the sample model, and writes what it looked at for each of the two. Where the',
    'addon is not built yet, it is built first: see gradcam build.',
  ].join('\n'),
  options: {
    ...yesOption,
    out: { type: 'string', value: 'DIR', help: `the folder to write to; ${defaultOut} by default` },
  },
  positionals: false,
  run: async (values) => {
    if (!isAddonPlaced()) await makeReady(values)
    // After the build: it loads the addon.
    const { command: explain } = await import('./explain.js')
    const out = single(values, 'out') ?? defaultOut
    const job = {
      model: join(samples, 'animals-densenet.pt'),
      labels: join(samples, 'labels.txt'),
      layer: ['features'],
      target: ['cat', 'dog'],
      method: ['gradcam', 'guided-gradcam'],
      out,
    }
    const code = await explain.run(job, [join(samples, 'cat_dog.png')])
    if (code === 0) process.stdout.write(`\nOpen the overlays in ${out} first: red is where it looked most.\n`)
    return code
  },
}

/** Takes the addon that npm installed, and a LibTorch; where there is none that fits, compiles it. */
async function makeReady(values: Values): Promise<void> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  const { prepare } = await import('../../setup/prepare.js')
  const { ready } = await prepare({ say, ...withConfirmation(values) })
  if (ready) return
  const { command: build } = await import('./build.js')
  await build.run({ yes: values['yes'] }, [])
}
