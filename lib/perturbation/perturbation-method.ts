/**
 * How the input x is changed to see how the score f changes. No gradient is taken: any model, any activation.
 *
 * - `occlusion`: windows are covered; sum_w (f(x) - f(x_w)) 1_w / sum_w 1_w. Zeiler and Fergus 2014, arXiv:1311.2901; as
 *   Captum's Occlusion. See `OcclusionOptions`.
 * - `feature-ablation`: groups of elements are removed; f(x) - f(x without the group), for each element of the group. As
 *   Captum's FeatureAblation. See `FeatureAblationOptions`.
 * - `rise`: random masks m; sum_i f(x m_i) m_i / (N p). Petsiuk et al. 2018, arXiv:1806.07421. The score of a class is its
 *   probability, as there: a logit's offset would drown the map in the noise of the coverage. A target with a `kind` is
 *   taken as it is, and so are models with a single output. See `RiseOptions`.
 */
export type PerturbationMethod = 'occlusion' | 'feature-ablation' | 'rise'
