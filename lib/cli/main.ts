#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { GradCamError } from '../base/errors.js'
import { packageRoot } from '../base/paths.js'
import { usageError } from './arguments.js'
import { listenForLostOutput } from './closed-pipe.js'
import type { Command, Option, Values } from './command.js'
import { hintOf } from './hints.js'
import { inOneLine } from '../base/one-line.js'
import { nearestName } from '../base/nearest.js'

/** A command in the overview. */
interface CommandEntry {
  readonly summary: string
  readonly load: () => Promise<{ command: Command }>
}

/** Loaded one at a time: `doctor` and `build` must work where the addon is not built yet. */
const commands: Readonly<Record<string, CommandEntry>> = {
  demo: { summary: 'a first look: the sample image and the sample model', load: () => import('./commands/demo.js') },
  explain: {
    summary: 'what a model looked at in an image, as images',
    load: () => import('./commands/explain.js'),
  },
  concepts: {
    summary: 'which concepts a layer finds in images, and where',
    load: () => import('./commands/concepts.js'),
  },
  batch: {
    summary: 'the same for folders, lists and any number of images; can be resumed after a stop',
    load: () => import('./commands/batch.js'),
  },
  worker: {
    summary: 'explains images of jobs that were given to a queue',
    load: () => import('./commands/worker.js'),
  },
  job: {
    summary: 'status, watch or cancel a job of a queue',
    load: () => import('./commands/job.js'),
  },
  report: {
    summary: "one page that shows a batch's results",
    load: () => import('./commands/report.js'),
  },
  serve: {
    summary: 'an HTTP server that explains images',
    load: () => import('./commands/serve.js'),
  },
  layers: { summary: "a model's layers, to pick one from", load: () => import('./commands/layers.js') },
  convert: {
    summary: 'an exported program (.pt2), or weights, as a TorchScript file',
    load: () => import('./commands/convert.js'),
  },
  architectures: {
    summary: 'the architectures that weights alone can be loaded into',
    load: () => import('./commands/architectures.js'),
  },
  doctor: {
    summary: 'what is found on this machine, and what is missing',
    load: () => import('./commands/doctor.js'),
  },
  setup: {
    summary: 'get LibTorch, and the addon that npm installed for it: compiles nothing',
    load: () => import('./commands/setup.js'),
  },
  build: { summary: 'build the native addon for this machine', load: () => import('./commands/build.js') },
  cache: { summary: 'what this package keeps on this machine', load: () => import('./commands/cache.js') },
}

const common: Readonly<Record<string, Option>> = {
  help: { type: 'boolean', short: 'h', help: 'print this' },
  verbose: { type: 'boolean', help: 'print the stack of an error' },
}

/** Runs the command line and returns the exit code: 0 done, 1 failed, 2 wrongly called. */
async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === '--version' || name === '-V') return print(readVersion())
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const about = name === 'help' ? rest[0] : undefined
    if (about === undefined) return print(overview(), name === undefined ? 2 : 0)
    return main([about, '--help'])
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!entry) {
    const all = Object.keys(commands).join(', ')
    const near = nearestName(name, Object.keys(commands))
    throw usageError(`Unknown command "${name}".${near ? ` Did you mean ${near}?` : ''} The commands are: ${all}.`)
  }
  const { command } = await entry.load()
  const { values, positionals } = parse(name, command, rest)
  if (values['help']) return print(help(name, command))
  return command.run(values, positionals)
}

function parse(name: string, command: Command, args: string[]): { values: Values; positionals: string[] } {
  const options = { ...command.options, ...common }
  try {
    return parseArgs({ args, options, allowPositionals: command.positionals, strict: true })
  } catch (error) {
    const problem = parseProblem((error as NodeJS.ErrnoException).code, args, options)
    throw problem === null ? error : usageError(`${problem} See: gradcam ${name} --help`)
  }
}

/** What is wrong in a call that parseArgs refuses with this code; null for an error of another kind. */
function parseProblem(code: string | undefined, args: string[], options: Command['options']): string | null {
  const { tokens } = parseArgs({ args, options, allowPositionals: true, strict: false, tokens: true })
  const given = tokens.filter((token) => token.kind === 'option')
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const unknown = given.find((token) => !Object.hasOwn(options, token.name))
    const near = nearestName(unknown?.name ?? '', Object.keys(options))
    return `Unknown option '${unknown?.rawName}'.${near === null ? '' : ` Did you mean --${near}?`}`
  }
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') {
    const extra = tokens.find((token) => token.kind === 'positional')
    return `Unexpected argument '${extra?.value}'.`
  }
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
    const takesValue = (token: { name: string }): boolean => options[token.name]?.type === 'string'
    const switched = given.find((token) => !takesValue(token) && token.value !== undefined)
    if (switched) return `${switched.rawName} takes no value.`
    // A value that begins with a dash could be another option; parseArgs then requires an equals sign.
    const bare = given.find((token) => takesValue(token) && (token.value === undefined || isDashed(token)))
    const example = bare?.value === undefined ? '' : ` To give "${bare.value}", write ${bare.rawName}=${bare.value}.`
    return `${bare?.rawName} requires a value.${example}`
  }
  return null
}

function isDashed({ value, inlineValue }: { value?: string | undefined; inlineValue?: boolean | undefined }): boolean {
  return value?.startsWith('-') === true && value.length > 1 && inlineValue !== true
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  const list = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  const head =
    'Shows what a PyTorch model looked at: Grad-CAM and guided backprop on TorchScript and torch.export files.'
  return [
    head,
    '',
    'Usage: gradcam COMMAND [options]',
    '',
    ...list,
    '',
    'For more: gradcam COMMAND --help. For the version: gradcam --version.',
  ].join('\n')
}

function help(name: string, command: Command): string {
  const listed = Object.entries({ ...command.options, ...common }).filter(([, option]) => option.help)
  const rows = listed.map(([key, option]) => {
    const short = option.short ? `-${option.short}, ` : ''
    const value = option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : ''
    return [`  ${short}--${key}${value}`, option.help ?? ''] as const
  })
  const width = Math.max(...rows.map(([left]) => left.length))
  const list = rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`)
  return [`Usage: gradcam ${`${name} ${command.usage}`.trim()}`, '', command.description, '', ...list].join('\n')
}

function print(text: string, code = 0): number {
  process[code === 0 ? 'stdout' : 'stderr'].write(`${text}\n`)
  return code
}

function readVersion(): string {
  return (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version
}

/** The codes of errors that are about how the command was called. */
const wrongCalls: readonly string[] = ['ERR_USAGE', 'ERR_JOB_CHANGED']

function report(error: unknown, verbose: boolean): number {
  if (verbose) console.error(error)
  else process.stderr.write(`gradcam: ${inOneLine(error)}${hintOf(error)}\n`)
  return error instanceof GradCamError && wrongCalls.includes(error.code) ? 2 : 1
}

listenForLostOutput()

const args = process.argv.slice(2)
// Not process.exit(): output that is still on its way to a pipe is written first.
process.exitCode = await main(args).catch((error: unknown) => report(error, args.includes('--verbose')))
