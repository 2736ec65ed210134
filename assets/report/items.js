'use strict'
// The items of the job: they lie in blocks of text, of which only those are read whose items are looked at.
;(() => {
  const job = JSON.parse(document.getElementById('job').textContent)
  /** [id, target, label, score, confidence, error] of each item: what it is filtered and sorted by. */
  const index = job.index.map(([id, target, label, score, confidence, failed], place) => ({
    place,
    id,
    target,
    label,
    score,
    confidence,
    failed,
  }))
  const blocks = new Map()
  /** Blocks in memory at a time. */
  const most = 8

  function details(place) {
    const number = Math.floor(place / job.block)
    let block = blocks.get(number)
    if (!block) {
      block = JSON.parse(document.getElementById(`items-${number}`).textContent)
      if (blocks.size >= most) blocks.delete(blocks.keys().next().value)
      blocks.set(number, block)
    }
    return block[place % job.block]
  }

  /** The image of an item, or null. `full` tries the file that the item was made of, which may have gone. */
  async function image(item, full) {
    for (const source of full ? [item.input, item.thumbnail] : [item.thumbnail]) {
      if (!source) continue
      const loading = new Image()
      loading.src = source
      const loaded = await loading.decode().then(
        () => true,
        () => false,
      )
      if (loaded) return loading
    }
    return null
  }

  const compare = {
    confident: (a, b) => (b.confidence ?? -1) - (a.confidence ?? -1),
    unsure: (a, b) => (a.confidence ?? 2) - (b.confidence ?? 2),
    score: (a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity),
    name: (a, b) => (a.id < b.id ? -1 : 1),
  }

  /** Null is no bound. */
  const within = (score, [from, to]) => (from === null || score >= from) && (to === null || score <= to)

  /** The items that a filter leaves, in their order. */
  function select({ search, target, state, from, to, scores, sort }) {
    const words = search.trim().toLowerCase()
    const order = compare[sort]
    return index
      .filter(
        (item) =>
          (words === '' || item.id.toLowerCase().includes(words)) &&
          (target === '' || String(item.target) === target) &&
          (state === '' || (state === 'error') === item.failed) &&
          (item.confidence === null ? from <= 0 : item.confidence >= from && item.confidence <= to) &&
          (item.score === null ? scores.every((bound) => bound === null) : within(item.score, scores)),
      )
      .sort((a, b) => order(a, b) || a.place - b.place)
  }

  const className = (target, label) => (target === null ? '' : (label ?? `class ${target}`))
  const percent = (share) => (share === null ? '' : `${(100 * share).toFixed(1)} %`)

  Object.assign(globalThis.gradcam, { job, index, details, image, select, className, percent })
})()
