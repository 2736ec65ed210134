import * as lib from '../../../lib/index.js'
import { Tensor, type ScriptModule } from '../../../lib/index.js'

/** A function, constructor or method of the package, and arguments that it takes. */
export interface Subject {
  readonly name: string
  /** May return a promise. */
  call(args: readonly unknown[]): unknown
  /** Valid arguments; the last one may be an object of options. */
  readonly valid: readonly unknown[]
  /** Called with no more than these: it starts processes or takes long. */
  readonly once?: true
}

type Callable = (...args: readonly unknown[]) => unknown

/** Valid arguments by name. What is not listed is called with none and with values of every kind all the same. */
function validArguments(model: ScriptModule, input: Tensor, map: Tensor): Readonly<Record<string, readonly unknown[]>> {
  const signal = new AbortController().signal
  const call = { signal }
  const explain = (_model: unknown, images: Tensor) => Promise.resolve(images.mean([1], true))
  const target = { target: 1, signal }
  const framing = { resized: [16, 20], offset: [0, 0], size: [16, 20] }
  const metric = { score: 'probability', batchSize: 4 }
  const of = (name: string, options: object) => ({ [name]: [model, { ...metric, ...options }] })
  return {
    suggestLayers: [model, input, call],
    pickLayer: [model, [1, 3, 16, 20], call],
    expectedInput: [model, 0],
    loadNpy: ['array.npy', { dtype: 'float32', device: 'cpu', signal }],
    modelNotes: [model],
    interpolate: [map, [8, 8], { mode: 'bilinear', alignCorners: false, antialias: false }],
    interpolateAsync: [map, [8, 8], { mode: 'bilinear', alignCorners: false, antialias: false, signal }],
    colorize: [map],
    normalize: [map, 1e-8],
    overlay: [input, map, { alpha: 0.5 }],
    conceptColor: [1],
    drawConcepts: [input.narrow(0, 0, 1), map.narrow(0, 0, 1), { alpha: 0.5, legend: ['a'], most: [1] }],
    standardize: [input, { mean: [0, 0, 0], std: [1, 1, 1] }],
    denormalize: [input, { mean: [0, 0, 0], std: [1, 1, 1] }],
    encodeImage: [input.select(0, 0), 'png', { quality: 90 }],
    saveImage: [input.select(0, 0), 'image.png', { format: 'png', quality: 90 }],
    loadImage: [
      'image.png',
      {
        size: [4, 4],
        resample: 'bicubic',
        normalize: { mean: [0, 0, 0], std: [1, 1, 1] },
        device: 'cpu',
        background: 0.5,
        maxPixels: 1000,
        signal,
      },
    ],
    gridFeatures: [
      [16, 20],
      [4, 4],
    ],
    superpixels: [input, { segments: 4, compactness: 10, iterations: 2, signal }],
    felzenszwalb: [input, { scale: 100, sigma: 0.8, minSize: 20, signal }],
    riseMasks: [[16, 20], { masks: 2, grid: 3, probability: 0.5, seed: 0, signal }],
    rankCorrelation: [map, map.mul(2), signal],
    framingOf: [[16, 20], lib.presets.imagenet],
    seenRegion: [[16, 20], framing],
    readPreprocess: [{ resize: 8, resample: 'bilinear', crop: [8, 8], fill: 0, mean: 0, std: 1 }],
    createServer: [
      {
        models: { a: { model, layer: 'features', labels: ['x'], preprocess: { resize: [16, 20] } } },
        methods: ['gradcam'],
        batchWindow: 1,
        maxBatch: 2,
        maxQueue: 2,
        deadline: 1000,
        maxBody: 1000,
        maxPixels: 1000,
        decodeSeconds: 1,
        memory: 1000,
        uploads: 1000,
        concurrency: 1,
        requestTimeout: 1000,
        token: 'sixteen-letters-x',
        allowedHosts: ['example.org'],
        corsOrigins: ['https://example.org'],
        processMetrics: false,
        onError: () => {},
      },
    ],
    explainAll: [
      [input.select(0, 0)],
      {
        model,
        method: 'gradcam',
        layer: 'features',
        target: 0,
        preprocess: 'imagenet',
        batchSize: 1,
        window: 2,
        memory: 1000,
        concurrency: 1,
        maxPixels: 1000,
        maxWait: 1,
        order: 'input',
        onError: 'skip',
        onProgress: () => {},
        finish: () => 1,
        sha256: false,
        precision: undefined,
        signal,
      },
    ],
    observeLayers: [model, input, call],
    defaultLayer: [model, [1, 3, 16, 20], call],
    lastSpatialLayer: [[{ path: 'a', typeName: 'Conv2d', calls: 1, shape: [1, 2, 4, 4], description: '' }]],
    moduleTree: [model.namedModules(), ''],
    makeMapExplainers: [model, ['gradcam'], ['features'], { chunkSize: 4 }],
    readMethodSettings: [
      {
        execution: 'auto',
        precision: 'bfloat16',
        eigenSmooth: true,
        chunkSize: 4,
        seed: 0,
        steps: 2,
        smooth: { kind: 'mean', samples: 2, sigma: 1, seed: 0 },
        window: [8, 8],
        stride: [8, 8],
        masks: 10,
      },
      ['gradcam', 'scorecam', 'rise', 'integrated-gradients', 'occlusion'],
    ],
    'an input of explainAll': [{ id: 'a', source: undefined, tensor: input.select(0, 0), target: 1 }],
    'BatchExplanation#encode': ['npy', { alpha: 0.5 }],
    toMapLevels: [{ data: new Float32Array(4), height: 2, width: 2 }],
    readLabels: ['labels.txt'],
    convertModel: ['plain.pt2', 'converted.pt', { ...call, weights: new Uint8Array(8) }],
    parseTarget: ['cat', ['cat', 'dog']],
    className: [0, ['cat']],
    makeJobSpec: [
      {
        model: 'plain.pt',
        method: 'gradcam',
        precision: null,
        layer: 'features',
        target: 'argmax',
        preprocess: 'imagenet',
        write: ['overlay'],
        alpha: 0.5,
        labels: ['cat'],
        sources: ['a'],
        base: '',
      },
    ],
    checkSameJob: [{ model: { path: 'a', sha256: 'b' } }, { model: { path: 'a', sha256: 'b' } }],
    readJobSpec: ['results'],
    readManifest: ['results'],
    writeReport: ['results', 'page.html', { thumbnail: 100, maxPixels: 1000, onProgress: () => {} }],
    runJob: [
      { model: { path: 'plain.pt', sha256: '' }, write: [] },
      {
        source: { async *entries() {} },
        store: { claim: async () => ({ done: new Map() }), record: async () => {}, close: async () => {} },
        sink: { write: async () => ({}) },
        explainer: {
          open: async () => ({ layer: null, devices: [] }),
          explain: async function* () {},
          close: async () => {},
        },
        signal,
        onStart: () => {},
        onProgress: () => {},
        onWarning: () => {},
      },
    ],
    // A server of a kind that is refused when all else was looked at: nothing is connected to.
    enqueueJob: [
      { model: { path: 'plain.pt', sha256: '' }, write: [] },
      { queue: 'amqp://host', out: 'results', source: ['image.png'], chunk: 1, prefix: 'p', resume: true, signal },
    ],
    openJob: ['job', { queue: 'amqp://host', prefix: 'p', signal }],
    startWorker: [
      {
        queue: 'amqp://host',
        roots: ['.'],
        modelRoots: ['.'],
        prefix: 'p',
        chunks: 1,
        maxWaiting: 1,
        lockSeconds: 1,
        graceSeconds: 1,
        devices: ['cpu'],
        signal,
        onChunk: () => {},
        onError: () => {},
      },
    ],
    FolderStore: ['results', { resume: true, retryFailed: false, verify: false, onWait: () => {} }],
    FolderSink: ['results'],
    BucketStore: ['s3://bucket/results', { resume: true, retryFailed: false, verify: false, onWait: () => {} }],
    BucketSink: ['s3://bucket/results'],
    ModelExplainer: [{ model, devices: ['cpu'] }],
    'FileSource.open': [['image.png'], { labels: ['cat'], exclude: 'results' }],
    disposeValue: [[1, { a: null }]],
    tidy: [() => 1],
    setNumThreads: [1],
    setTensorMemoryLimit: [2 ** 29],
    manualSeed: [0],

    Cam: [
      model,
      {
        layers: ['features'],
        methods: ['gradcam'],
        compat: 'paper',
        aggregate: 'each',
        eigenSmooth: false,
        reshape: undefined,
        seed: 0,
        chunkSize: 4,
        execution: 'auto',
        precision: undefined,
      },
    ],
    GradCam: [model, ['features'], { execution: 'auto', precision: undefined, reshape: undefined }],
    FullGrad: [model],
    GuidedBackprop: [model, { scope: 'all', execution: 'auto' }],
    GuidedGradCam: [
      model,
      { layer: 'features', method: 'gradcam', mode: 'bilinear', reshape: undefined, scope: 'all' },
    ],
    InputAttribution: [
      model,
      {
        method: 'integrated-gradients',
        scope: 'all',
        baseline: 0,
        steps: 2,
        batchSize: 4,
        smooth: { kind: 'mean', samples: 2, sigma: 1, seed: 0 },
        scoreLayer: 'features',
      },
    ],
    FeatureFactorization: [model, { layer: 'features', concepts: 2, reshape: undefined, part: undefined, input: 0 }],
    Lrp: [model, { composite: 'epsilon-gamma-box', low: 0, high: 1, batchSize: 4, smooth: undefined, input: 0 }],
    AttentionMap: [model, { method: 'attention-rollout', tokens: [4, 5], skip: 1, input: 0, blocks: undefined }],
    InputPerturbation: [
      model,
      { method: 'occlusion', window: [8, 8], stride: [8, 8], baseline: 0, batchSize: 4, execution: 'auto' },
    ],
    ...of('Adcc', { explain }),
    ...of('AverageDrop', { relative: true }),
    ...of('IncreaseInConfidence', {}),
    ...of('Infidelity', { samples: 2, sigma: 0.1, normalize: false, seed: 0 }),
    ...of('Deletion', { steps: 2, baseline: 'zeros' }),
    ...of('Insertion', { steps: 2, baseline: 'blurred' }),
    ...of('Complexity', {}),
    ...of('FaithfulnessCorrelation', { samples: 2, subset: 10, baseline: 'zeros', seed: 0 }),
    ...of('Monotonicity', { steps: 2, baseline: 'zeros' }),
    ...of('MonotonicityCorrelation', { steps: 2, samples: 1, sigma: 1, seed: 0 }),
    ...of('Selectivity', { steps: 2, baseline: 'zeros', patch: 8 }),
    ...of('Sparseness', {}),
    ...of('RelevanceMassAccuracy', {}),
    ...of('RelevanceRankAccuracy', {}),
    ...of('ParameterRandomization', { explain, order: 'all', modules: [''], seed: 0 }),
    ...of('PointingGame', { tolerance: 0 }),
    ...of('EnergyPointingGame', {}),
    ...of('Road', { order: 'combined', percentiles: [50], noise: 0.01, seed: 0 }),
    ...of('SensitivityAvg', { explain, samples: 1, radius: 0.02, seed: 0 }),
    ...of('SensitivityMax', { explain, samples: 1, radius: 0.02, seed: 0 }),

    forward: [input, call],
    backward: [1, { ...call, onProgress: () => {} }],
    explain: [input, { ...target, onProgress: () => {} }],
    'FeatureFactorization#explain': [input, { of: undefined, signal }],
    contribution: ['features', 'gradcam'],
    'Cam#explain': [input, { ...target, augment: false, onProgress: () => {} }],
    'InputPerturbation#explain': [input, { ...target, onProgress: () => {} }],
    explainTop: [input, 2, { of: undefined, signal }],
    get: ['features', 'gradcam'],
    activation: ['features'],
    gradient: ['features'],
    add: [
      input,
      map,
      {
        targets: 1,
        boxes: [
          { x: 1, y: 1, w: 2, h: 2 },
          { x: 1, y: 1, w: 2, h: 2 },
        ],
        signal,
      },
    ],
    'RelevanceRankAccuracy#add': [input, map, { masks: input.select(1, 0).gt(0.5), signal }],
    randomized: [{ seed: 0, modules: [''], signal }],
    checkLayer: ['features'],
    registerForwardPreHook: ['features', () => undefined],
    registerForwardHook: ['features', () => undefined],
    registerFullBackwardHook: ['features', () => undefined],

    'Tensor.from': [[1, 2], [2], { dtype: 'float32', device: 'cpu' }],
    'Tensor.zeros': [[2, 2], { dtype: 'float32', device: 'cpu' }],
    'Tensor.ones': [[2, 2], { dtype: 'float32', device: 'cpu' }],
    'Tensor.rand': [[2, 2], { dtype: 'float32', device: 'cpu' }],
    'Tensor.randn': [[2, 2], { dtype: 'float32', device: 'cpu' }],
    'Tensor.full': [[2, 2], 1, { dtype: 'float32', device: 'cpu' }],
    'Tensor.arange': [0, 4, 1, { dtype: 'float32', device: 'cpu' }],
    'Tensor.linspace': [0, 4, 5, { dtype: 'float32', device: 'cpu' }],
    'Tensor.cat': [[map, map], 0],
    'Tensor.stack': [[map, map], 0],
    'Tensor#backward': [{ gradient: undefined, retainGraph: false, signal }],
    'Tensor#to': [{ dtype: 'float64', device: 'cpu' }],
    'Tensor#indexSelect': [0, [0, 1]],
    'Tensor#interpolate': [[4, 4], { mode: 'nearest' }],
    'ScriptModule.load': [new Uint8Array([1, 2, 3]), { device: 'cpu', threads: 1, signal }],
  }
}

/** Methods that end an object, which the walk needs; each is called at the end by the walk itself. */
const ending: readonly (string | symbol)[] = ['constructor', 'dispose', 'close', Symbol.dispose, Symbol.asyncDispose]

/** Protected and internal in TypeScript: only the package calls them. */
const internal: readonly (string | symbol)[] = [
  ...['assertOpen', 'explained', 'relus', 'run', 'runTop', 'withMaps', 'handle'],
  ...['measure', 'scorer', 'compare', 'order', 'summary', 'options', 'extra'],
]

/** Methods, getters and setters of an object, its own and inherited. */
function methodsOf(owner: string, object: object, valid: Readonly<Record<string, readonly unknown[]>>): Subject[] {
  const found = new Map<string | symbol, Subject>()
  for (let at: object | null = object; at && at !== Object.prototype; at = Object.getPrototypeOf(at) as object | null)
    for (const key of Reflect.ownKeys(at)) {
      const { get, set, value } = Object.getOwnPropertyDescriptor(at, key) as PropertyDescriptor
      if (ending.includes(key) || internal.includes(key) || found.has(key)) continue
      const name = `${owner}#${String(key)}`
      const given = valid[name] ?? valid[String(key)] ?? []
      if (typeof value === 'function')
        found.set(key, { name, valid: given, call: (args) => (value as Callable).apply(object, args as unknown[]) })
      else if (get || set)
        found.set(key, {
          name,
          valid: [],
          call: ([first]) => (first === undefined ? get?.call(object) : set?.call(object, first)),
        })
    }
  return [...found.values()]
}

const isClass = (value: unknown): value is new (...args: readonly unknown[]) => object =>
  typeof value === 'function' && Function.prototype.toString.call(value).startsWith('class')

/** Every function, constructor, static function and method that the package exports. */
export async function subjectsOf(model: ScriptModule, input: Tensor, map: Tensor): Promise<Subject[]> {
  // Without a prototype, which has a toString of its own.
  const valid = Object.assign(Object.create(null), validArguments(model, input, map)) as Readonly<
    Record<string, readonly unknown[]>
  >
  const subjects: Subject[] = []
  const objects: [string, object][] = [
    ['Tensor', Tensor.ones([2, 1, 4, 4])],
    ['ScriptModule', model],
  ]
  for (const [name, exported] of Object.entries(lib)) {
    const given = valid[name] ?? []
    if (isClass(exported)) {
      // Classes without valid arguments are made by the package alone, or are the errors' own.
      if (!valid[name]) continue
      const make = exported as new (...args: readonly unknown[]) => object
      subjects.push({ name: `new ${name}`, valid: given, call: (args) => new make(...args) })
      objects.push([name, new make(...given)])
    } else if (typeof exported === 'function') {
      const once = name === 'doctor' ? { once: true as const } : {}
      subjects.push({ name, valid: given, call: (args) => (exported as Callable)(...args), ...once })
    }
  }
  for (const [name, owner] of Object.entries({ Tensor, ScriptModule: lib.ScriptModule, FileSource: lib.FileSource }))
    for (const key of Object.getOwnPropertyNames(owner)) {
      const value: unknown = Reflect.get(owner, key)
      if (typeof value !== 'function' || key === 'own') continue
      const full = `${name}.${key}`
      subjects.push({
        name: full,
        valid: valid[full] ?? [],
        call: (args) => (value as Callable).apply(owner, [...args]),
      })
    }
  const explanation = await new lib.Cam(model, { layers: ['features'] }).explain(input)
  objects.push(['CamExplanation', explanation])
  const job = { model, layer: 'features', onError: 'throw' } as const
  const { value } = await lib.explainAll([input.select(0, 0)], job).next()
  objects.push(['BatchExplanation', value as lib.BatchExplanation])
  const one = 'an input of explainAll'
  const explainOne = ([entry]: readonly unknown[]) => lib.explainAll([entry as lib.BatchInput], job)
  subjects.push({ name: one, valid: valid[one] ?? [], call: explainOne })
  for (const [name, object] of objects) {
    // So that methods that read the results of a pass have some.
    if (object instanceof lib.Cam || object instanceof lib.GuidedBackprop || object instanceof lib.FullGrad) {
      lib.disposeValue(await object.forward(input))
      await object.backward(1)
    }
    subjects.push(...methodsOf(name, object, valid))
  }
  return subjects
}
