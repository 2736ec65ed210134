import { GradCamError } from '../base/errors.js'
import { openIfReadable, type ByteSource } from '../archive/byte-source.js'
import { CutShort, Malformed } from '../archive/malformed.js'
import { readPickle } from '../archive/pickle.js'
import { show, type ZipRecord } from '../archive/zip-directory.js'
import { readZipDirectory, readZipRecords } from '../archive/zip-records.js'
import { checkPickledTensors } from './pickled-tensors.js'
import { checkSourceDepth } from './source-nesting.js'

/** The largest pickle or source that is read. Weights are in records of their own. */
const largestRecord = 256 * 2 ** 20

/** What the check of a model file found. */
export interface CheckedFile {
  /** All source, where it is a TorchScript file. */
  readonly sources: readonly SourceRecord[]
  /** Whether it is a TorchScript file of PyTorch before 1.1, whose code is not checked. */
  readonly isOld: boolean
}

const nothing: CheckedFile = { sources: [], isOld: false }

/** A record of source in a TorchScript archive. */
export interface SourceRecord {
  readonly name: string
  readonly text: string
}

/**
 * Checks the structure of a model file before LibTorch sees it: that the archive's records lie within the file, that every
 * tensor lies within its storage and every storage within its record, and that neither values nor source are nested deeper
 * than LibTorch can follow. Nothing of the file is executed. A file that is not a zip archive, or cannot be opened, is left
 * to whoever reads it next.
 *
 * @param name what the errors call it: "'model.pt'"
 * @throws GradCamError ERR_MODEL_CORRUPT
 */
export async function checkModelFile(file: string | Uint8Array, name: string): Promise<CheckedFile> {
  using source = openIfReadable(file)
  if (!source) return nothing
  try {
    const isArchive = source.size >= 4 && (await source.readLater(0, 2)).toString('latin1') === 'PK'
    return isArchive ? await checkArchive(source) : nothing
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause
    throw new GradCamError('ERR_MODEL_CORRUPT', `${name} cannot be read as a TorchScript file: ${cause.message}.`, {
      remedy:
        cause instanceof CutShort
          ? 'It was not written, copied or downloaded to its end: copy or export it again, and look whether that ends with an error.'
          : 'It is not as PyTorch writes it: copy or export it again.',
      details: { problem: cause.message },
      cause,
    })
  }
}

async function checkArchive(source: ByteSource): Promise<CheckedFile> {
  const records = new Archive(await readZipDirectory(source))
  const sources: SourceRecord[] = []
  // Any other archive is refused later, with what it is.
  if (!records.has('constants.pkl') || !records.has('data.pkl')) return { sources, isOld: records.has('model.json') }
  const read = records.all.filter(
    (record) => isPickle(records.nameInside(record)) || isSource(records.nameInside(record)),
  )
  const large = read.find(({ size }) => size > largestRecord)
  if (large)
    throw new Malformed(
      `record ${show(large.name)} has ${large.size} bytes, and more than ${largestRecord} are refused`,
    )
  for await (const [record, bytes] of readZipRecords(source, read)) {
    const name = records.nameInside(record)
    if (isPickle(name)) await checkPickle(records, record, bytes)
    else {
      const text = bytes.toString('utf8')
      within(record, () => checkSourceDepth(text))
      sources.push({ name, text })
    }
  }
  return { sources, isOld: false }
}

// LibTorch does not tell 'data.pkl' from 'DATA.PKL'.
const isPickle = (name: string): boolean => /^(?:data|constants)\.pkl$/i.test(name)
const isSource = (name: string): boolean => /^code\/.*\.py$/i.test(name)

async function checkPickle(records: Archive, record: ZipRecord, bytes: Buffer): Promise<void> {
  const folder = records.nameInside(record).replace(/\.pkl$/i, '')
  const value = await readPickle(bytes).catch((error: unknown) => within(record, () => rethrow(error)))
  within(record, () => checkPickledTensors(value, (key) => records.sizeOf(`${folder}/${key}`)))
}

function rethrow(error: unknown): never {
  throw error
}

/** Names the record in what is wrong with it. */
function within<Result>(record: ZipRecord, check: () => Result): Result {
  try {
    return check()
  } catch (error) {
    throw error instanceof Malformed ? new Malformed(`in ${show(record.name)}, ${error.message}`) : error
  }
}

/** The records of an archive as LibTorch finds them: below the folder of the first, whatever the case of their letters. */
class Archive {
  readonly #root: string
  readonly #sizes = new Map<string, number>()

  constructor(readonly all: readonly ZipRecord[]) {
    const [first] = all
    const slash = first?.name.indexOf('/') ?? -1
    this.#root = first && slash >= 0 ? first.name.slice(0, slash + 1) : ''
    for (const { name, size } of all) {
      // Classes may differ in the case of a letter.
      const key = /\/code\//.test(name) ? name : name.toLowerCase()
      if (this.#sizes.has(key)) throw new Malformed(`the archive has two records of the name ${show(name)}`)
      this.#sizes.set(key, size)
    }
  }

  /** Without the folder; '' where it is in another one. */
  nameInside({ name }: ZipRecord): string {
    return name.startsWith(this.#root) ? name.slice(this.#root.length) : ''
  }

  has(name: string): boolean {
    return this.sizeOf(name) !== undefined
  }

  sizeOf(name: string): number | undefined {
    return this.#sizes.get((this.#root + name).toLowerCase())
  }
}
