import { relative } from 'node:path'
import { build, type BuildOptions } from '../../setup/build.js'
import { readBuildInfo, type Builder } from '../../addon/build-info.js'
import { usageError } from '../arguments.js'
import type { Command } from '../command.js'
import { withConfirmation, yesOption } from '../confirm.js'
import { buildProgress } from '../progress.js'

const builders: readonly string[] = ['cmake-js', 'node-gyp'] satisfies Builder[]

export const command: Command = {
  usage: '[--with cmake-js|node-gyp]',
  description: [
    'Builds the native addon against the LibTorch that is found: the one that LIBTORCH names, else the PyTorch that',
    "python3 imports, else a PyTorch that pip puts into this user's cache folder. Does nothing when it is built already,",
    'and compiles nothing where another project of this user was built from the same.',
  ].join('\n'),
  options: {
    with: { type: 'string', value: 'BUILDER', help: 'cmake-js or node-gyp; cmake-js where it and a CMake are there' },
    fresh: { type: 'boolean', help: 'compile, also where the cache has an addon that was built from the same' },
    werror: { type: 'boolean', help: 'let a warning in our own C++ fail the build (or set GRADCAM_WERROR=1)' },
    sanitize: {
      type: 'string',
      value: 'NAMES',
      help: 'build with sanitizers, e.g. address,undefined; coverage: count lines that run',
    },
    // GRADCAM_UNITY=0 is described in CONTRIBUTING.md: it is for those who work on the C++.
    ...yesOption,
    jobs: { type: 'string', value: 'N', help: 'compilers at once; as many as there are cores and memory for' },
  },
  positionals: false,
  run: async (values) => {
    const jobs = values['jobs'] === undefined ? undefined : Number(values['jobs'])
    if (jobs !== undefined && !(Number.isInteger(jobs) && jobs > 0))
      throw usageError(`--jobs requires a number of at least 1, not ${String(values['jobs'])}.`)
    const builder = values['with']
    if (builder !== undefined && !builders.includes(String(builder)))
      throw usageError(`--with requires ${builders.join(' or ')}, not ${String(builder)}.`)
    const started = Date.now()
    const progress = buildProgress(process.stderr, values['verbose'] === true)
    const options: BuildOptions = {
      werror: values['werror'] === true || process.env['GRADCAM_WERROR'] === '1',
      fresh: values['fresh'] === true,
      unity: process.env['GRADCAM_UNITY'] !== '0',
      say: progress.say,
      onCompile: progress.onCompile,
      onOutput: progress.onOutput,
      ...withConfirmation(values),
      ...(builder === undefined ? {} : { builder: builder as Builder }),
      ...(jobs === undefined ? {} : { jobs }),
      ...(values['sanitize'] === undefined ? {} : { sanitize: String(values['sanitize']) }),
    }
    const result = await build(options).finally(progress.end)
    const file = relative(process.cwd(), result.addon)
    const seconds = ((Date.now() - started) / 1000).toFixed(0)
    const what = {
      compiled: `Built in ${seconds} s`,
      prebuilt: 'Prebuilt for this platform',
      cached: 'Taken from the cache',
      current: 'Up to date',
    }[result.how]
    process.stdout.write(`${what}: ${file} (${readBuildInfo()?.builder ?? ''}, LibTorch ${result.libtorch.version})\n`)
    return 0
  },
}
