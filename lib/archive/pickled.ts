/** A value of a pickle. Nothing was looked up and nothing was called: calls stand there as {@link PickledCall}. */
export type Pickled =
  null | boolean | number | bigint | string | PickledGlobal | PickledReference | PickledList | PickledDict | PickledCall

/** A class or function, by name. */
export class PickledGlobal {
  /** @param name with its module: 'torch._utils._rebuild_tensor_v2' */
  constructor(readonly name: string) {}
}

/** Something that is not in the pickle itself, such as the bytes of a storage. */
export class PickledReference {
  constructor(readonly id: Pickled) {}
}

export class PickledList {
  constructor(
    readonly kind: 'list' | 'tuple' | 'set',
    readonly items: Pickled[],
  ) {}
}

export class PickledDict {
  readonly entries: (readonly [key: Pickled, value: Pickled])[] = []
}

/** What calling `callee` with `args` gives, and what is then put into it. */
export class PickledCall {
  state: Pickled | undefined
  /** Items of a class of dicts such as OrderedDict, or the elements of a class of lists. */
  readonly dict = new PickledDict()
  readonly list = new PickledList('list', [])
  constructor(
    readonly callee: Pickled,
    readonly args: Pickled,
  ) {}
}

/** The values directly inside a value. */
export function partsOf(value: Pickled): readonly Pickled[] {
  if (value instanceof PickledList) return value.items
  if (value instanceof PickledDict) return value.entries.flat()
  if (value instanceof PickledReference) return [value.id]
  if (value instanceof PickledCall)
    return [
      ...[value.callee, value.args, value.state].filter((part) => part !== undefined),
      ...partsOf(value.dict),
      ...partsOf(value.list),
    ]
  return []
}
