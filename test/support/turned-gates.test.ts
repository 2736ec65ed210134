import test from 'ava'
import { runPython, testPython } from './python.js'

interface Found {
  readonly undecided: number
  readonly plain: number[]
  readonly turned: number[]
}

const found = JSON.parse(await runPython(await testPython(), 'turned_gates.py', [])) as Record<string, Found>

// See the values in test/python/turned_gates.py. One that is exactly zero is so in every arithmetic.
const relu = { undecided: 2, plain: [1, 0, 1, 0, 0], turned: [1, 0, 0, 1, 0] }
const relu6 = { undecided: 3, plain: [0, 1, 1, 0, 0], turned: [1, 0, 1, 1, 0] }
const squares = {
  undecided: 2,
  plain: [0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0],
  turned: [1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0],
}
const pairs = {
  undecided: 2,
  plain: [0, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0],
  turned: [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1],
}
const expected: Record<string, Found> = {
  'F.relu': relu,
  'F.relu by name': relu,
  'torch.relu': relu,
  relu_: relu,
  'nn.ReLU': relu,
  'nn.ReLU in place': relu,
  'nn.ReLU6': relu6,
  'F.relu6': relu6,
  'nn.MaxPool2d': squares,
  'nn.MaxPool2d with indices': squares,
  'torch.max_pool2d': squares,
  'nn.MaxPool1d': pairs,
  'nn.MaxPool3d': squares,
}

for (const [name, of] of Object.entries(expected))
  test(`${name}: what is near its corner, or near another value, takes the other side`, (t) => {
    t.deepEqual(found[name], of)
  })
