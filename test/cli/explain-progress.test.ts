import test, { type ExecutionContext } from 'ava'
import { ExplainProgress } from '../../lib/cli/explain-progress.js'

function setUp(t: ExecutionContext, isTTY = true) {
  const written: string[] = []
  const stream = {
    isTTY,
    columns: 120,
    write: (text: string) => written.push(text) > 0,
  } as unknown as NodeJS.WriteStream
  const clock = { seconds: 0 }
  const progress = new ExplainProgress(stream, () => clock.seconds * 1000)
  t.teardown(() => progress[Symbol.dispose]())
  /** The line at a time. */
  const at = (seconds: number): string => {
    clock.seconds = seconds
    progress.show()
    return (written.at(-1) ?? '').replace('\r\u001b[K', '')
  }
  return { written, clock, progress, at }
}

test('nothing is shown of what takes less than a second, nor where there is no terminal', (t) => {
  for (const isTTY of [true, false]) {
    const { written, progress, at } = setUp(t, isTTY)
    progress.start({ images: 1, targets: 1, explainers: 1 })
    progress.begin({ image: 'a.png', methods: ['gradcam'], explainer: 0 })
    at(0.9)
    if (!isTTY) at(5)
    progress.end()
    progress.clear()
    t.deepEqual(written, [])
  }
})

test('one method with many runs: how many are done, and the time that is left by them', (t) => {
  const { progress, at } = setUp(t)
  progress.start({ images: 1, targets: 1, explainers: 1 })
  progress.begin({ image: 'folder/a.png', methods: ['scorecam', 'ablationcam'], explainer: 0 })
  t.is(at(1), 'a.png  scorecam, ablationcam')
  progress.runs(256, 1024)
  t.is(at(10), `${'█'.repeat(6)}${'░'.repeat(18)}  a.png  scorecam, ablationcam  256 of 1,024 runs  30 s left`)
})

test('several methods and images: the time left is of the method, until all methods were seen to take their time', (t) => {
  const { clock, progress, at } = setUp(t)
  progress.start({ images: 3, targets: 2, explainers: 2 })
  const unit = (image: string, explainer: number, seconds: number, middle?: () => void): void => {
    progress.begin({ image, methods: [explainer === 0 ? 'gradcam' : 'rise'], explainer })
    middle?.()
    clock.seconds += seconds
    progress.end()
  }
  unit('a.png', 0, 2)
  progress.begin({ image: 'a.png', methods: ['rise'], explainer: 1 })
  progress.runs(1, 4)
  t.regex(at(4), /a\.png \(1 of 3\) {2}rise {2}1 of 4 runs {2}6 s left of it$/, 'rise was never seen to its end')
  clock.seconds = 10
  progress.end()
  unit('a.png', 0, 2)
  unit('a.png', 1, 8)
  // 2 s and 8 s for each of two targets of two images: 40 s, of which one is gone.
  progress.begin({ image: 'b.png', methods: ['gradcam'], explainer: 0 })
  t.is(at(21), 'b.png (2 of 3)  gradcam  39 s left')
})
