import { join } from 'node:path'
import test from 'ava'
import { doctor, type DoctorReport } from '../lib/doctor.js'
import { compileLibrary } from './support/fake-libtorch.js'
import { copyPackage, gradcam, temporaryFolder } from './support/package-copy.js'

const find = (report: DoctorReport, name: string) => report.checks.find((check) => check.name === name)

test('here, where the addon is built, everything needed is there', async (t) => {
  const report = await doctor()
  t.true(report.ok, JSON.stringify(report, null, 2))
  const names = ['Node', 'System', 'Compiler', 'CMake', 'Python', 'LibTorch', 'Addon', 'Devices', 'Threads']
  t.deepEqual(
    report.checks.map(({ name }) => name),
    names,
  )
  t.is(find(report, 'Node')?.details['version'], process.versions.node)
  t.regex(String(find(report, 'LibTorch')?.details['version']), /^\d+\.\d+/)
  t.like(find(report, 'Addon')?.details, { loads: true })
  t.is(typeof find(report, 'Devices')?.details['cuda'], 'boolean')
  t.true(Number(find(report, 'Threads')?.details['threads']) >= 1)
})

test('gradcam doctor: aligned lines without colour codes in a pipe, the same as JSON with --json', (t) => {
  const { code, stdout } = gradcam(['doctor'])
  t.is(code, 0, stdout)
  t.false(stdout.includes('\u001b'))
  const lines = stdout.trim().split('\n').slice(0, -2)
  t.is(
    new Set(lines.filter((line) => !line.includes('→')).map((line) => line.search(/(?<=^. \w+ +)\S/))).size,
    1,
    stdout,
  )
  t.regex(stdout, /Everything needed is there\.\n$/)

  const json = gradcam(['doctor', '--json'])
  t.is(json.code, 0)
  t.true((JSON.parse(json.stdout) as DoctorReport).ok)
})

test('where nothing is there it says so, a remedy for each thing missing, and exits with 1', (t) => {
  const folder = temporaryFolder(t)
  const env = { PATH: folder, GRADCAM_CACHE: folder, LIBTORCH: undefined, GRADCAM_ADDON: undefined, CXX: undefined }
  const { code, stdout } = gradcam(['doctor', '--json'], env, copyPackage(t))
  t.is(code, 1)
  const report = JSON.parse(stdout) as DoctorReport
  t.false(report.ok)
  for (const name of ['Compiler', 'Python', 'LibTorch', 'Addon']) {
    const check = find(report, name)
    t.is(check?.status, 'missing', name)
    t.regex(check?.remedy ?? '', /^(Install|Run)\b.*\.$/, name)
  }
  t.is(find(report, 'Devices'), undefined, 'what cannot be known is not said')
})

test('a LIBTORCH that will not do is reported, not thrown', (t) => {
  const { code, stdout } = gradcam(['doctor', '--json'], { LIBTORCH: '/no/such/folder' }, copyPackage(t))
  t.is(code, 1)
  const check = find(JSON.parse(stdout) as DoctorReport, 'LibTorch')
  t.is(check?.status, 'missing')
  t.regex(check?.found ?? '', /\/no\/such\/folder/)
  t.regex(check?.remedy ?? '', /^Set LIBTORCH/)
})

test('an addon that crashes when it is loaded is reported, not suffered', (t) => {
  const addon = join(temporaryFolder(t), 'crash.node')
  compileLibrary(addon, '#include <cstdlib>\nstatic int crash = (std::abort(), 0);')
  const { code, signal, stdout } = gradcam(['doctor', '--json'], { GRADCAM_ADDON: addon })
  t.is(signal, null)
  t.is(code, 1)
  t.regex(find(JSON.parse(stdout) as DoctorReport, 'Addon')?.found ?? '', /SIGABRT/)
})
