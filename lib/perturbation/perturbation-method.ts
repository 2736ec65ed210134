/**
 * How the input x is changed to see how the score f changes. No gradient is taken: any model, any activation.
 *
 * - `occlusion`: windows are covered; sum_w (f(x) - f(x_w)) 1_w / sum_w 1_w. Zeiler and Fergus 2014, arXiv:1311.2901; as
 *   Captum's Occlusion. See `OcclusionOptions`.
 * - `feature-ablation`: groups of elements are removed; f(x) - f(x without the group), for each element of the group. As
 *   Captum's FeatureAblation. See `FeatureAblationOptions`.
 * - `feature-permutation`: each image of a batch is given a group of elements of another one; f(x) - f(x with it). As Captum's
 *   FeaturePermutation. The only method of which the result for an image depends on the others of its batch, so that it is not one of
 *   the {@link methods} that batches, the server and the command line have. See `FeaturePermutationOptions`.
 * - `rise`: random masks m; sum_i f(x m_i) m_i / (N p). Petsiuk et al. 2018, arXiv:1806.07421. The score of a class is its
 *   probability, as there: a logit's offset would drown the map in the noise of the coverage. A target with a `kind` is
 *   taken as it is, and so are models with a single output. See `RiseOptions`.
 * - `lime`: random features are removed, and a linear model is fitted to the scores; its coefficients. Ribeiro et al. 2016,
 *   arXiv:1602.04938. See `LimeOptions`.
 * - `kernel-shap`: the same with the weights, and the constraint, that make the coefficients Shapley values. Lundberg and Lee
 *   2017, arXiv:1705.07874, theorem 2. See `KernelShapOptions`.
 * - `shapley-sampling`: features are added to the baseline in random orders; the mean of what each adds to the score.
 *   Castro et al. 2009, doi:10.1016/j.cor.2008.04.004. See `ShapleySamplingOptions`.
 *
 * Features of the last three are superpixels, unless others are given.
 */
export type PerturbationMethod = SingleImageMethod | 'feature-permutation'

/** Those that explain each image by itself. */
export type SingleImageMethod = 'occlusion' | 'feature-ablation' | 'rise' | 'lime' | 'kernel-shap' | 'shapley-sampling'
