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
    samples: 2,
    sigma: 0.5,
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
    [{ step: 3 }, all, /^`step` is not a setting\. Did you mean `steps`\?/],
    [{ zzzzzzzzzz: 3 }, all, /^`zzzzzzzzzz` is not a setting\. There are `execution`, /],
    [{ constructor: 3 }, all, /^`constructor` is not a setting/],
    [
      { steps: 3 },
      ['gradcam', 'rise'],
      /^`steps` goes with integrated-gradients, .*, not with gradcam, rise\. Leave it out\.$/,
    ],
    [{ samples: 3 }, ['gradcam', 'saliency'], /^`samples` goes with .*smoothgradcam\+\+, sscam, iscam, not with/],
    [{ sigma: -1 }, ['sscam'], /^`sigma` must be a number from 0 on, but is -1\.$/],
    [{ masks: 3 }, ['occlusion'], /^`masks` goes with rise, not with occlusion\./],
    [{ steps: '3' }, all, /^`steps` must be an integer from 1 on, but is '3'\.$/],
    [{ steps: 0 }, all, /^`steps` must be .*, but is 0\.$/],
    [{ seed: 1.5 }, all, /^`seed` must be an integer from 0 on, but is 1\.5\.$/],
    [{ seed: 2 ** 60 }, all, /^`seed` must be /],
    [
      { window: [3, 0] },
      all,
      /^`window` must be a whole number from 1 on, or one for each spatial dimension: .*, but is \[ 3, 0 \]\.$/,
    ],
    [{ window: [1, 2, 3, 4] }, all, /^`window` must be a whole number from 1 on/],
    [{ stride: 0 }, all, /^`stride` must be a whole number from 1 on/],
    [{ stride: [0, 3] }, all, /^`stride` must be /],
    [{ precision: 'float32' }, all, /^`precision` must be 'bfloat16', 'float16' or 'auto', but is 'float32'\.$/],
    [{ execution: null }, all, /^`execution` must be 'auto', 'split' or 'hooked', but is null\.$/],
    [{ smooth: true }, all, /^`smooth` must be an object, but is true\.$/],
    [
      { smooth: { kind: 'mean', sample: 3 } },
      all,
      /^`smooth\.sample` is not a setting of smooth\. Did you mean `smooth\.samples`\?$/,
    ],
    [{ smooth: { kind: 'meen' } }, all, /^`smooth\.kind` must be .*, but is 'meen'/],
  ]
  for (const [given, names, message] of wrong)
    t.throws(() => readMethodSettings(given as Record<string, unknown>, names), {
      code: 'ERR_INVALID_ARGUMENT',
      message,
    })
})
