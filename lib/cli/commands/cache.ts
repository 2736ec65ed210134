import { cacheFolder } from '../../base/cache-folder.js'
import { cleanCache, listCache, type CacheEntry } from '../../setup/cache-contents.js'
import { usageError } from '../arguments.js'
import type { Command } from '../command.js'
import { formatTable } from '../table.js'

export const command: Command = {
  usage: '[ls|clean] [--all] [--json]',
  description: [
    "Lists what lies in this user's cache folder: the PyTorch that was installed, the addons that were built, copies of models from",
    's3://, and what --precision auto measured. `clean` removes all but PyTorch, and with --all PyTorch too. What is removed is',
    'compiled, fetched or measured again when it is needed.',
  ].join('\n'),
  options: {
    all: { type: 'boolean', help: 'with clean: also the installs of PyTorch' },
    json: { type: 'boolean', help: 'print it as JSON' },
  },
  positionals: true,
  run: async (values, [what = 'ls', ...more]) => {
    if ((what !== 'ls' && what !== 'clean') || more.length > 0)
      throw usageError(`cache takes ls or clean, not "${[what, ...more].join(' ')}".`)
    if (what === 'ls' && values['all']) throw usageError('--all is for clean.')
    const say = (line: string): void => void process.stderr.write(`${line}\n`)
    const entries = what === 'ls' ? listCache() : await cleanCache({ all: values['all'] === true, say })
    if (values['json']) process.stdout.write(`${JSON.stringify({ folder: cacheFolder(), entries }, null, 2)}\n`)
    else process.stdout.write(what === 'ls' ? list(entries) : summary(entries))
    return 0
  },
}

const size = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`

const total = (entries: readonly CacheEntry[]): string => size(entries.reduce((sum, { bytes }) => sum + bytes, 0))

function list(entries: readonly CacheEntry[]): string {
  if (entries.length === 0) return `${cacheFolder()} is empty.\n`
  const rows = entries.map(({ kind, bytes, used, path }) => [
    { text: kind },
    { text: size(bytes), alignRight: true },
    { text: used.toISOString().slice(0, 10) },
    { text: path },
  ])
  return `${formatTable(rows).join('\n')}\n\n${total(entries)} in all, in ${cacheFolder()}\n`
}

function summary(entries: readonly CacheEntry[]): string {
  if (entries.length === 0) return `Nothing to remove in ${cacheFolder()}.\n`
  return `Removed ${entries.length} of ${cacheFolder()}: ${total(entries)}.\n`
}
