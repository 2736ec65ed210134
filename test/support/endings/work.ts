// What the child programs of endings.test.ts have in common.
import { writeSync } from 'node:fs'
import { manualSeed, ScriptModule, Tensor } from '../../../lib/index.js'

manualSeed(0)

/** Tells the test that a program came this far: at once, because what follows may end the process. */
export function say(text: string): void {
  writeSync(1, `${text}\n`)
}

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })

/** The net `siblings` with an input on which a pass takes some 100 ms, so that an ending can come in the middle. */
export async function load(file: string): Promise<{ model: ScriptModule; input: Tensor }> {
  return { model: await ScriptModule.load(file), input: Tensor.randn([16, 3, 128, 128]) }
}

/** Stays on the JavaScript thread for longer than any program may last. */
export function stayHere(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000)
}
