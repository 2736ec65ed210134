import type { ByteRange, Origin } from '../archive/byte-source.js'
import type { StoredDType, StoredTensor } from '../archive/stored-tensor.js'
import type { ProgramInput } from './inputs.js'
import type { Instances } from './instances.js'
import { unsupported } from './unsupported.js'

/** A tensor of a module: which module, by its position in the plan, and which of the plan's storages it lies in. */
export interface PlannedTensor {
  readonly module: number
  readonly name: string
  readonly isParameter: boolean
  readonly tensor: StoredTensor
  /** The dtype that it is given once it is read; its own unless given. */
  readonly convertTo?: StoredDType
}

/** How a nested module is built: the native side needs nothing else. Positions are those in `modules`. */
export interface ModelPlan {
  /** The first is the model itself. `type` is a qualified name of TorchScript. */
  readonly modules: readonly { readonly path: string; readonly type: string }[]
  readonly tensors: readonly PlannedTensor[]
  readonly children: readonly { readonly module: number; readonly name: string; readonly child: number }[]
  /** The text of all methods of a module; a module comes after all that it calls. */
  readonly methods: readonly { readonly module: number; readonly text: string }[]
  readonly inputs: readonly ProgramInput[]
  /** Where the batch was fixed by the export, and the operator that fixes it. */
  readonly fixedBatch: { readonly size: number; readonly operator: string } | null
}

/** A class of Python as a qualified name of TorchScript. */
function qualifiedName(type: string): string {
  const names = type
    .slice(0, 500)
    .split('.')
    .map((name) => name.replaceAll(/\W/g, '_'))
    .filter((name) => name !== '')
    .map((name) => (/^\d/.test(name) ? `_${name}` : name))
  return ['__torch__', ...(names.length > 0 ? names : ['Module'])].join('.')
}

/** @throws GradCamError ERR_MODEL_UNSUPPORTED where modules lie inside each other in a circle */
export function makePlan(
  instances: Instances,
  inputs: readonly ProgramInput[],
  fixedBatch: ModelPlan['fixedBatch'],
): ModelPlan {
  const paths = [...instances.byPath.keys()]
  const positions = new Map(paths.map((path, at) => [path, at]))
  const at = (path: string): number => {
    const position = positions.get(path)
    if (position === undefined) throw new TypeError(`the module '${path}' does not exist`)
    return position
  }
  const entries = [...instances.byPath]
  return {
    modules: entries.map(([path, { type }]) => ({
      path,
      type: qualifiedName(type || 'torch.nn.modules.module.Module'),
    })),
    tensors: [...instances.tensors.values()].map(({ path, own, isParameter, tensor }) => ({
      module: at(path),
      name: own,
      isParameter,
      tensor,
    })),
    children: entries.flatMap(([path, { children }]) =>
      [...children].map(([name, child]) => ({ module: at(path), name, child: at(child) })),
    ),
    methods: calleesFirst(instances).flatMap((path) => {
      const methods = instances.byPath.get(path)?.methods ?? []
      return methods.length === 0 ? [] : [{ module: at(path), text: methods.map(({ text }) => text).join('\n') }]
    }),
    inputs,
    fixedBatch,
  }
}

/** LibTorch walks through modules by recursion. */
const deepestModule = 200

/** All paths, each after those of its children. */
function calleesFirst(instances: Instances): string[] {
  const order: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const visit = (path: string, depth: number): void => {
    if (state.get(path) === 'done') return
    if (depth > deepestModule) throw unsupported(`nests modules deeper than ${deepestModule}`)
    if (state.get(path) === 'open') throw unsupported(`has a module '${path}' that lies inside itself`)
    state.set(path, 'open')
    for (const child of instances.byPath.get(path)?.children.values() ?? []) visit(child, depth + 1)
    state.set(path, 'done')
    order.push(path)
  }
  visit('', 0)
  return order
}

/** The plan as the addon takes it: each storage once. */
export function toNativePlan({ modules, tensors, children, methods, inputs, fixedBatch }: ModelPlan) {
  const files: Origin[] = []
  const storages: { file: number; position: number; bytes: number; crc32?: number }[] = []
  const known = new Map<string, number>()
  const place = ({ source, position, length, crc32 }: ByteRange): number => {
    let file = files.indexOf(source.origin)
    if (file < 0) file = files.push(source.origin) - 1
    const key = `${file} ${position} ${length}`
    const found = known.get(key)
    if (found !== undefined) return found
    known.set(key, storages.length)
    return storages.push({ file, position, bytes: length, ...(crc32 !== undefined && { crc32 }) }) - 1
  }
  return {
    files,
    modules,
    tensors: tensors.map(
      ({ module, name, isParameter, convertTo, tensor: { storage, dtype, sizes, strides, offset } }) => ({
        ...(convertTo !== undefined && { convertTo }),
        module,
        name,
        isParameter,
        storage: place(storage),
        dtype,
        sizes,
        strides,
        offset,
      }),
    ),
    storages,
    children,
    methods,
    inputs,
    fixedBatch,
  }
}
