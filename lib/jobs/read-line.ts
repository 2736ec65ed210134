import { isRecord } from '../base/check.js'
import { isBelow } from './file-names.js'
import type { JobErrorLine, JobLine, JobResultLine } from './job-line.js'

type Check = (value: unknown) => boolean

const isString: Check = (value) => typeof value === 'string'
const isNumber: Check = (value) => typeof value === 'number'
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0
/** A class, or -1 for what is not one. */
const isTarget: Check = (value) => value === -1 || isCount(value)
const isSha256: Check = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value)
/** For what version 0.1.0 did not write. */
const ifGiven =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value)
const listOf =
  (check: Check, length?: number): Check =>
  (value) =>
    Array.isArray(value) && (length === undefined || value.length === length) && value.every(check)
const mapOf =
  (check: Check): Check =>
  (value) =>
    isRecord(value) && Object.values(value).every(check)
/** An object with these keys, and any others: a later version may write more. */
const shaped =
  (shape: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isRecord(value) && Object.entries(shape).every(([key, check]) => check(value[key]))

const isMap: Check = (value) => {
  if (!shaped({ height: isCount, width: isCount, levels: isString })(value)) return false
  const { height, width, levels } = value as JobResultLine['map']
  return Buffer.from(levels, 'base64').length === height * width
}

const inputShape = {
  id: isString,
  input: isString,
  sha256: orNull(isSha256),
  warnings: ifGiven(listOf(isString)),
  versions: ifGiven(shaped({ package: isString, libtorch: orNull(isString) })),
}

const errorShape: Readonly<Record<keyof JobErrorLine, Check>> = {
  ...inputShape,
  error: shaped({ code: orNull(isString), message: isString }),
}

/** JSON has no NaN and no infinities: they are null. */
const isScore = orNull(isNumber)

const resultShape: Readonly<Record<keyof JobResultLine, Check>> = {
  ...inputShape,
  target: isTarget,
  label: orNull(isString),
  score: isScore,
  of: ifGiven(listOf((step) => typeof step === 'string' || isCount(step))),
  top: listOf(shaped({ class: isCount, label: orNull(isString), score: isScore, probability: isScore })),
  method: isString,
  layer: orNull(isString),
  calls: ifGiven(isCount),
  precision: ifGiven(isString),
  size: listOf(isCount, 2),
  region: shaped({ left: isNumber, top: isNumber, right: isNumber, bottom: isNumber }),
  map: isMap,
  files: mapOf((file) => typeof file === 'string' && isBelow(file)),
  digests: ifGiven(mapOf(shaped({ bytes: isCount, sha256: isSha256 }))),
  inputFile: ifGiven(shaped({ bytes: isCount, modified: isNumber })),
  condition: ifGiven(shaped({ state: isString, reason: orNull(isString) })),
  notes: ifGiven(
    listOf(shaped({ code: isString, layer: orNull(isString), operator: orNull(isString), message: isString })),
  ),
  milliseconds: isNumber,
}

const isErrorLine = shaped(errorShape)
const isResultLine = shaped(resultShape)

/**
 * A line of a manifest; null where it is not one: cut off when its writer died, or changed by something else. Everything
 * that is later read of a line is checked here, so that no reader meets a value of another type, and no file outside the
 * folder of the results is named.
 */
export function readLine(text: string): JobLine | null {
  let line: unknown
  try {
    line = JSON.parse(text)
  } catch {
    return null
  }
  if (!isRecord(line)) return null
  return (line['error'] === undefined ? isResultLine(line) : isErrorLine(line)) ? (line as unknown as JobLine) : null
}
