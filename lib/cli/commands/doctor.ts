import { doctor, type Check, type DoctorReport } from '../../doctor.js'
import type { Command } from '../command.js'
import { paint } from '../paint.js'

export const command: Command = {
  usage: '[--json]',
  description: 'Prints what was found on this machine and used, and for each thing missing how to mend it.',
  options: { json: { type: 'boolean', help: 'print it as JSON' } },
  positionals: false,
  run: async (values) => {
    const report = await doctor()
    process.stdout.write(values['json'] ? `${JSON.stringify(report, null, 2)}\n` : print(report))
    return report.ok ? 0 : 1
  },
}

function print({ ok, checks }: DoctorReport): string {
  const width = Math.max(...checks.map(({ name }) => name.length))
  const lines = checks.flatMap((check) => describe(check, width))
  const end = ok ? 'Everything needed is there.' : 'Not ready: see the remedies above.'
  return [...lines, '', paint(ok ? 'green' : 'red', end), ''].join('\n')
}

function describe({ name, status, found, remedy }: Check, width: number): string[] {
  const mark = { ok: paint('green', '✓'), note: paint('yellow', '·'), missing: paint('red', '✗') }[status]
  const line = `${mark} ${name.padEnd(width)}  ${found}`
  return remedy ? [line, `  ${' '.repeat(width)}  → ${remedy}`] : [line]
}
