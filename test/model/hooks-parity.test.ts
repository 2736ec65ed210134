import test, { type ExecutionContext } from 'ava'
import { ScriptModule, Tensor, type Value } from '../../lib/index.js'
import { assertSame } from '../support/parity.js'
import { reference, type HookEvent, type ReferenceCase } from '../support/reference.js'
import type { StoredTensor } from '../support/stored-tensor.js'
import { toTensor } from '../support/to-tensor.js'

const hooks: Record<string, ReferenceCase> = { hooks: { method: 'hooks', target: 'sum' } }
const nets = ['plain', 'plain_double', 'siblings', 'called_twice', 'control_flow', 'regression_flat']
const job = { cases: hooks, decided: true } as const
const peer = await reference('hooks', Object.fromEntries([...nets, 'inner_structures'].map((net) => [net, job])))

/** What one call of a hook was given. */
interface Call {
  readonly hook: HookEvent['hook']
  readonly path: string
  readonly inputs: (Tensor | null)[]
  readonly outputs: (Tensor | null)[]
}

/** Hooks of all three kinds on every module that can be hooked, writing into one list. */
function record(model: ScriptModule): Call[] {
  const calls: Call[] = []
  for (const { path, hookable } of model.namedModules()) {
    if (!hookable) continue
    model.registerForwardPreHook(path, (_module, inputs) => {
      calls.push({ hook: 'pre', path, inputs: tensors(inputs), outputs: [] })
    })
    model.registerForwardHook(path, (_module, inputs, output) => {
      calls.push({ hook: 'forward', path, inputs: tensors(inputs), outputs: tensors(output) })
    })
    model.registerFullBackwardHook(path, (_module, gradInputs, gradOutputs) => {
      calls.push({ hook: 'backward', path, inputs: gradInputs, outputs: gradOutputs })
    })
  }
  return calls
}

function tensors(value: Value | readonly Value[]): (Tensor | null)[] {
  if (Array.isArray(value)) return (value as readonly Value[]).flatMap(tensors)
  return [value instanceof Tensor ? value : null]
}

/** That a call is the event of this number in the reference of a net. */
function assertCall(t: ExecutionContext, call: Call, net: string, number: number): void {
  const event = peer.events(net, 'hooks')[number] as HookEvent
  const inputs = (of: HookEvent) => of.inputs ?? of.grad_inputs ?? []
  const outputs = (of: HookEvent) => of.outputs ?? of.grad_outputs ?? []
  const what = `${event.hook} of '${event.path}'`
  const pairs = [
    [`inputs to ${what}`, call.inputs, inputs],
    [`outputs to ${what}`, call.outputs, outputs],
  ] as const
  for (const [name, actual, of] of pairs) {
    const expected = of(event)
    t.deepEqual(
      actual.map((tensor) => tensor !== null),
      expected.map((stored) => stored !== null),
      name,
    )
    for (const [index, stored] of expected.entries()) {
      if (!stored) continue
      const values = peer.ofEvent(net, 'hooks', number, (same) => of(same)[index] as StoredTensor)
      assertSame(t, actual[index] as Tensor, values, `${name}, number ${index}`)
    }
  }
}

for (const net of nets) {
  for (const kind of ['scripted', 'traced'] as const) {
    const file = peer.fileOrNull(net, kind)
    if (file === null) continue

    test.serial(`${net}, ${kind}: hooks are called in PyTorch's order with PyTorch's values`, async (t) => {
      using model = await ScriptModule.load(file)
      using input = toTensor(peer.input(net))
      input.requiresGrad = true
      const calls = record(model)
      const output = await model.forward(input)
      await output.sum().backward()

      const events = peer.events(net, 'hooks')
      const name = ({ hook, path }: { hook: string; path: string }): string => `${hook} ${path}`
      t.deepEqual(calls.map(name), events.map(name))
      for (const [index, call] of calls.entries()) assertCall(t, call, net, index)
      assertSame(t, input.grad as Tensor, peer.tensor(net, 'hooks', 'gradient'), 'gradient at the input')
    })
  }
}

test.serial('a module that takes a list and gives a tuple hands both to its forward hooks', async (t) => {
  using model = await ScriptModule.load(peer.file('inner_structures', 'scripted'))
  using input = toTensor(peer.input('inner_structures'))
  const calls = record(model)
  await model.forward(input)
  const events = peer.events('inner_structures', 'hooks').filter(({ hook }) => hook !== 'backward')
  t.deepEqual(
    calls.map(({ path }) => path),
    events.map(({ path }) => path),
  )
  for (const [index, call] of calls.entries()) assertCall(t, call, 'inner_structures', index)
})
