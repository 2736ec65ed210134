import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Reshape } from '../../lib/index.js'
import { cachedFolder } from './cached-folder.js'
import { orMissing } from './needs.js'
import { pythonWithPeers } from './peers.js'
import { programsHash, runPython, type TestPython } from './python.js'
import { Reference } from './reference.js'

/** One model of test/python/models.py and what to ask the peers about it. */
export interface PeerModel {
  readonly seed: number
  /** Of each image one of its own where the usual ones leave gates undecided, see test/python/find_decided.py. */
  readonly input_seed: number | readonly number[]
  readonly size?: readonly number[]
  /** A class for each image. */
  readonly classes: readonly number[]
  readonly layer_sets: readonly (readonly string[])[]
  readonly reshape?: Reshape & string
}

/** The layers are such that no in-place ReLU overwrites what they return: there the peers are wrong, see peer-defects.test. */
export const peerModels: Readonly<Record<string, PeerModel>> = {
  plain_double: {
    seed: 0,
    input_seed: 1,
    size: [3, 3, 16, 20],
    classes: [0, 1, 2],
    layer_sets: [['features'], ['features.3', 'features.6']],
  },
  vit: {
    seed: 0,
    input_seed: 1,
    classes: [0, 1, 2],
    layer_sets: [['blocks.1.norm1'], ['blocks.0.norm1', 'blocks.1.norm1']],
    reshape: 'vit',
  },
  channels_last: { seed: 0, input_seed: 1, classes: [0, 1, 2], layer_sets: [['stage']], reshape: 'swin' },
  resnet18: {
    seed: 0,
    input_seed: [5, 24, 53],
    size: [3, 3, 64, 80],
    classes: [4, 7, 2],
    layer_sets: [['layer4'], ['layer3', 'layer4']],
  },
  vgg11: {
    seed: 0,
    input_seed: [50, 66, 154],
    size: [3, 3, 32, 48],
    classes: [4, 7, 2],
    layer_sets: [['features.19'], ['features.14', 'features.19']],
  },
  densenet121: {
    seed: 2,
    input_seed: 1,
    size: [3, 3, 64, 80],
    classes: [283, 243, 7],
    layer_sets: [['features.denseblock4'], ['features.denseblock3', 'features.denseblock4']],
  },
}

/** A Python with the peers; null where pip does not give them. In CI that is an error. */
export function peersOrNull(): Promise<TestPython | null> {
  return orMissing('peers', pythonWithPeers)
}

/** What a program of test/python that imports the peers makes of a job; cached like {@link Reference}s. */
export async function peerReference(program: string, job: object): Promise<Reference | null> {
  const python = await peersOrNull()
  if (!python) return null
  const text = JSON.stringify(job)
  const key = [text, programsHash(program), python.identity]
  const folder = await cachedFolder(program.replace('.py', '').replaceAll('_', '-'), key, async (partial) => {
    mkdirSync(partial)
    const file = join(partial, 'job.json')
    writeFileSync(file, text)
    await runPython(python, program, [file, partial])
  })
  return new Reference(folder, JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')))
}
