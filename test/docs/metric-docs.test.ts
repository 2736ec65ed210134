import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { attentionMethods, methods, metrics } from '../../lib/index.js'
import { packageRoot } from '../../lib/base/paths.js'

const page = readFileSync(join(packageRoot, 'docs', 'metrics.md'), 'utf8')
const advice = 'run node scripts/evaluate/evaluate-methods.mjs --write-docs'

test('docs/metrics.md has every metric with its meaning, and a row for every method that is evaluated', (t) => {
  for (const { title, meaning } of Object.values(metrics)) {
    t.true(page.includes(`| ${title}`), `${title}: ${advice}`)
    t.true(page.includes(`| ${meaning}`), `${title}: ${advice}`)
  }
  // The gradient's own map is saliency's, feature ablation needs features that somebody chose, and the model has no attention.
  const leftOut: readonly string[] = ['gradient', 'feature-ablation', ...attentionMethods]
  // Named there by the program where they were never measured.
  const [, unmeasured = ''] = /\nNo figures yet: (.*)\.\n/.exec(page) ?? []
  for (const [name, { title }] of Object.entries(methods))
    if (!leftOut.includes(name) && !unmeasured.split(', ').includes(title))
      t.true(page.includes(`\n| ${title} `), `${title}: ${advice} --only ${name}`)
  for (const title of unmeasured.split(', ').filter((one) => one !== ''))
    t.false(page.includes(`\n| ${title} `), `${title} has figures`)
})
