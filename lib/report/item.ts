import type { MapLevels } from '../batch/levels.js'
import { hasPeak } from '../explain/condition.js'
import type { JobLine, JobResultLine } from '../jobs/job-line.js'
import type { Thumbnail } from './thumbnail.js'

/** What a page filters and sorts by: id, target, label, score, confidence, failed. See assets/report/items.js. */
export type IndexRow = readonly [string, number | null, string | null, number | null, number | null, boolean]

/** Everything that a page shows of one input. */
export interface Item {
  readonly error?: { readonly code: string | null; readonly message: string }
  readonly size?: readonly number[]
  readonly region?: JobResultLine['region']
  readonly map?: MapLevels
  readonly top?: JobResultLine['top']
  /** A data: URL; null where the image does not exist any more or cannot be read. */
  readonly thumbnail: string | null
  /** The image itself, relative to the page; null where it is not a file. */
  readonly input: string | null
  /** Where the map is highest, in words. */
  readonly where?: string
  readonly facts: Readonly<Record<string, string>>
}

export function toIndexRow(line: JobLine): IndexRow {
  if ('error' in line) return [line.id, null, null, null, null, true]
  return [line.id, line.target < 0 ? null : line.target, line.label, line.score, confidence(line), false]
}

/** The probability of the explained class, where it is among the highest. */
function confidence({ target, top }: JobResultLine): number | null {
  return top.find((one) => one.class === target)?.probability ?? null
}

/** @param small null for an input that failed */
export function toItem(line: JobLine, small: Thumbnail | null, input: string | null): Item {
  const digest = line.sha256 === null ? {} : { 'SHA-256': line.sha256 }
  const warned = line.warnings && { Warnings: line.warnings.join(' ') }
  const thumbnail = small && 'url' in small ? small.url : null
  if ('error' in line)
    return { error: line.error, thumbnail, input, facts: { Input: line.input, ...warned, ...digest } }
  const { size, region, map, top } = line
  const facts = {
    ...(line.target >= 0 && {
      Explained: line.label === null ? `class ${line.target}` : `${line.label} (class ${line.target})`,
    }),
    ...(line.of && { Output: `its part ${line.of.join('.')}` }),
    ...((line.target >= 0 || line.score !== null) && { Score: shortly(line.score) }),
    ...(line.condition && line.condition.state !== 'ok' && { Map: line.condition.reason ?? line.condition.state }),
    ...(line.notes && { Model: line.notes.map(({ message }) => message).join(' ') }),
    Method: line.layer === null ? line.method : `${line.method} at ${line.layer}`,
    Input: `${line.input}, ${size[1]} x ${size[0]}`,
    ...(small && 'missing' in small && { Image: small.missing === 'gone' ? 'missing' : small.reason }),
    Files: Object.values(line.files).join(', ') || 'none',
    ...warned,
    ...digest,
  }
  return { size, region, map, top, thumbnail, input, where: peak(line), facts }
}

/** A float32 has no more digits than these. NaN is null in JSON. */
function shortly(score: number | null): string {
  return score === null ? 'not a number' : String(Number(score.toPrecision(7)))
}

const allZero = 'the map is zero everywhere'

function peak({ map, region, size, condition }: JobResultLine): string {
  if (condition && !hasPeak(condition)) return condition.state === 'zero' ? allZero : 'no position of it stands out'
  const levels = Buffer.from(map.levels, 'base64')
  const highest = levels.reduce((best, level, at) => (level > (levels[best] as number) ? at : best), 0)
  if ((levels[highest] ?? 0) === 0) return allZero
  const [height = 1, width = 1] = size
  const column = (highest % map.width) + 0.5
  const row = Math.floor(highest / map.width) + 0.5
  const x = Math.round((100 * (region.left + (column / map.width) * (region.right - region.left))) / width)
  const y = Math.round((100 * (region.top + (row / map.height) * (region.bottom - region.top))) / height)
  return `it is highest at ${x} % from the left and ${y} % from the top`
}
