/**
 * The arguments of the runs of AVA that these files of tests need. How late a timer is, is measured alone, after all others: beside
 * another file, which may use all cores, it measures that one.
 *
 * @param {readonly string[]} files
 * @returns {string[][]}
 */
export function avaRuns(files) {
  const isTimed = (/** @type {string} */ file) => file.endsWith('/event-loop.test.js')
  const timed = files.filter(isTimed)
  const others = files.filter((file) => !isTimed(file))
  return [others, timed.length > 0 ? ['--concurrency=1', ...timed] : []].filter((args) => args.length > 0)
}
