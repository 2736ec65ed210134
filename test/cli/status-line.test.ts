import test from 'ava'
import { duration, progressBar } from '../../lib/cli/progress-bar.js'
import { statusLine } from '../../lib/cli/status-line.js'

/** A stream that keeps what is written to it. */
function screen(isTTY: boolean, columns = 40): { stream: NodeJS.WriteStream; written: string[] } {
  const written: string[] = []
  const stream = { isTTY, columns, write: (text: string) => written.push(text) > 0 }
  return { stream: stream as unknown as NodeJS.WriteStream, written }
}

test('a status line replaces itself on a terminal, and is not shown elsewhere', (t) => {
  const { stream, written } = screen(true, 10)
  const line = statusLine(stream)
  line.clear()
  line.show('one')
  line.show('a text that is wider than the terminal')
  line.clear()
  line.clear()
  t.deepEqual(written, ['\r\u001b[Kone', '\r\u001b[Ka text th', '\r\u001b[K'])
  const pipe = screen(false)
  statusLine(pipe.stream).show('one')
  t.deepEqual(pipe.written, [])
})

test('the bar shows what is done, and the time that is left when the total is known', (t) => {
  const { stream, written } = screen(true, 100)
  let now = 1000
  const bar = progressBar(stream, 10, () => now)
  bar.update(12, ['1.0/s'])
  t.is(written.at(-1), '\r\u001b[K12 done  1.0/s')
  bar.setTotal(48)
  now += 99
  bar.update(13, ['1.0/s'])
  t.is(written.length, 1, 'it is not drawn more often than ten times a second')
  now = 8000
  bar.update(24, ['2.0/s', '2 failed'])
  // 14 took 7 s, so the other 24 take 12 s.
  t.is(written.at(-1), `\r\u001b[K${'█'.repeat(12)}${'░'.repeat(12)} 24 of 48  12 s left  2.0/s  2 failed`)
  bar.stop()
  t.is(written.at(-1), '\r\u001b[K')
})

test('on a narrow terminal the bar is shorter, and what matters least is left out', (t) => {
  for (const [columns, done, notes, shown] of [
    [40, 600, ['138.9/s', '1 worker'], `${'█'.repeat(3)}${'░'.repeat(3)} 600 of 1,200  5 s left  1 worker`],
    [40, 600, ['138.9/s', '1 worker', '2 failed'], `${'█'.repeat(3)}${'░'.repeat(3)} 600 of 1,200  5 s left  2 failed`],
    [24, 600, ['138.9/s', '1 worker', '2 failed'], '600 of 1,200  5 s left'],
    [
      60,
      600,
      ['138.9/s', '1 worker', '2 failed'],
      `${'█'.repeat(4)}${'░'.repeat(3)} 600 of 1,200  5 s left  138.9/s  1 worker  2 failed`,
    ],
  ] as const) {
    const { stream, written } = screen(true, columns)
    let now = 0
    const bar = progressBar(stream, 0, () => now)
    bar.setTotal(1200)
    now = 5000
    bar.update(done, notes)
    t.is(written.at(-1), `\r\u001b[K${shown}`, `${columns} columns`)
    t.true(shown.length < columns)
  }
})

test('times in their two largest units', (t) => {
  for (const [seconds, text] of [
    [0, '0 s'],
    [59.2, '1 min 0 s'],
    [61, '1 min 1 s'],
    [119.5, '2 min 0 s'],
    [3600, '1 h 0 min'],
    [7325, '2 h 2 min'],
  ] as const)
    t.is(duration(seconds), text)
})
