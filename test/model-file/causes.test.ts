// Files that cannot be loaded are refused by the true reason.
import test from 'ava'
import { readFileSync } from 'node:fs'
import { ScriptModule, type GradCamError, type GradCamErrorCode } from '../../lib/index.js'
import { gradcam } from '../support/package-copy.js'
import { unusualNets } from '../support/unusual-nets.js'

const nets = await unusualNets('ways_in_nets.py')

const causes: Readonly<Record<string, readonly [GradCamErrorCode, RegExp]>> = {
  'needs-operator': ['ERR_MODEL_OPERATOR', /uses the operator somebodys::mean, .*Load the library/],
  mobile: ['ERR_MODEL_OPERATOR', /optimised for mobile: .*prepacked::conv2d_clamp_run.*Export the model before/],
  engine: ['ERR_MODEL_CLASS', /tensorrt\.Engine.*Torch-TensorRT.*Export the model before/],
  'needs-class': ['ERR_MODEL_CLASS', /somebodys\.Tokenizer.*Load the library/],
  newer: ['ERR_MODEL_UNSUPPORTED', /newer PyTorch.*9999.*newer LibTorch/],
  'half-script': ['ERR_MODEL_CORRUPT', /did not come to its end.*Export it again/],
  'half-save': ['ERR_MODEL_CORRUPT', /did not come to its end.*Export it again/],
}

for (const [name, [code, message]] of Object.entries(causes))
  test(`${name}: ${code}`, async (t) => {
    const file = nets.file(name)
    for (const source of [file, readFileSync(file)]) {
      const error = await t.throwsAsync<GradCamError>(ScriptModule.load(source))
      t.is(error.code, code, error.message)
      t.regex(error.message, message)
      t.notRegex(error.message, /damaged/)
      t.false(error.message.includes('\n'))
    }
    const ended = gradcam(['layers', file])
    t.is(ended.code, 1)
    t.regex(ended.stderr, /^gradcam: [^\n]+\n$/)
  })
