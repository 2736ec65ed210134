import test from 'ava'
import { methods, readMethodSettings, type MethodName } from '../../lib/index.js'

const all = Object.keys(methods) as MethodName[]

test('settings of methods from plain data', (t) => {
  const given = {
    execution: 'split',
    precision: 'float16',
    eigenSmooth: true,
    chunkSize: 4,
    seed: 0,
    steps: 3,
    smooth: { kind: 'variance', samples: 2, sigma: 0, seed: 7 },
    window: [16, 8],
    stride: [1, 1],
    masks: 10,
  }
  t.deepEqual(readMethodSettings(JSON.parse(JSON.stringify(given)) as typeof given, all), given as never)
  t.deepEqual(readMethodSettings({ steps: undefined }, ['gradcam']), {})
  t.deepEqual(readMethodSettings({}, []), {})
})

test('an invalid setting is refused by its name', (t) => {
  const wrong: readonly (readonly [object, readonly MethodName[], RegExp])[] = [
    [{ step: 3 }, all, /^step is not a setting\. Did you mean steps\?/],
    [{ zzzzzzzzzz: 3 }, all, /^zzzzzzzzzz is not a setting\. The settings are execution, /],
    [{ constructor: 3 }, all, /^constructor is not a setting/],
    [{ steps: 3 }, ['gradcam', 'rise'], /^steps goes with integrated-gradients, not with gradcam, rise\./],
    [{ masks: 3 }, ['occlusion'], /^masks goes with rise, not with occlusion\./],
    [{ steps: '3' }, all, /^steps is '3': give a whole number of at least 1\./],
    [{ steps: 0 }, all, /^steps is 0: /],
    [{ seed: 1.5 }, all, /^seed is 1\.5: give a whole number of at least 0\./],
    [{ seed: 2 ** 60 }, all, /^seed is /],
    [{ window: [3] }, all, /^window is \[ 3 \]: give \[height, width\] in pixels\./],
    [{ stride: [0, 3] }, all, /^stride is /],
    [{ precision: 'float32' }, all, /^precision is 'float32': give bfloat16 or float16\./],
    [{ execution: null }, all, /^execution is null: give auto or split or hooked\./],
    [{ smooth: true }, all, /^smooth is true: give an object with kind, samples, sigma, seed/],
    [{ smooth: { kind: 'mean', sample: 3 } }, all, /^smooth is \{ kind: 'mean', sample: 3 \}/],
    [{ smooth: { kind: 'meen' } }, all, /^`smooth\.kind` must be .*, but is 'meen'/],
  ]
  for (const [given, names, message] of wrong)
    t.throws(() => readMethodSettings(given as Record<string, unknown>, names), {
      code: 'ERR_INVALID_ARGUMENT',
      message,
    })
})
