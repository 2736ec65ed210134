import { readFile } from 'node:fs/promises'
import { expect } from '../base/check.js'
import { GradCamError } from '../base/errors.js'
import { nearestName } from '../base/nearest.js'

/** The class to explain, by its index, or the class with the highest score. */
export type ClassTarget = number | 'argmax'

/**
 * Reads the names of a model's classes from a file: one name a line, class 0 first, or JSON. The JSON is an array of
 * strings, or an object with a name for each number, in the forms that models are published with: `{"0": "tench"}`,
 * `{"0": ["n01440764", "tench"]}`, or either of them as `"id2label"`.
 *
 * @returns the name of each class, from class 0; an empty string for a class without a name
 * @throws GradCamError ERR_FILE_NOT_FOUND, ERR_FILE_UNREADABLE, ERR_INVALID_ARGUMENT for a file without labels
 */
export async function readLabels(path: string): Promise<string[]> {
  const file = expect.path('path', path)
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === 'ENOENT'
    throw new GradCamError(
      missing ? 'ERR_FILE_NOT_FOUND' : 'ERR_FILE_UNREADABLE',
      `The labels file '${file}' ${missing ? 'does not exist' : `cannot be read (${cause.code ?? cause.message})`}. Check its path.`,
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

/**
 * Reads a target that a person wrote: the index of a class, 'argmax', or one of the labels, in upper or lower case.
 *
 * @param labels the name of each class, or null where there are none
 * @throws GradCamError ERR_TARGET for anything else, with the nearest label
 */
export function parseTarget(text: string, labels: readonly string[] | null): ClassTarget {
  expect.string('text', text)
  checkLabels(labels)
  if (text === 'argmax') return text
  if (/^\d{1,9}$/.test(text)) return Number(text)
  const found = labels?.findIndex((label) => label.toLowerCase() === text.toLowerCase()) ?? -1
  if (found >= 0) return found
  const near = nearestName(text, labels ?? [])
  const hint = labels ? (near ? ` Did you mean ${near}?` : '') : ' A label requires a file of labels.'
  throw new GradCamError(
    'ERR_TARGET',
    `"${text}" is not a target: give the index of a class, a label or argmax.${hint}`,
  )
}

/** A class in words: its label, where it has one, and its index. */
export function className(index: number, labels: readonly string[] | null): string {
  expect.integer('index', index)
  checkLabels(labels)
  const label = labels?.[index]
  return label ? `${label} (class ${index})` : `class ${index}`
}

const isString = (value: unknown): value is string => typeof value === 'string'

function checkLabels(labels: unknown): void {
  if (labels !== null) expect.list('labels', labels, isString, 'strings, or null')
}
