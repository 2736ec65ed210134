import test from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { architectureFile, architecturesFolder } from '../../lib/architectures/architecture.js'

interface Entry {
  readonly name: string
  readonly size: readonly number[] | null
  readonly weights: readonly { readonly file: string; readonly preprocess: { readonly crop?: readonly number[] } }[]
}

interface Range {
  readonly min: number
  readonly max: number
  readonly multiple: number
}

const entries = JSON.parse(readFileSync(join(architecturesFolder, 'index.json'), 'utf8')) as readonly Entry[]

// Where a size gave one position inside of a model, the export took that for a constant, and refused the size.
test('every architecture takes images of the sizes that its published weights were made for', (t) => {
  t.true(entries.length > 150)
  for (const { name, size, weights } of entries) {
    const text = brotliDecompressSync(readFileSync(architectureFile(name))).toString()
    const { inputs } = JSON.parse(text) as { readonly inputs: readonly { readonly sizes: readonly Range[] }[] }
    const [, , ...ranges] = inputs[0]?.sizes ?? []
    t.is(ranges.length, 2, name)
    for (const crop of [
      ...(size ? [size] : []),
      ...weights.flatMap(({ preprocess }) => (preprocess.crop ? [preprocess.crop] : [])),
    ])
      for (const [at, { min, max, multiple }] of ranges.entries()) {
        const length = crop[at] as number
        t.true(length >= min && length <= max && length % multiple === 0, `${name}: ${length} of ${min} to ${max}`)
      }
  }
})
