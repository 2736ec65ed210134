// Takes an addon that needs no compiler and prints where it lies, or why there is none, as one line of JSON: see lib/addon/taken.ts.
import type { Taken } from '../addon/taken.js'
import { takeFitting } from './take.js'

const { folder, why, instead } = await takeFitting()
process.stdout.write(`${JSON.stringify({ folder, why, instead } satisfies Taken)}\n`)
