import test from 'ava'
import { readFileSync } from 'node:fs'
import { ScriptModule } from '../../lib/index.js'
import { Malformed } from '../../lib/archive/malformed.js'
import { PickledDict, PickledList, type Pickled } from '../../lib/archive/pickled.js'
import { readPickle } from '../../lib/archive/pickle.js'
import { checkPickledTensors, deepestValues } from '../../lib/model-file/pickled-tensors.js'
import { checkSourceDepth, deepestSource, sourceDepth } from '../../lib/model-file/source-nesting.js'
import { checkModelFile } from '../../lib/model-file/check.js'
import { harmfulModels } from '../support/harmful.js'
import { smallNets } from '../support/models.js'

const nets = await smallNets()
const harmful = await harmfulModels()

test('good files pass, by path and by bytes, and their source is found', async (t) => {
  const files = (['scripted', 'traced'] as const).flatMap((kind) =>
    nets.names(kind).map((name) => nets.file(name, kind)),
  )
  const variants = ['frozen', 'optimized', 'training_mode', 'no_grad_parameters'].map((name) => nets.variant(name))
  for (const file of [...files, ...variants, harmful.file('Plain'), harmful.file('HasOwnSave')]) {
    const { sources } = await checkModelFile(file, file)
    t.true(sources.length > 0, file)
    t.deepEqual(await checkModelFile(readFileSync(file), file), { sources, isOld: false })
  }
})

/** What the check finds, by the name of the lie. */
const found: Readonly<Record<string, RegExp>> = {
  'short record': /takes \d+ bytes, and its record \d has \d+/,
  'no record': /and its record \d has 0/,
  'large size': /reaches to element \d+ of a storage of 108/,
  'large offset': /reaches to element \d+ of a storage of \d+/,
  'negative size': /not described as PyTorch describes it/,
  'wider elements': /takes \d+ bytes, and its record \d has \d+/,
  'two records of one name': /two records of the name/,
  'another case': /two records of the name .*DATA\.PKL/,
  'deep values': /data\.pkl', its values are nested deeper than 500 levels/,
  'deep constants': /constants\.pkl', its values are nested deeper than 500 levels/,
  'values in themselves': /contains itself/,
  'unknown opcode': /unknown opcode, 254/,
  'huge memo': /data\.pkl', it remembers value 268435455, and has 10 bytes/,
  'huge constant memo': /constants\.pkl', it remembers value \d+, and has \d+ bytes/,
  'nothing to take': /takes a value that is not there/,
  'endless brackets': /its brackets are nested 60000 deep/,
  'endless operators': /its operators are nested 60000 deep/,
  'endless signs': /its operators are nested 60000 deep/,
  'endless blocks': /its blocks are nested 200\d deep/,
  'record beyond the end': /lies outside the file/,
  'size beyond the end': /lies outside the file/,
  'end cut off': /its end is missing/,
}

for (const name of harmful.lies)
  test(`a file that lies is refused before LibTorch sees it: ${name}`, async (t) => {
    const file = harmful.lie(name)
    const message = found[name]
    t.truthy(message, 'a lie that this test does not know')
    for (const source of [file, readFileSync(file)]) {
      const error = await t.throwsAsync(ScriptModule.load(source), { code: 'ERR_MODEL_CORRUPT', message: message! })
      t.regex(error?.message, /^('.*\.pt'|The buffer) cannot be read as a TorchScript file: /)
      t.regex(error?.message, /copy or export it again/)
    }
  })

test('every cut of a file is refused', async (t) => {
  const whole = readFileSync(harmful.file('Plain'))
  for (let i = 1; i < 40; i++) {
    const cut = whole.subarray(0, Math.floor((whole.length * i) / 40))
    await t.throwsAsync(checkModelFile(cut, 'cut'), { code: 'ERR_MODEL_CORRUPT' }, `${cut.length} bytes`)
  }
})

for (const { name, protocol, pickle, value } of harmful.pickles)
  test(`a pickle of Python's is read as Python reads it: ${name}, protocol ${protocol}`, async (t) => {
    t.deepEqual(plain(await readPickle(Buffer.from(pickle, 'base64'))), value)
  })

test('no cut and no change of a byte makes a pickle do anything but end in an error', async (t) => {
  const { pickle } = harmful.pickles.find(({ name, protocol }) => name === 'nested' && protocol === 2)!
  const whole = Buffer.from(pickle, 'base64')
  for (let at = 0; at < whole.length; at++) {
    await t.throwsAsync(readPickle(whole.subarray(0, at)), { instanceOf: Malformed })
    for (const byte of [0, 0x28, 0x2e, 0x5d, 0x61, 0x68, 0x71, 0x85, 0x8a, 0xff]) {
      const changed = Buffer.from(whole)
      changed[at] = byte
      const read = await readPickle(changed).catch((error: unknown) => error)
      t.true(!(read instanceof Error) || read instanceof Malformed, `byte ${at} = ${byte}: ${String(read)}`)
    }
  }
})

test('values may be nested as deep as the limit, and no deeper', (t) => {
  const nested = (levels: number): Pickled => {
    let value: Pickled = new PickledList('list', [])
    for (let i = 1; i < levels; i++) value = new PickledList('tuple', [value])
    return value
  }
  const noRecords = () => undefined
  t.notThrows(() => checkPickledTensors(nested(deepestValues), noRecords))
  t.throws(() => checkPickledTensors(nested(deepestValues + 1), noRecords), { instanceOf: Malformed })
  // One value in several others is not deep.
  const shared = nested(deepestValues - 1)
  t.notThrows(() => checkPickledTensors(new PickledList('list', Array(1000).fill(shared)), noRecords))
})

test('the depth of source', (t) => {
  t.deepEqual(sourceDepth('x = f(a, [b, {c: d}])\n'), { brackets: 3, blocks: 0, operators: 0 })
  t.deepEqual(sourceDepth('def f(x):\n  if x:\n    return -x + 1\n  return x\n'), {
    brackets: 1,
    blocks: 2,
    operators: 2,
  })
  t.deepEqual(sourceDepth('a = "((((((" + \'[[[\'  # {{{{\n'), { brackets: 0, blocks: 0, operators: 1 })
  t.deepEqual(sourceDepth('a = """((\n((""" + "\\"(("\n'), { brackets: 0, blocks: 0, operators: 1 })
  t.is(sourceDepth('x = a.b.c.d\n').operators, 3)
  t.is(sourceDepth('x = f(1)(2)(3)[4]\n').operators, 3)
  t.is(sourceDepth('x = a if b else not c\n').operators, 3)
  t.is(sourceDepth('x = [1 + 1, 2 + 2, 3 + 3]\ny = 1 + 1\n').operators, 1)
  const brackets = (count: number): string => `x = ${'('.repeat(count)}a${')'.repeat(count)}\n`
  t.notThrows(() => checkSourceDepth(brackets(deepestSource.brackets)))
  t.throws(() => checkSourceDepth(brackets(deepestSource.brackets + 1)), { instanceOf: Malformed })
})

/** A pickled value as JSON has it. */
function plain(value: Pickled): unknown {
  if (value instanceof PickledList) return value.items.map(plain)
  if (value instanceof PickledDict) return Object.fromEntries(value.entries.map(([key, one]) => [key, plain(one)]))
  return value
}
