// Loads the model on standard input and runs it once, in a process of its own with limits on memory and time: see trial.ts.
import { writeSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { native } from '../addon/native.js'
import { setTensorMemoryLimit } from '../addon/runtime.js'
import { GradCamError } from '../base/errors.js'
import { Tensor } from '../tensor/tensor.js'
import { shapeAtOnce } from './images-at-once.js'
import { ScriptModule } from './script-module.js'
import { answerStart, refuseOperators, type TrialAnswer, type TrialRequest } from './trial.js'

function answer(found: TrialAnswer): void {
  writeSync(1, `\n${answerStart}${JSON.stringify(found)}\n`)
}

try {
  const { shape, memory, processorSeconds } = JSON.parse(process.argv[2] ?? '') as TrialRequest
  const file = await buffer(process.stdin)
  native().limitProcess(memory, processorSeconds)
  setTensorMemoryLimit(memory)
  const model = await ScriptModule.load(file)
  refuseOperators(model.handle.operators())
  await model.forward(Tensor.rand(shapeAtOnce(model, shape))).catch((error: unknown) => {
    if (error instanceof GradCamError && error.code === 'ERR_OUT_OF_MEMORY') throw error
  })
  answer({ ok: true })
} catch (error) {
  if (!(error instanceof GradCamError)) throw error
  const isTooLarge = error.code === 'ERR_OUT_OF_MEMORY'
  answer({
    ok: false,
    code: error.code,
    problem: isTooLarge ? 'its trial takes more memory than the trial may' : error.message,
  })
}
// What the model left running is of no use to anybody.
process.exit()
