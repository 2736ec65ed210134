import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { packageRoot } from '../../lib/base/paths.js'

const script = pathToFileURL(join(packageRoot, 'scripts', 'docs', 'draw-architecture.mjs')).href
const { file, svg } = (await import(script)) as { file: string; svg: string }

test('the drawing of the architecture has the folders as they are', (t) => {
  t.is(readFileSync(file, 'utf8'), svg, 'run node scripts/docs/draw-architecture.mjs')
})

test('the page about the architecture has a row for each folder', (t) => {
  const page = readFileSync(join(packageRoot, 'docs', 'architecture.md'), 'utf8')
  const rooms = Array.from(svg.matchAll(/font-size="14">([a-z-]+)</g), ([, room = '']) => room)
  const outside = ['examples', 'passes', 'models', 'operators', 'environment']
  for (const room of rooms.filter((name) => !outside.includes(name))) t.true(page.includes(`\`${room}\``), room)
})
