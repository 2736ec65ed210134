// A kind of cases for `npm run fuzz` whose seeds do what must be found: see ../scripts/fuzz.test.ts.
import { writeFileSync } from 'node:fs'
import { GradCamError, Tensor } from '../../lib/index.js'

const cases: Readonly<Record<string, () => unknown>> = {
  fine: () => [],
  refused: () => {
    throw new GradCamError('ERR_SHAPE', 'no')
  },
  untyped: () => {
    throw new TypeError('oh')
  },
  trap: () => {
    throw new RangeError('my own')
  },
  crash: () => process.kill(process.pid, 'SIGSEGV'),
  exit: () => process.exit(7),
  hang: () => {
    for (;;);
  },
  memory: async () => {
    const held: Buffer[] = []
    for (;;) {
      held.push(Buffer.alloc(2 ** 24, 1))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  },
  rejection: () => {
    void Promise.reject(new Error('late'))
    return []
  },
  leak: () => {
    Tensor.ones([1])
    return []
  },
  said: () => ['what the case found'],
}

export async function prepare(folder: string) {
  return {
    run: async (id: string, begin: (what: string) => void) => {
      begin(`the case ${id}`)
      writeFileSync(`${folder}/last`, id)
      return await cases[id]?.()
    },
    errors: GradCamError,
    allowed: (error: unknown) => error instanceof RangeError,
  }
}
