import test, { type ExecutionContext } from 'ava'
import { BuildShare } from '../../lib/cli/build-share.js'
import { buildProgress } from '../../lib/cli/progress.js'

/** What a builder prints, and when, in seconds. */
type Output = readonly (readonly [number, string])[]

/** Headers in 10 s, and then 8 batches, two at once, so that one ends every 6 s: 61 s in all. */
const batch = (i: number): string => `Building CXX object CMakeFiles/gradcam_core.dir/Unity/unity_${i}_cxx.cxx.o`
const headers = 'Building CXX object CMakeFiles/gradcam_core.dir/cmake_pch.hxx.gch'
const ends = (i: number): number => 19 + 6 * i
const eight = Array.from({ length: 8 }, (_, i) => i)
const ninja: Output = [[10, `[1/10] ${headers}`], ...eight.map((i) => [ends(i), `[${i + 2}/10] ${batch(i)}`] as const)]
/** make says what begins. */
const make: Output = [
  [0, `[  9%] ${headers}`],
  ...eight.map((i) => [i < 2 ? 10 : ends(i - 2), `[ ${10 * (i + 1)}%] ${batch(i)}`] as const),
]
/** Without headers of their own: one ends every 8 s, the first after 12 s; 68 s in all. */
const nodeGyp: Output = eight.map((i) => [
  i < 2 ? 0 : 12 + 8 * (i - 2),
  `  CXX(target) Release/obj.target/gradcam/batches/core-${i}.o`,
])

/** What was said of the time that is left at each step, beside the time that was left. */
function estimates(output: Output, end: number): { said: number | null; left: number; done: number; total: number }[] {
  let now = 0
  const share = new BuildShare(() => now)
  share.plan(8, 2)
  return output.map(([at, line]) => {
    now = at
    share.read(line)
    const { done, total } = share.steps ?? { done: -1, total: 0 }
    return { said: share.left, left: end - at, done, total }
  })
}

for (const [name, output, end, total] of [
  ['Ninja', ninja, 61, 10],
  ['make', make, 61, 9],
  ['node-gyp', nodeGyp, 68, 8],
] as const)
  test(`${name}: the share grows, and the time left is right within a third once two batches are compiled`, (t) => {
    const found = estimates(output, end)
    t.true(found.every((one, i) => one.total === total && one.done >= (found[i - 1]?.done ?? 0) && one.done <= total))
    const known = found.filter(({ done }) => done >= 3)
    t.true(known.length >= 3)
    // A third: a builder's lines do not say how far the batches are that are under way.
    for (const { said, left } of known)
      t.true(said !== null && Math.abs(said - left) <= left / 3 + 6, `${said} for ${left}`)
  })

test('the time left falls between two steps, and is guessed from the headers before the first batch has ended', (t) => {
  let now = 0
  const share = new BuildShare(() => now)
  share.plan(8, 2)
  t.is(share.steps, null)
  t.is(share.left, null)
  t.is(share.read('ninja: Entering directory'), null)
  now = 10
  t.is(share.read(ninja[0]?.[1] ?? ''), "LibTorch's headers")
  const first = share.left ?? 0
  // 8 batches, and the link, at 1.3 times the headers, two at once: 58.5 s; they take 51 s.
  t.true(Math.abs(first - 58.5) < 1e-9, String(first))
  now = 15
  t.is(share.left, first - 5)
  now = 1000
  t.is(share.left, 1)
})

/** Plays the output to a stream, and returns what was written. */
function play(t: ExecutionContext, isTTY: boolean, verbose = false): string[] {
  const written: string[] = []
  const stream = {
    isTTY,
    columns: 100,
    write: (text: string) => written.push(text) > 0,
  } as unknown as NodeJS.WriteStream
  let now = 0
  const progress = buildProgress(stream, verbose, () => now * 1000)
  t.teardown(progress.end)
  progress.say('Building the addon.')
  progress.onCompile(8, 2)
  for (const [at, line] of ninja) {
    now = at
    // In pieces, as a pipe may give them.
    progress.onOutput(line.slice(0, 20))
    progress.onOutput(`${line.slice(20)}\n`)
  }
  progress.end()
  return written
}

test('on a terminal one line is written again and again, and removed at the end', (t) => {
  const written = play(t, true)
  t.is(written[0], 'Building the addon.\n')
  t.is(written[1], `\r\u001b[K${'█'.repeat(2)}${'░'.repeat(22)} 1 of 10  59 s left  LibTorch's headers`)
  t.regex(written.at(-2)?.slice(4) ?? '', /^█+░+ 9 of 10 {2}\d+ s left {2}unity_7_cxx\.cc$/)
  t.is(written.at(-1), '\r\u001b[K')
  t.true(written.slice(1).every((text) => !text.includes('\n')))
})

test('in a pipe there is a line now and then; verbose passes on what the builder prints', (t) => {
  t.deepEqual(play(t, false), [
    'Building the addon.\n',
    '  10 % compiled (1 of 10), about 59 s left\n',
    '  30 % compiled (3 of 10), about 42 s left\n',
    '  60 % compiled (6 of 10), about 24 s left\n',
    '  90 % compiled (9 of 10), about 6 s left\n',
  ])
  t.is(play(t, false, true).slice(1).join(''), ninja.map(([, line]) => `${line}\n`).join(''))
})
