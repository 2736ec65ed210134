// Models that need torchvision's operators, with the library that its wheel has for Python. See test/python/torchvision_nets.py.
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import test from 'ava'
import { Cam, InputPerturbation, loadNpy, ScriptModule, type GradCamError, type Value } from '../../lib/index.js'
import { toNpy } from '../../lib/batch/npy.js'
import type { JobResultLine } from '../../lib/jobs/job-line.js'
import { findOperatorLibrary } from '../../lib/model/operator-library.js'
import { farthest } from '../support/arithmetic.js'
import { gradcam, temporaryFolder } from '../support/package-copy.js'
import { assertParity } from '../support/parity.js'
import { pythonWithModels } from '../support/model-packages.js'
import { needing } from '../support/needs.js'
import { lacksCuda } from '../support/operator-build.js'
import { toTensor } from '../support/to-tensor.js'
import { unusualNets } from '../support/unusual-nets.js'
import { lines } from '../support/workplace.js'

const python = await pythonWithModels()
const nets = python && (await unusualNets('torchvision_nets.py', python))
const run = needing('models', nets, test.serial)
const site = python?.env['PYTHONPATH']?.split(delimiter)[0] ?? ''
const library = join(site, 'torchvision', '_C.so')
const isRefused = nets !== null && lacksCuda(library)
const loading = isRefused ? needing('cudaLibraries', null) : run

const compat = 'captum' // with negative values, as the nets' program gives them

run('nothing is loaded that was not named: the model is refused', async (t) => {
  await t.throwsAsync(ScriptModule.load(nets!.file('deformed')), { message: /torchvision::deform_conv2d/ })
})

if (isRefused)
  test.serial(
    'a library of a CUDA build is refused where LibTorch has no CUDA libraries, and by this reason',
    async (t) => {
      const loaded = ScriptModule.load(nets.file('deformed'), { libraries: [library] })
      const error = await t.throwsAsync<GradCamError>(loaded, { code: 'ERR_MODEL_OPERATOR' })
      t.regex(error.message, /it is of a CUDA build and needs LibTorch's lib(torch|c10)_cuda\.so/)
    },
  )

loading('a deformable convolution is explained as by eager PyTorch', async (t) => {
  using model = await ScriptModule.load(nets!.file('deformed'), { libraries: [library] })
  for (const execution of ['auto', 'hooked'] as const) {
    using cam = new Cam(model, { layers: ['stem'], compat, execution })
    using explained = await cam.explain(nets!.batch('deformed').both, { target: 1 })
    assertParity(t, explained.cam, nets!.value('deformed', 'stem'), execution)
  }
})

loading('Faster R-CNN: the boxes of two images, by one tensor of images', async (t) => {
  using model = await ScriptModule.load(nets!.file('detector'), { libraries: [library] })
  const { both, one } = nets!.batch('detector')
  using boxes = toTensor(nets!.value('detector', 'boxes'))
  const box = boxes.tolist() as [number, number, number, number][]
  using cam = new Cam(model, { layers: ['backbone.body'], compat })
  const target = { kind: 'box', box, of: 1 } as const
  using explained = await cam.explain<Value>(both, { target })
  assertParity(t, explained.cam, nets!.value('detector', 'cam'), 'Grad-CAM')
  t.true(farthest(explained.scores, nets!.value('detector', 'scores').data as Float32Array) < 1e-5)

  // The same images as a list, as torchvision takes them in Python.
  using first = both.select(0, 0)
  using second = both.select(0, 1)
  using listed = await cam.explain<Value>([[first, second]], { target })
  assertParity(t, listed.cam, nets!.value('detector', 'cam'), 'of a list')

  using rise = new InputPerturbation(model, { method: 'rise', masks: 4 })
  const own = { kind: 'box', box: [box[0]!], of: 1, missing: 'zero' } as const
  using masked = await rise.explain<Value>(one, { target: own })
  t.deepEqual(masked.shape, one.shape)
})

loading('Faster R-CNN on the command line: the map and score of a box, by a library that is named', async (t) => {
  const folder = temporaryFolder(t)
  const { one } = nets!.batch('detector')
  const input = join(folder, 'image.npy')
  writeFileSync(input, toNpy(one.toTypedArray() as Float32Array, one.shape))
  using boxes = toTensor(nets!.value('detector', 'boxes'))
  const box = (boxes.tolist() as number[][])[0]
  const target = ['--target', JSON.stringify({ kind: 'box', box, of: 1 })]
  const common = ['--model', nets!.file('detector'), '--layer', 'backbone.body', ...target]
  const out = join(folder, 'maps')
  const batch = ['batch', input, ...common, '--write', 'npy', '--out']

  const refused = gradcam([...batch, join(folder, 'refused')])
  t.is(refused.code, 1)
  t.regex(refused.stderr, /uses the operator torchvision::\w+, .* \(here: --library torchvision\)/)

  const { code, stderr } = gradcam([...batch, out, '--library', library])
  t.is(code, 0, stderr)
  const [line] = lines(out) as [JobResultLine]
  const { shape, data } = nets!.value('detector', 'cam')
  const size = shape.slice(2)
  const expected = (data as Float32Array).subarray(0, size[0]! * size[1]!).map((value) => Math.max(0, value))
  using map = await loadNpy(join(out, line.files['npy'] as string))
  assertParity(t, map, { shape: size, data: expected }, 'the map of batch')
  t.true(Math.abs((line.score ?? NaN) - Number(nets!.value('detector', 'scores').data[0])) < 1e-5)
})

loading('a library is found by the name of its package, where Python finds it', async (t) => {
  const before = process.env['PYTHONPATH']
  process.env['PYTHONPATH'] = site
  try {
    t.is(await findOperatorLibrary('torchvision'), library)
    using model = await ScriptModule.load(nets!.file('deformed'), { libraries: ['torchvision'] })
    t.is(model.device, 'cpu')
  } finally {
    if (before === undefined) delete process.env['PYTHONPATH']
    else process.env['PYTHONPATH'] = before
  }
})

test.serial(
  'a package for another PyTorch, none, and a library that cannot be loaded are refused by their reasons',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'gradcam-site-'))
    const before = process.env['PYTHONPATH']
    process.env['PYTHONPATH'] = folder
    try {
      mkdirSync(join(folder, 'someops'))
      mkdirSync(join(folder, 'someops-0.1.dist-info'))
      writeFileSync(join(folder, 'someops', '__init__.py'), '')
      writeFileSync(join(folder, 'someops', '_C.so'), 'no library')
      writeFileSync(
        join(folder, 'someops-0.1.dist-info', 'METADATA'),
        'Name: someops\nRequires-Dist: torch (==1.9.0)\n',
      )
      const other = await t.throwsAsync<GradCamError>(findOperatorLibrary('someops'))
      t.is(other.code, 'ERR_MODEL_OPERATOR')
      t.regex(other.message, /someops is for PyTorch 1\.9\.0, and the LibTorch in use is /)
      const none = await t.throwsAsync<GradCamError>(findOperatorLibrary('no_such_package'))
      t.is(none.code, 'ERR_FILE_NOT_FOUND')
      copyFileSync(join(folder, 'someops', '_C.so'), join(folder, 'ops.so'))
      t.is(await findOperatorLibrary(join(folder, 'ops.so')), join(folder, 'ops.so'))
      const damaged = ScriptModule.load(Buffer.from('x'), { libraries: [join(folder, 'ops.so')] })
      await t.throwsAsync(damaged, { code: 'ERR_MODEL_OPERATOR', message: /ops\.so' cannot be loaded: / })
    } finally {
      if (before === undefined) delete process.env['PYTHONPATH']
      else process.env['PYTHONPATH'] = before
      rmSync(folder, { recursive: true })
    }
  },
)
