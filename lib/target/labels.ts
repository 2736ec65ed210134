import { readFile } from 'node:fs/promises'
import { GradCamError } from '../base/errors.js'
import { usageError } from '../cli/arguments.js'
import { nearestName } from '../base/nearest.js'

/**
 * Reads the names of the classes, from 0 on: one a line, or JSON: an array of strings, or an object with the name of each
 * number, as models are published with ({"0": "tench"}, {"0": ["n01440764", "tench"]}, or either in "id2label").
 */
export async function readLabels(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === 'ENOENT'
    throw new GradCamError(
      missing ? 'ERR_FILE_NOT_FOUND' : 'ERR_FILE_UNREADABLE',
      `The labels '${file}' ${missing ? 'do not exist' : `cannot be read (${cause.code ?? cause.message})`}. Check --labels.`,
      { cause },
    )
  })
  const labels = /^\s*[[{]/.test(text) ? fromJson(text.trim()) : text.trimEnd().split(/\r?\n/)
  if (labels?.some((label) => label !== '')) return labels.map((label) => label.trim())
  throw new GradCamError(
    'ERR_INVALID_ARGUMENT',
    `'${file}' holds no labels. Write one name a line, class 0 first, or a JSON array of names, or a JSON object like {"0": "cat"}.`,
  )
}

function fromJson(text: string): string[] | null {
  try {
    const labels: unknown = JSON.parse(text)
    if (!Array.isArray(labels)) return fromNumbers(labels as object)
    return labels.every((label) => typeof label === 'string') ? labels : null
  } catch {
    return null
  }
}

/** Numbers without a name have an empty one. */
function fromNumbers(given: object): string[] | null {
  const named = 'id2label' in given ? (given.id2label as object) : given
  const labels: string[] = []
  for (const [key, value] of Object.entries(named)) {
    const label: unknown = Array.isArray(value) ? value.at(-1) : value
    if (!/^\d{1,6}$/.test(key) || typeof label !== 'string') return null
    labels[Number(key)] = label
  }
  return Array.from(labels, (label) => label ?? '')
}

/** What --target asks for: a class, or the top one. */
export type TargetChoice = number | 'argmax'

/** Reads one --target: a number, 'argmax', or one of the labels where there are any. */
export function parseTarget(text: string, labels: readonly string[] | null): TargetChoice {
  if (text === 'argmax') return text
  if (/^\d{1,9}$/.test(text)) return Number(text)
  const found = labels?.findIndex((label) => label.toLowerCase() === text.toLowerCase()) ?? -1
  if (found >= 0) return found
  const near = nearestName(text, labels ?? [])
  const hint = labels ? (near ? ` Did you mean ${near}?` : '') : ' To give a name, give --labels too.'
  throw usageError(`--target wants the number of a class, a label or argmax, not "${text}".${hint}`)
}

/** A class as a person reads it. */
export function className(index: number, labels: readonly string[] | null): string {
  const label = labels?.[index]
  return label ? `${label} (class ${index})` : `class ${index}`
}
