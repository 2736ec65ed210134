import { memberOf, namesIn, operatorOf, renamed, type GraphNode, type TensorMeta, type Union } from './schema.js'
import { unsupported } from './unsupported.js'

/** The schema's numbers of floating-point dtypes that torch.autocast converts. float64 is left as it is. */
const float32 = 7
const lower: ReadonlySet<number> = new Set([6, 13])

const set = (text: string): ReadonlySet<string> => new Set(text.split(' '))

/** Operators that torch.autocast runs in the lower precision, on one of the devices or on all. */
const inLowerPrecision = set(
  'conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d convolution _convolution prelu addmm ' +
    'addmv addr matmul einsum mm mv linalg_vecdot linear addbmm baddbmm bmm chain_matmul linalg_multi_dot ' +
    'scaled_dot_product_attention',
)

/** Operators that take tensors of several dtypes as they are: element by element, or with statistics in float32. */
const takesSeveral = set(
  'add sub mul div rsub maximum minimum where masked_fill pow lerp clamp atan2 addcmul addcdiv eq ne lt le gt ge batch_norm ' +
    '_native_batch_norm_legit_no_training native_batch_norm layer_norm native_layer_norm group_norm native_group_norm ' +
    'instance_norm to _to_copy type_as copy clone expand_as view_as reshape_as cat stack dropout feature_dropout ' +
    'zeros_like ones_like full_like empty_like new_zeros new_ones new_full index_put scatter scatter_add index_add',
)

/** Operators made of others, which autocast converts inside, whatever export records of them. */
const convertsInside = set(
  'lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell _native_multi_head_attention ' +
    '_transformer_encoder_layer_fwd multi_head_attention_forward',
)

/** The values of a program, to which conversions are added. */
export interface AutocastValues {
  readonly meta: ReadonlyMap<string, TensorMeta>
  readonly addTensor: (name: string, meta: TensorMeta) => void
}

/**
 * A node of a region of torch.autocast, with the conversions before it that autocast makes while a model runs. Which they are is
 * read from the dtypes that export recorded: lists of operators differ from version to version of PyTorch, and from device to
 * device.
 *
 * @throws GradCamError ERR_MODEL_UNSUPPORTED for an operator whose conversions cannot be known
 */
export function withConversions(node: GraphNode, values: AutocastValues): GraphNode[] {
  const operator = operatorOf(node)
  const result = node.outputs.flatMap(namesIn).map((name) => values.meta.get(name)?.dtype)[0]
  if (!operator || result === undefined) return [node]
  const floats = [...new Set(node.inputs.flatMap(({ arg }) => namesIn(arg)))].filter((name) =>
    isConverted(values.meta.get(name)?.dtype),
  )
  const to = conversion(operator.name, result, floats.map((name) => values.meta.get(name)?.dtype)) // prettier-ignore
  if (to === 'unknown')
    throw unsupported(
      `computes ${operator.space}::${operator.name} under torch.autocast, whose conversions are not known`,
      'Convert the model itself (model.bfloat16()) or leave autocast out, and export it again.',
    )
  if (to === null) return [node]
  const converted = new Map<string, string>()
  const nodes: GraphNode[] = []
  for (const name of floats) {
    const meta = values.meta.get(name) as TensorMeta
    if (meta.dtype === to) continue
    const own = `${name}_cast${to}_${values.meta.size}`
    values.addTensor(own, { ...meta, dtype: to })
    converted.set(name, own)
    nodes.push(conversionNode(node, { from: name, to: own, dtype: to }))
  }
  const inputs = node.inputs.map((input) => ({
    ...input,
    arg: renamed(input.arg, (name) => converted.get(name) ?? name),
  }))
  return [...nodes, { ...node, inputs }]
}

const isConverted = (dtype: number | undefined): boolean =>
  dtype === float32 || (dtype !== undefined && lower.has(dtype))

/** To which dtype the floating-point tensors of an operator are converted; null for none. */
function conversion(name: string, result: number, given: readonly (number | undefined)[]): number | 'unknown' | null {
  if (convertsInside.has(name)) return 'unknown'
  if (given.every((each) => each === result)) return null
  if (lower.has(result) && inLowerPrecision.has(name)) return result
  // In-place operators keep the dtype of what they write to.
  if (name.endsWith('_')) return null
  // Computed in float32, by autocast or as PyTorch does with several dtypes: both begin with the same conversion.
  if (result === float32) return float32
  return takesSeveral.has(name) || !isConverted(result) ? null : 'unknown'
}

function conversionNode(
  { metadata }: GraphNode,
  { from, to, dtype }: { from: string; to: string; dtype: number },
): GraphNode {
  return {
    target: 'torch.ops.aten.to.dtype',
    metadata,
    inputs: [
      { name: 'self', arg: { as_tensor: { name: from } }, kind: 1 },
      { name: 'dtype', arg: { as_scalar_type: dtype }, kind: 1 },
    ],
    outputs: [{ as_tensor: { name: to } }],
  }
}

/** Whether a region of torch.autocast is on: (device, dtype, enabled, cache, graph, ...). */
export const isOn = (args: readonly Union[]): boolean =>
  !(args[2] && memberOf(args[2])[0] === 'as_bool' && args[2]['as_bool'] === false)
