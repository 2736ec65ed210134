import { join } from 'node:path'
import test from 'ava'
import { doctor, type DoctorReport } from '../../lib/setup/doctor.js'
import { compileLibrary } from '../support/fake-libtorch.js'
import { smallNets } from '../support/models.js'
import { copyPackage, gradcam, temporaryFolder } from '../support/package-copy.js'

const nets = await smallNets()

const find = (report: DoctorReport, name: string) => report.checks.find((check) => check.name === name)

test('here, where the addon is built, everything needed is there', async (t) => {
  const report = await doctor()
  t.true(report.ok, JSON.stringify(report, null, 2))
  const names = ['Node', 'System', 'Compiler', 'CMake', 'Python', 'sharp', 'LibTorch', 'Addon', 'Devices', 'Threads']
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

const checksOf = (...args: string[]) =>
  (JSON.parse(gradcam(['doctor', ...args, '--json']).stdout) as DoctorReport).checks

for (const [net, layer, path, because] of [
  ['plain', 'features', 'split', null],
  ['called_twice', 'shared', 'hooked', /in 2 places/],
  ['control_flow', 'step', 'hooked', /control flow/],
] as const)
  test(`a model file, ${net}: explanations at ${layer} run ${path}, and it says why`, (t) => {
    const checks = checksOf(nets.file(net), '--size', '16x20', '--layer', layer)
    const model = checks.find(({ name }) => name === 'Model')
    t.is(model?.status, 'ok', JSON.stringify(checks))
    t.true(Number(model?.details['forwardMs']) > 0)
    const at = checks.at(-1)
    t.like(at?.details, { layer, path })
    t.true(Number(at?.details['explainMs']) > 0)
    t.is(at?.status, because ? 'note' : 'ok')
    if (because) t.regex(at?.found ?? '', because)
    else t.is(at?.details['because'], null)
  })

test('a model file without --layer: the layers that are suggested', (t) => {
  const checks = checksOf(nets.file('plain'), '--size', '16x20')
  const layers = checks.flatMap(({ details }) => details['layer'] ?? [])
  t.is(layers[0], 'features')
  t.true(layers.length > 1, JSON.stringify(layers))
})

test('a model that is not there, a layer that it has not, or a size that it does not take is missing', (t) => {
  for (const [args, code] of [
    [['no-such.pt', '--size', '16x20'], 'ERR_FILE_NOT_FOUND'],
    [[nets.file('plain'), '--size', '16x20', '--layer', 'feature'], 'ERR_LAYER_NOT_FOUND'],
    [[nets.file('plain'), '--size', '5x16x20'], 'ERR_CHANNELS'],
  ] as const) {
    const { code: exit, stdout } = gradcam(['doctor', ...args, '--json'])
    t.is(exit, 1, stdout)
    const report = JSON.parse(stdout) as DoctorReport
    t.false(report.ok)
    t.like(report.checks.at(-1), { status: 'missing', details: { code } }, stdout)
  }
})

test('what does not go together is refused with exit code 2', (t) => {
  for (const [args, message] of [
    [['model.pt'], /--size 224x224/],
    [['--layer', 'features'], /--layer is for a model file/],
    [['a.pt', 'b.pt', '--size', '8x8'], /one model file/],
  ] as const) {
    const { code, stderr } = gradcam(['doctor', ...args])
    t.is(code, 2, stderr)
    t.regex(stderr, message)
  }
})
