import { damaged, type ByteSource } from '../archive/byte-source.js'
import { checkStored, type StoredDType, type StoredTensor } from '../archive/stored-tensor.js'
import { PickledTensor, readTorchSave } from '../archive/torch-save.js'
import type { Zip } from '../archive/zip.js'
import { memberOf, parseProgramJson, type Program, type TensorMeta } from './schema.js'
import { unsupported } from './unsupported.js'

/** A tensor that a program's file holds: a parameter, a buffer or a constant. */
export interface ProgramTensor {
  readonly tensor: StoredTensor
  readonly isParameter: boolean
}

/** What a .pt2 file holds: the program, and its tensors by their full names. */
export interface ProgramFile {
  readonly program: Program
  readonly tensors: ReadonlyMap<string, ProgramTensor>
}

/** Of torch 2.1 to 2.7: one flat archive, with what torch.save wrote inside. */
const flatProgram = 'serialized_exported_program.json'
const modelName = /^((?:[^/]+\/)?)models\/([^/]+)\.json$/

/** Whether an archive was written by torch.export.save, or packages what AOTInductor compiled. */
export const isProgramArchive = ({ names }: Zip): boolean =>
  names.some(
    (name) =>
      name === flatProgram || modelName.test(name) || /(?:^|\/)(?:archive_format$|data\/aotinductor\/)/.test(name),
  )

/** How long the text of a program is, in bytes; 0 where the archive holds none. */
export function programTextLength(zip: Zip): number {
  const name = zip.has(flatProgram) ? flatProgram : zip.names.find((each) => modelName.test(each))
  return name === undefined ? 0 : zip.record(name).length
}

/** The schema's numbers of dtypes. */
const dtypes: Readonly<Record<number, StoredDType>> = {
  1: 'uint8',
  2: 'int8',
  3: 'int16',
  4: 'int32',
  5: 'int64',
  6: 'float16',
  7: 'float32',
  8: 'float64',
  12: 'bool',
  13: 'bfloat16',
}

/** The dtype that a number of the schema means; null for one that tensors of this package cannot have. */
export const dtypeOfSchema = (number: number): StoredDType | null => dtypes[number] ?? null

const stridedLayout = 7

/** @throws GradCamError ERR_MODEL_CORRUPT, ERR_MODEL_UNSUPPORTED */
export function readProgramFile(source: ByteSource, zip: Zip): ProgramFile {
  if (zip.has(flatProgram)) return readFlat(source, zip)
  const models = zip.names.flatMap((name) => modelName.exec(name) ?? []).length / 3
  if (models > 1) throw unsupported(`is one of ${models} in one archive`, 'Save each in a file of its own.')
  const found = zip.names.map((name) => modelName.exec(name)).find((match) => match !== null)
  if (!found) throw refusedPackage(source, zip)
  const [record, folder = '', model = ''] = found
  if (zip.has(`${folder}byteorder`) && zip.text(`${folder}byteorder`) !== 'little')
    throw unsupported('was written on a big-endian machine', 'Export it again on another one.')
  const program = parseProgramJson(zip.text(record)) as Program
  const tensors = new Map<string, ProgramTensor>()
  for (const kind of ['weights', 'constants'] as const) {
    const config = `${folder}data/${kind}/${model}_${kind}_config.json`
    if (zip.has(config)) readConfig(zip, { config, folder: `${folder}data/${kind}/` }, tensors)
    else if (zip.has(`${folder}data/${kind}/${model}.pt`))
      addPickled(readTorchSave(zip.record(`${folder}data/${kind}/${model}.pt`)), source, program, tensors)
  }
  return { program, tensors }
}

function refusedPackage(source: ByteSource, { names }: Zip) {
  if (names.some((name) => /(?:^|\/)data\/aotinductor\/|\.(?:so|cubin|cpp)$/.test(name)))
    return unsupported(
      'was compiled by AOTInductor, which leaves machine code without a graph',
      'Use the file of torch.export.save, from which it was compiled.',
    )
  return damaged(source.name, 'the archive holds no exported program')
}

function readFlat(source: ByteSource, zip: Zip): ProgramFile {
  const program = parseProgramJson(zip.text(flatProgram)) as Program
  const tensors = new Map<string, ProgramTensor>()
  for (const name of ['serialized_state_dict.pt', 'serialized_constants.pt'])
    if (zip.has(name) && zip.record(name).length > 0)
      addPickled(readTorchSave(zip.record(name)), source, program, tensors)
  return { program, tensors }
}

function addPickled(pickled: unknown, source: ByteSource, program: Program, tensors: Map<string, ProgramTensor>): void {
  if (!(pickled instanceof Map)) throw damaged(source.name, 'its tensors are not a dict')
  const parameters = parameterNames(program)
  for (const [name, value] of pickled as Map<string, unknown>)
    if (value instanceof PickledTensor)
      tensors.set(name, { tensor: value.stored(name, source.name), isParameter: parameters.has(name) })
}

function parameterNames(program: Program): Set<string> {
  const names = new Set<string>()
  for (const spec of program.graph_module.signature.input_specs) {
    const [kind, value] = memberOf(spec)
    if (kind === 'parameter') names.add((value as { parameter_name: string }).parameter_name)
  }
  return names
}

interface PayloadEntry {
  readonly path_name: string
  readonly is_param: boolean
  readonly use_pickle?: boolean
  readonly tensor_meta: TensorMeta | null
}

function readConfig(
  zip: Zip,
  { config, folder }: { config: string; folder: string },
  tensors: Map<string, ProgramTensor>,
): void {
  const payload = parseProgramJson(zip.text(config)) as { config: Record<string, PayloadEntry> }
  for (const [name, entry] of Object.entries(payload.config)) {
    if (entry.use_pickle || !entry.tensor_meta)
      throw unsupported(`holds '${name}' as a pickle: it is a subclass of tensors, or an object of Python`)
    const { dtype, layout, sizes, strides, storage_offset: offset } = entry.tensor_meta
    if (layout !== stridedLayout) throw unsupported(`holds '${name}' in a sparse layout`)
    const type = dtypeOfSchema(dtype)
    if (!type) throw unsupported(`holds '${name}' in a dtype (${dtype}) that is not supported`)
    const numbers = (list: TensorMeta['sizes']) => list.map((size) => Number(size.as_int))
    const tensor: StoredTensor = {
      storage: zip.record(folder + entry.path_name),
      dtype: type,
      sizes: numbers(sizes),
      strides: numbers(strides),
      offset: Number(offset.as_int),
    }
    tensors.set(name, { tensor: checkStored(name, tensor), isParameter: entry.is_param })
  }
}
