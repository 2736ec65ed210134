import test from 'ava'
import { ScriptModule, Tensor, type Value } from '../../lib/index.js'
import { hookEffects } from '../support/hook-effects.js'
import { assertSame } from '../support/parity.js'
import { toTensor } from '../support/to-tensor.js'

const peer = await hookEffects()

const only = (values: readonly Value[]): Tensor => values[0] as Tensor
const gradient = (values: readonly (Tensor | null)[]): Tensor => values[0] as Tensor

/** What each function of that name in hook_effects.py does, by this package. */
const effects: Record<string, (model: ScriptModule) => void> = {
  double_input: (model) => void model.registerForwardPreHook('features', (_, inputs) => only(inputs).mul(2)),
  double_input_in_tuple: (model) => void model.registerForwardPreHook('features', (_, inputs) => [only(inputs).mul(2)]),
  pre_hooks_chain: (model) => {
    model.registerForwardPreHook('features', (_, inputs) => only(inputs).add(1))
    model.registerForwardPreHook('features', (_, inputs) => only(inputs).mul(2))
  },
  change_output: (model) =>
    void model.registerForwardHook('second', (_, _inputs, output) => (output as Tensor).mul(0.5).add(1)),
  forward_hooks_chain: (model) => {
    model.registerForwardHook('second', (_, _inputs, output) => (output as Tensor).add(1))
    model.registerForwardHook('second', (_, _inputs, output) => (output as Tensor).mul(2))
  },
  scale_gradient: (model) => void model.registerFullBackwardHook('second', (_, gradIn) => [gradient(gradIn).mul(3)]),
  backward_hooks_chain: (model) => {
    model.registerFullBackwardHook('second', (_, gradIn) => [gradient(gradIn).add(0.5)])
    model.registerFullBackwardHook('second', (_, gradIn) => gradient(gradIn).mul(3))
  },
  clamp_gradient_at_relus: (model) => {
    for (const { path, typeName } of model.namedModules())
      if (typeName === 'ReLU') model.registerFullBackwardHook(path, (_, gradIn) => [gradient(gradIn).clamp(0)])
  },
  drop_gradient: (model) => void model.registerFullBackwardHook('second', () => [null]),
  all_three_kinds: (model) => {
    model.registerForwardPreHook('second', (_, inputs) => only(inputs).mul(2))
    model.registerForwardHook('second', (_, _inputs, output) => (output as Tensor).mul(output as Tensor))
    model.registerFullBackwardHook('second', (_, gradIn, gradOut) => [gradient(gradIn).add(gradient(gradOut))])
  },
  by_call: (model) => {
    let calls = 0
    model.registerForwardHook('shared', (_, _inputs, output) =>
      ++calls === 1 ? (output as Tensor).mul(2) : (output as Tensor).add(1),
    )
  },
  swap_list: (model) =>
    void model.registerForwardPreHook('join', (_, [maps, bias]) => [
      [...(maps as Value[])].reverse(),
      (bias as Tensor).mul(2),
    ]),
  change_tuple: (model) =>
    void model.registerForwardHook('join', (_, _inputs, output) => {
      const [joined, means] = output as [Tensor, Tensor]
      return [joined.mul(2), means.sub(1)]
    }),
}

test('every effect that Python has is tried here', (t) => {
  t.deepEqual(Object.keys(effects).sort(), peer.names().sort())
})

for (const [name, register] of Object.entries(effects)) {
  for (const kind of ['scripted', 'traced'] as const) {
    const { net, output: expected, gradient: expectedGradient } = peer.effect(name)
    // Tracing flattens what one layer hands to another: a traced `join` takes three tensors, and there is no list to swap.
    if (name === 'swap_list' && kind === 'traced') continue

    test.serial(`${name} on ${net}, ${kind}: the pass and its gradients are PyTorch's`, async (t) => {
      using model = await ScriptModule.load(peer.file(net, kind))
      using input = toTensor(peer.input(net))
      using plain = await model.forward(input)
      input.requiresGrad = true
      register(model)
      const output = await model.forward(input)
      await output.mul(output).sum().backward()
      assertSame(t, output, expected, 'output')
      if (expectedGradient) assertSame(t, input.grad as Tensor, expectedGradient, 'gradient')
      else t.is(input.grad, null)
      const changesForward = !/gradient|backward/.test(name)
      t.is(Math.abs(output.sub(plain).abs().sum().item()) > 0, changesForward, 'the effect can be seen')
    })
  }
}

/** A hook of any kind that only writes down that it was called. */
const note = (events: string[], text: string) => () => void events.push(text)

const backwardOf = async (model: ScriptModule, input: Tensor): Promise<void> => {
  input.requiresGrad = true
  await (await model.forward(input)).sum().backward()
}

const nextPass = async (model: ScriptModule, input: Tensor, events: string[]): Promise<void> => {
  events.push('next pass')
  await model.forward(input)
}

const scenarios: Record<string, (model: ScriptModule, input: Tensor, events: string[]) => Promise<void>> = {
  pre_adds_forward_on_same: async (model, input, events) => {
    model.registerForwardPreHook('second', () => {
      events.push('pre')
      model.registerForwardHook('second', note(events, 'forward'))
    })
    await model.forward(input)
    await nextPass(model, input, events)
  },
  pre_adds_hook_on_later: async (model, input, events) => {
    const handle = model.registerForwardPreHook('first', () => {
      events.push('pre of first')
      model.registerForwardHook('third', note(events, 'forward of third'))
    })
    await model.forward(input)
    handle.remove()
    await nextPass(model, input, events)
  },
  forward_adds_forward_on_same: async (model, input, events) => {
    model.registerForwardHook('second', () => {
      events.push('one')
      if (!events.includes('two')) model.registerForwardHook('second', note(events, 'two'))
    })
    await model.forward(input)
    await nextPass(model, input, events)
  },
  forward_removes_itself: async (model, input, events) => {
    const handle = model.registerForwardHook('second', () => {
      events.push('once')
      handle.remove()
    })
    await model.forward(input)
    await model.forward(input)
  },
  first_removes_second: async (model, input, events) => {
    model.registerForwardHook('second', () => {
      events.push('first')
      handle.remove()
    })
    const handle = model.registerForwardHook('second', note(events, 'second'))
    await model.forward(input)
    await nextPass(model, input, events)
  },
  pre_removes_forward: async (model, input, events) => {
    model.registerForwardPreHook('second', () => {
      events.push('pre')
      handle.remove()
    })
    const handle = model.registerForwardHook('second', note(events, 'forward'))
    await model.forward(input)
  },
  remove_backward_before_backward: async (model, input, events) => {
    const handle = model.registerFullBackwardHook('second', note(events, 'backward'))
    input.requiresGrad = true
    const output = await model.forward(input)
    handle.remove()
    await output.sum().backward()
    events.push('next pass')
    await backwardOf(model, input)
  },
  add_backward_after_forward: async (model, input, events) => {
    input.requiresGrad = true
    const output = await model.forward(input)
    model.registerFullBackwardHook('second', note(events, 'backward'))
    await output.sum().backward()
    events.push('next pass')
    await backwardOf(model, input)
  },
}

test('every scenario that Python has is tried here', (t) => {
  t.deepEqual(Object.keys(scenarios).sort(), peer.eventNames().sort())
})

for (const [name, play] of Object.entries(scenarios)) {
  for (const kind of ['scripted', 'traced'] as const) {
    test.serial(`${name}, ${kind}: hooks that come and go in a pass are called when PyTorch calls them`, async (t) => {
      using model = await ScriptModule.load(peer.file('siblings', kind))
      using input = toTensor(peer.input('siblings'))
      const events: string[] = []
      await play(model, input, events)
      t.deepEqual(events, peer.events(name))
    })
  }
}
