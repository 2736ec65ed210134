// The items of a job. They lie in blocks of text, of which only those are parsed whose items are shown.

/** Parsed blocks in memory at a time. */
const mostBlocks = 8

/**
 * The items of a job.
 *
 * @param job `about`, a text; `block`, the number of items in a block; and `index`, for each item
 *   [id, target, label, score, confidence, failed]: what items are filtered and sorted by
 * @param {(block: number) => string} readBlock the JSON of a block: an array of all that is shown of its items
 */
export function createItems(job, readBlock) {
  const index = job.index.map(([id, target, label, score, confidence, failed], position) => ({
    position,
    id,
    target,
    label,
    score,
    confidence,
    failed,
  }))
  const blocks = new Map()

  /** All that is shown of the item at that position of the index. */
  function details(position) {
    const number = Math.floor(position / job.block)
    let block = blocks.get(number)
    if (!block) {
      block = JSON.parse(readBlock(number))
      if (blocks.size >= mostBlocks) blocks.delete(blocks.keys().next().value)
      blocks.set(number, block)
    }
    return block[position % job.block]
  }

  return { about: job.about, index, details }
}

/**
 * The image of an item, or null.
 *
 * @param item its `thumbnail`, a URL or null, and `input`, the URL of the image file
 * @param {boolean} full whether to try the image file first, which may be missing
 */
export async function loadItemImage(item, full) {
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

const orders = {
  confident: (a, b) => (b.confidence ?? -1) - (a.confidence ?? -1),
  unsure: (a, b) => (a.confidence ?? 2) - (b.confidence ?? 2),
  score: (a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity),
  name: (a, b) => (a.id < b.id ? -1 : 1),
}

/** Null means no bound. */
const within = (score, [from, to]) => (from === null || score >= from) && (to === null || score <= to)

/**
 * The items of an index that a filter leaves, in its order.
 *
 * @param filter `search`, a part of the id; `target`, a class as text, or ''; `state`, 'ok', 'error' or ''; `from` and `to`,
 *   of the confidence, 0 to 1; `scores`, [from, to] of the score, null for no bound; `sort`, 'confident', 'unsure', 'score'
 *   or 'name'
 */
export function selectItems(index, { search, target, state, from, to, scores, sort }) {
  const words = search.trim().toLowerCase()
  const order = orders[sort]
  return index
    .filter(
      (item) =>
        (words === '' || item.id.toLowerCase().includes(words)) &&
        (target === '' || String(item.target) === target) &&
        (state === '' || (state === 'error') === item.failed) &&
        (item.confidence === null ? from <= 0 : item.confidence >= from && item.confidence <= to) &&
        (item.score === null ? scores.every((bound) => bound === null) : within(item.score, scores)),
    )
    .sort((a, b) => order(a, b) || a.position - b.position)
}

/** A class in words. */
export const className = (target, label) => (target === null ? '' : (label ?? `class ${target}`))

/** A share of 1 in percent. */
export const percent = (share) => (share === null ? '' : `${(100 * share).toFixed(1)} %`)
