import test from 'ava'
import { ScriptModule, Tensor, disposeValue, liveTensors, type Value } from '../../lib/index.js'
import { collectGarbage, heldTensors } from '../support/live-tensors.js'
import { smallNets } from '../support/models.js'
import { assertSame } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const nets = await smallNets()
const names = ['siblings', 'called_twice', 'inner_structures', 'plain'] as const

async function load(name: (typeof names)[number], kind: 'scripted' | 'traced' = 'scripted') {
  const model = await ScriptModule.load(nets.file(name, kind))
  const input = toTensor(nets.input(name))
  return { model, input, expected: nets.output(name) }
}

/** The three ways to register, by what they are called in names of tests. */
const kinds = {
  'forward pre-hook': (model: ScriptModule, path: string, hook: () => void) => model.registerForwardPreHook(path, hook),
  'forward hook': (model: ScriptModule, path: string, hook: () => void) => model.registerForwardHook(path, hook),
  'full backward hook': (model: ScriptModule, path: string, hook: () => void) =>
    model.registerFullBackwardHook(path, hook),
}

/** A pass in which a hook of any kind is called. */
async function forwardAndBackward(model: ScriptModule, input: Tensor): Promise<void> {
  using leaf = input.detach()
  leaf.requiresGrad = true
  using output = await model.forward(leaf)
  using sum = output.sum()
  await sum.backward()
}

/** What a promise rejects with, whatever that is: t.throwsAsync requires an Error. */
async function rejection(promise: Promise<unknown>): Promise<{ thrown: unknown }> {
  try {
    await promise
  } catch (thrown) {
    return { thrown }
  }
  throw new Error('it did not reject')
}

for (const [kind, register] of Object.entries(kinds)) {
  for (const thrown of [new RangeError('mine'), 'text', 42, Symbol('s'), null, undefined, { code: 'X' }, 10n]) {
    test.serial(`a ${kind} that throws ${String(thrown)} rejects with that very value`, async (t) => {
      const { model, input, expected } = await load('siblings')
      const before = await heldTensors()
      const handle = register(model, 'second', () => {
        throw thrown
      })
      const result = await rejection(forwardAndBackward(model, input))
      t.is(result.thrown, thrown)
      handle.remove()
      using output = await model.forward(input)
      assertSame(t, output, expected, 'the next pass')
      await t.notThrowsAsync(forwardAndBackward(model, input))
      t.true(liveTensors() - before <= 3, 'only what the hook was given is left')
      model.dispose()
      input.dispose()
    })
  }

  test.serial(`a ${kind} is called for its own instance, with the module's path and class`, async (t) => {
    const { model, input } = await load('siblings')
    const called: unknown[] = []
    for (const path of ['second', 'third.relu'])
      register(model, path, function (this: unknown, ...args: unknown[]) {
        called.push(args[0])
      } as () => void)
    await forwardAndBackward(model, input)
    const calls = [
      { path: 'second', typeName: 'Unit' },
      { path: 'third.relu', typeName: 'ReLU' },
    ]
    t.deepEqual(called, kind === 'full backward hook' ? calls.reverse() : calls)
    model.dispose()
  })

  test.serial(
    `a ${kind} that is asynchronous is refused, and what it rejects with is not lost as unhandled`,
    async (t) => {
      const { model, input } = await load('siblings')
      register(model, 'second', async () => {
        throw new Error('late')
      })
      await t.throwsAsync(forwardAndBackward(model, input), { code: 'ERR_HOOK_RESULT', message: /synchronous/ })
      model.dispose()
    },
  )

  test.serial(`a ${kind} that starts a pass without waiting for it does not deadlock`, async (t) => {
    const { model, input, expected } = await load('siblings')
    const started: Promise<Tensor>[] = []
    const handle = register(model, 'second', () => {
      if (started.length < 3) started.push(model.forward(input))
    })
    await forwardAndBackward(model, input)
    handle.remove()
    t.true(started.length > 0)
    for (const output of await Promise.all(started)) assertSame(t, output, expected, 'a pass that a hook started')
    model.dispose()
  })

  test.serial(`a ${kind} stays as long as it is registered, through garbage collections`, async (t) => {
    const { model, input } = await load('siblings')
    let calls = 0
    register(model, 'second', () => void calls++)
    for (let pass = 1; pass <= 3; pass++) {
      await collectGarbage()
      await forwardAndBackward(model, input)
      t.is(calls, pass)
    }
    model.dispose()
  })

  test.serial(`a removed ${kind} is not called again; remove() and Symbol.dispose may be repeated`, async (t) => {
    const { model, input } = await load('siblings')
    let calls = 0
    const handle = register(model, 'second', () => void calls++)
    {
      using _other = register(model, 'second', () => void calls++)
      await forwardAndBackward(model, input)
      t.is(calls, 2)
    }
    await forwardAndBackward(model, input)
    t.is(calls, 3)
    handle.remove()
    handle.remove()
    handle[Symbol.dispose]()
    await forwardAndBackward(model, input)
    t.is(calls, 3)
    model.dispose()
    t.notThrows(() => handle.remove(), 'the model is gone, and its hooks with it')
  })

  test.serial(`a ${kind} on a disposed model, on no layer, or that is not a function is refused`, async (t) => {
    const { model } = await load('siblings')
    t.throws(() => register(model, 'secund', () => {}), { code: 'ERR_LAYER_NOT_FOUND', message: /'second'/ })
    t.throws(() => register(model, 'second', 'no function' as never), { code: 'ERR_INVALID_ARGUMENT' })
    model.dispose()
    t.throws(() => register(model, 'second', () => {}), { code: 'ERR_DISPOSED' })
  })

  test.serial(`a ${kind} may dispose the model in the middle of the pass, which ends as it began`, async (t) => {
    const { model, input } = await load('siblings')
    let calls = 0
    register(model, 'second', () => {
      calls++
      model.dispose()
    })
    await t.notThrowsAsync(forwardAndBackward(model, input))
    t.is(calls, 1)
    await t.throwsAsync(async () => model.forward(input), { code: 'ERR_DISPOSED' })
  })

  test.serial(`a ${kind} that throws is not confused with a refusal elsewhere at the same time`, async (t) => {
    const { model, input } = await load('siblings')
    const mine = new Error('mine')
    register(model, 'second', () => {
      // The pass has not been told of the exception when this runs, and must not find another's in its place.
      for (const delay of [0, 1, 2]) setTimeout(() => t.throws(() => input.reshape([7]), { code: 'ERR_TORCH' }), delay)
      setImmediate(() => t.throws(() => input.reshape([7]), { code: 'ERR_TORCH' }))
      throw mine
    })
    t.is((await rejection(forwardAndBackward(model, input))).thrown, mine)
    await new Promise((resolve) => setTimeout(resolve, 20))
    model.dispose()
  })
}

test.serial('a module called twice in a pass calls its hooks twice, with what each call was given', async (t) => {
  const { model, input } = await load('called_twice')
  const seen: [Tensor, Tensor][] = []
  model.registerForwardHook('shared', (_, [given], output) => void seen.push([given as Tensor, output as Tensor]))
  await model.forward(input)
  t.is(seen.length, 2)
  using between = (seen[0] as [Tensor, Tensor])[1].relu()
  const [second] = seen[1] as [Tensor, Tensor]
  t.deepEqual(second.toTypedArray(), between.toTypedArray())
  model.dispose()
})

const wrongResults: Record<string, (model: ScriptModule) => void> = {
  'a number as output': (model) => void model.registerForwardHook('second', () => 1),
  'an array of tensors as a tensor output': (model) =>
    void model.registerForwardHook('second', (_, _inputs, output) => [output]),
  'null as output': (model) => void model.registerForwardHook('second', () => null),
  'a string as input': (model) => void model.registerForwardPreHook('second', () => 'x'),
  'too many inputs': (model) => void model.registerForwardPreHook('second', (_, inputs) => [...inputs, ...inputs]),
  'no inputs': (model) => void model.registerForwardPreHook('second', () => []),
  'a number as gradient': (model) => void model.registerFullBackwardHook('second', () => 1 as never),
  'a string among the gradients': (model) => void model.registerFullBackwardHook('second', () => ['x'] as never),
  'too many gradients': (model) => void model.registerFullBackwardHook('second', (_, gradIn) => [...gradIn, null]),
  'no gradients': (model) => void model.registerFullBackwardHook('second', () => []),
}

for (const [what, register] of Object.entries(wrongResults)) {
  test.serial(`a hook that returns ${what} is refused, and the model works afterwards`, async (t) => {
    const { model, input, expected } = await load('siblings')
    register(model)
    await t.throwsAsync(forwardAndBackward(model, input), { code: 'ERR_HOOK_RESULT', message: /undefined/ })
    model.dispose()
    using again = await ScriptModule.load(nets.file('siblings'))
    using output = await again.forward(input)
    assertSame(t, output, expected, 'the next pass')
  })
}

test.serial('a hook that returns a disposed tensor, or one of another shape, is refused with the reason', async (t) => {
  const { model, input } = await load('siblings')
  const disposed = model.registerForwardHook('second', (_, _inputs, output) => {
    disposeValue(output)
    return output
  })
  await t.throwsAsync(model.forward(input), { code: 'ERR_DISPOSED' })
  disposed.remove()
  const shape = model.registerForwardHook('second', (_, _inputs, output) =>
    (output as Tensor).select(0, 0).select(0, 0),
  )
  await t.throwsAsync(model.forward(input), { code: 'ERR_TORCH' })
  shape.remove()
  model.registerFullBackwardHook('second', (_, [gradIn]) => (gradIn as Tensor).select(0, 0))
  await t.throwsAsync(forwardAndBackward(model, input), { code: 'ERR_TORCH' })
  model.dispose()
})

test.serial('gradInputs hold null where no input requires a gradient; returning one there is refused', async (t) => {
  const { model, input } = await load('siblings')
  const seen: (boolean | undefined)[][] = []
  model.registerFullBackwardHook('first', (_, gradIn, gradOut) => {
    seen.push(
      gradIn.map((g) => g === null),
      gradOut.map((g) => g === null),
    )
  })
  using output = await model.forward(input)
  await output.sum().backward()
  t.deepEqual(seen, [[true], [false]])
  model.registerFullBackwardHook('first', () => [Tensor.zeros([1])])
  await t.throwsAsync(async () => (await model.forward(input)).sum().backward(), { code: 'ERR_HOOK_RESULT' })
  model.dispose()
})

test.serial('layers with lists and tuples: hooks see and may replace their tensors one by one', async (t) => {
  const { model, input, expected } = await load('inner_structures')
  let seen: [readonly Value[], Value] | undefined
  const handle = model.registerForwardHook('join', (_, inputs, output) => {
    seen = [inputs, output]
    return output
  })
  using output = await model.forward(input)
  assertSame(t, output, expected, 'handing the output back changes nothing')
  const [[maps, bias], [joined, means]] = seen as unknown as [[Tensor[], Tensor], [Tensor, Tensor]]
  t.deepEqual(
    maps.map(({ shape }) => [...shape]),
    [
      [2, 3, 16, 20],
      [2, 3, 16, 20],
    ],
  )
  t.deepEqual(
    [bias.shape, joined.shape, means.shape].map((shape) => [...shape]),
    [
      [2, 1, 16, 20],
      [2, 6, 16, 20],
      [2, 6],
    ],
  )
  handle.remove()
  model.registerForwardHook('join', (_, _inputs, value) => [(value as Tensor[])[0] as Tensor])
  await t.throwsAsync(model.forward(input), { code: 'ERR_HOOK_RESULT', message: /array of 2/ })
  model.dispose()
})

test.serial('hooks of two models loaded from one file are kept apart', async (t) => {
  const { model, input } = await load('siblings')
  const { model: other } = await load('siblings')
  let calls = 0
  model.registerForwardHook('second', () => void calls++)
  await other.forward(input)
  t.is(calls, 0)
  await Promise.all([model.forward(input), other.forward(input)])
  t.is(calls, 1)
  model.dispose()
  other.dispose()
})
