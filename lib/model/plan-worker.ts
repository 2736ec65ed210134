// Translates one exported program in a thread of its own: see plan-thread.ts.
import { parentPort, workerData } from 'node:worker_threads'
import { GradCamError } from '../base/errors.js'
import { openPlanHere, type PlanAnswer, type PlanRequest } from './plan-thread.js'

function answer(): PlanAnswer {
  try {
    const opened = openPlanHere(workerData as PlanRequest)
    if (!opened) throw new TypeError('the file is not the program that it was')
    return { opened }
  } catch (error) {
    if (!(error instanceof GradCamError)) throw error
    return { error: { ...error.toJSON(), problem: error.problem } }
  }
}

parentPort?.postMessage(answer())
