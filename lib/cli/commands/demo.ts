import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { addonFile, packageRoot } from '../../base/paths.js'
import { single } from '../arguments.js'
import type { Command } from '../command.js'

const samples = join(packageRoot, 'samples')
const defaultOut = 'gradcam-demo'

export const command: Command = {
  usage: '[--out DIR]',
  description: [
    'Explains the sample image, a cat and a dog, with the sample model, and writes what it looked at for each of the two. Where the',
    'addon is not built yet, it is built first: see gradcam build.',
  ].join('\n'),
  options: {
    out: { type: 'string', value: 'DIR', help: `the folder to write to; ${defaultOut} by default` },
  },
  positionals: false,
  run: async (values) => {
    if (process.env['GRADCAM_ADDON'] === undefined && !existsSync(addonFile)) {
      const { command: build } = await import('./build.js')
      await build.run({}, [])
    }
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
