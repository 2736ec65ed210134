import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cachedFolder } from './cached-folder.js'
import { programsHash, runPython, testPython } from './python.js'
import { readTensor, type StoredTensor, type Values } from './stored-tensor.js'

interface Index {
  readonly nets: Record<string, { files: { scripted: string; traced: string }; input: StoredTensor }>
  readonly effects: Record<string, { net: string; output: StoredTensor; gradient: StoredTensor | null }>
  readonly events: Record<string, string[]>
}

/** What PyTorch's own hooks did to a pass, see test/python/hook_effects.py. */
export class HookEffects {
  constructor(
    private readonly folder: string,
    private readonly index: Index,
  ) {}

  names(): string[] {
    return Object.keys(this.index.effects)
  }

  eventNames(): string[] {
    return Object.keys(this.index.events)
  }

  file(net: string, kind: 'scripted' | 'traced'): string {
    return join(this.folder, this.net(net).files[kind])
  }

  input(net: string): Values {
    return readTensor(this.folder, this.net(net).input)
  }

  /** The net, its output, and the gradient of the output's squares at the input, null where none arrived. */
  effect(name: string): { net: string; output: Values; gradient: Values | null } {
    const found = this.index.effects[name]
    if (!found) throw new Error(`there is no effect ${name}`)
    const { net, output, gradient } = found
    return { net, output: readTensor(this.folder, output), gradient: gradient && readTensor(this.folder, gradient) }
  }

  /** What hooks that come and go wrote down, in order. */
  events(name: string): string[] {
    const found = this.index.events[name]
    if (!found) throw new Error(`there are no events ${name}`)
    return found
  }

  private net(name: string): Index['nets'][string] {
    const net = this.index.nets[name]
    if (!net) throw new Error(`there is no net ${name}`)
    return net
  }
}

export async function hookEffects(): Promise<HookEffects> {
  const python = await testPython()
  const folder = await cachedFolder('hook-effects', [programsHash(), python.identity], async (partial) => {
    await runPython(python, 'hook_effects.py', [partial])
  })
  return new HookEffects(folder, JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Index)
}
