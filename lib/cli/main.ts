#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { GradCamError } from '../base/errors.js'
import { packageRoot } from '../base/paths.js'
import { listenForLostOutput } from './closed-pipe.js'
import type { Command, Option, Values } from './command.js'
import { inOneLine } from '../base/one-line.js'
import { nearestName } from '../base/nearest.js'

interface Entry {
  readonly summary: string
  readonly load: () => Promise<{ command: Command }>
}

/** Loaded one at a time: `doctor` and `build` must work where there is no addon yet. */
const commands: Readonly<Record<string, Entry>> = {
  explain: {
    summary: 'what a model looked at in an image, as images',
    load: () => import('./commands/explain.js'),
  },
  batch: {
    summary: 'the same for folders, lists and any number of images, to be resumed where it was stopped',
    load: () => import('./commands/batch.js'),
  },
  report: {
    summary: "one page that shows a batch's results",
    load: () => import('./commands/report.js'),
  },
  layers: { summary: "a model's layers, to pick one from", load: () => import('./commands/layers.js') },
  doctor: {
    summary: 'what was found on this machine, and what is missing',
    load: () => import('./commands/doctor.js'),
  },
  build: { summary: 'build the native addon for this machine', load: () => import('./commands/build.js') },
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
    throw usageError(`There is no command "${name}".${near ? ` Did you mean ${near}?` : ''} The commands are: ${all}.`)
  }
  const { command } = await entry.load()
  const { values, positionals } = parse(command, rest, name)
  if (values['help']) return print(help(name, command))
  return command.run(values, positionals)
}

function parse(command: Command, args: string[], name: string): { values: Values; positionals: string[] } {
  const options = { ...command.options, ...common }
  try {
    return parseArgs({ args, options, allowPositionals: command.positionals, strict: true })
  } catch (error) {
    // parseArgs explains at length how to pass what looks like an option as an argument: its first sentence is enough.
    const text = (error as Error).message.split(/\. |\n/)[0] ?? ''
    const [, unknown] = text.match(/Unknown option '--([^']+)'/) ?? []
    const near = unknown === undefined ? null : nearestName(unknown, Object.keys(options))
    const meant = near === null ? '' : ` Did you mean --${near}?`
    throw usageError(`${text.replace(/\.?$/, '.')}${meant} See: gradcam ${name} --help`)
  }
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  const list = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  const head = 'Shows what a PyTorch model looked at: Grad-CAM and guided backprop on TorchScript files.'
  return [
    head,
    '',
    'Usage: gradcam COMMAND [options]',
    '',
    ...list,
    '',
    'gradcam COMMAND --help says more; gradcam --version.',
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

function usageError(message: string): GradCamError {
  return new GradCamError('ERR_USAGE', message)
}

function print(text: string, code = 0): number {
  process[code === 0 ? 'stdout' : 'stderr'].write(`${text}\n`)
  return code
}

function readVersion(): string {
  return (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version
}

function report(error: unknown, verbose: boolean): number {
  if (verbose) console.error(error)
  else process.stderr.write(`gradcam: ${inOneLine(error)}\n`)
  return error instanceof GradCamError && error.code === 'ERR_USAGE' ? 2 : 1
}

listenForLostOutput()

const args = process.argv.slice(2)
// Set, not exited: what is still on its way to a pipe is written first.
process.exitCode = await main(args).catch((error: unknown) => report(error, args.includes('--verbose')))
