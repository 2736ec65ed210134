export type { NodeBuffer } from './base/platform-types.js'
import type { BoxXYWH } from './metrics/boxes.js'

export type { CallOptions, OnProgress, WatchedOptions } from './addon/abort.js'
export { Cam, type CamAggregate, type CamCompat, type CamExplainOptions, type CamOptions } from './cam/cam.js'
export { CamExplanation, type CamFailure, type CamMap } from './cam/cam-explanation.js'
export { camMethods, type CamMethod, type CamMethodFacts, type Peers } from './cam/cam-methods.js'
export type { BatchFile, EncodeMapOptions } from './batch/encode.js'
export { explainAll, type BatchResults } from './batch/explain-all.js'
export type { BatchEntry, BatchInput } from './batch/input.js'
export type { BatchTarget } from './batch/target.js'
export type { BatchProgress, ExplainAllOptions } from './batch/options.js'
export { toMapLevels, type MapLevels } from './batch/levels.js'
export type { MapValues } from './images/draw-map.js'
export { BatchExplanation, BatchFailure, type BatchResult, type TopClass } from './batch/result.js'
export { FileSource, type FileSourceOptions } from './jobs/file-source.js'
export { FolderSink } from './jobs/folder-sink.js'
export { BucketSink } from './jobs/bucket-sink.js'
export { BucketStore } from './jobs/bucket-store.js'
export { FolderStore, type FolderStoreOptions } from './jobs/folder-store.js'
export type { JobClaim, JobEntry, JobExplainer, JobPlan, JobSource, JobStore, ResultSink } from './jobs/job.js'
export type {
  FileDigest,
  InputFile,
  JobErrorLine,
  JobLine,
  JobResultLine,
  SinkFiles,
  WrittenFile,
} from './jobs/job-line.js'
export { checkSameJob, makeJobSpec, type JobInput, type JobSpec, type JobSpecOptions } from './jobs/job-spec.js'
export { readJobSpec, readManifest } from './jobs/read-job.js'
export { ModelExplainer, type ModelExplainerOptions } from './jobs/model-explainer.js'
export { runJob } from './jobs/run-job.js'
export type { JobProgress, JobStart, JobWarning, RunJobOptions } from './jobs/run-job.js'
export type { JobCounts, JobSummary } from './jobs/tally.js'
export { enqueueJob, type EnqueueOptions } from './queue/enqueue-job.js'
export { openJob, JobHandle, type JobStatus, type ResultOptions } from './queue/job-handle.js'
export type { QueueProgress } from './queue/coordinate.js'
export type { QueueChunkEvent } from './queue/chunk-event.js'
export type { OtherVersions } from './queue/versions.js'
export { startWorker, type QueueWorker, type QueueWorkerOptions } from './queue/worker.js'
export { writeReport, type ReportOptions, type ReportSummary } from './report/write-report.js'
export { createServer, type ExplainServer, type ListenOptions } from './server/create-server.js'
export type { ServedModelOptions, ServerOptions } from './server/options.js'
export { doctor, type Check, type DoctorReport } from './setup/doctor.js'
export type { DType, TensorOptions, TypedArray } from './tensor/dtype.js'
export type { NestedNumbers } from './tensor/elements.js'
export { errorCodes, type ErrorCodeInfo } from './base/error-codes.js'
export { GradCamError, type GradCamErrorCode, type GradCamErrorData, type GradCamErrorOptions } from './base/errors.js'
export type { Execution, ExecutionOptions, ExecutionPath } from './explain/execution.js'
export type { PrecisionChoice, PrecisionDType, PrecisionTrial, ReducedPrecision } from './explain/precision-choice.js'
export type { Explained, ExplainOptions } from './explain/explained.js'
export {
  FactorizationExplanation,
  FeatureFactorization,
  type FeatureFactorizationOptions,
} from './cam/feature-factorization.js'
export { FullGrad, FullGradExplanation, type FullGradOptions } from './cam/full-grad.js'
export { GradCam, type GradCamOptions, GradCamExplanation } from './cam/grad-cam.js'
export { GuidedBackprop, GuidedBackpropExplanation, type GuidedBackpropOptions } from './attribution/guided-backprop.js'
export { GuidedGradCam, GuidedGradCamExplanation, type GuidedGradCamOptions } from './attribution/guided-grad-cam.js'
export {
  InputAttribution,
  inputMethods,
  type InputAttributionOptions,
  type InputMethod,
} from './attribution/input-attribution.js'
export { Lrp, type LrpOptions } from './attribution/lrp.js'
export {
  type Bound,
  type CompositeName,
  compositeNames,
  composites,
  type RelevanceRule,
  type RelevanceRules,
} from './attribution/composites.js'
export { InputExplanation } from './attribution/input-explanation.js'
export {
  InputPerturbation,
  type InputPerturbationOptions,
  type PerturbationExplainOptions,
  type PerturbationMethod,
  perturbationMethods,
} from './perturbation/input-perturbation.js'
export { PerturbationExplanation } from './perturbation/perturbation-explanation.js'
export type { SingleImageMethod } from './perturbation/perturbation-method.js'
export type { FeatureAblationOptions } from './perturbation/feature-ablation.js'
export { felzenszwalb, type FelzenszwalbOptions } from './perturbation/felzenszwalb.js'
export type { FeaturePermutationOptions } from './perturbation/feature-permutation.js'
export type { OcclusionOptions } from './perturbation/occlusion.js'
export {
  AttentionExplanation,
  AttentionMap,
  attentionMethods,
  type AttentionMapOptions,
  type AttentionMethod,
} from './attention/attention-map.js'
export type { TokenOptions } from './attention/token-grid.js'
export { gridFeatures } from './perturbation/grid.js'
export type { KernelShapOptions } from './perturbation/kernel-shap.js'
export type { LimeOptions } from './perturbation/lime.js'
export type { FeatureOptions } from './perturbation/over-features.js'
export type { ShapleySamplingOptions } from './perturbation/shapley-sampling.js'
export { superpixels, type SuperpixelOptions } from './perturbation/superpixels.js'
export type { Baseline } from './perturbation/perturbation.js'
export { riseMasks, type RiseOptions } from './perturbation/rise.js'
export type { Smoothing } from './attribution/smoothing.js'
export { interpolate, interpolateAsync, type InterpolateOptions, type Size } from './tensor/interpolate.js'
export { Adcc, type AdccOptions } from './metrics/adcc.js'
export type { MetricBaseline } from './metrics/baseline.js'
export type { BoxXYWH } from './metrics/boxes.js'
/** @deprecated Use {@link BoxXYWH}. */
export type Box = BoxXYWH
export type { BoxXYXY } from './target/target-box.js'
export { Complexity } from './metrics/complexity.js'
export { AverageDrop, IncreaseInConfidence, type AverageDropOptions } from './metrics/confidence.js'
export type { ExplainMaps } from './metrics/explain-maps.js'
export { FaithfulnessCorrelation, type FaithfulnessCorrelationOptions } from './metrics/faithfulness-correlation.js'
export { Infidelity, type InfidelityOptions } from './metrics/infidelity.js'
export { Deletion, Insertion, type InsertionDeletionOptions } from './metrics/insertion-deletion.js'
export { Metric, type Measured, type MetricBatch, type MetricOptions, type MetricResult } from './metrics/metric.js'
export { MonotonicityCorrelation, type MonotonicityCorrelationOptions } from './metrics/monotonicity-correlation.js'
export { Monotonicity, type MonotonicityOptions } from './metrics/monotonicity.js'
export {
  ParameterRandomization,
  type ParameterRandomizationOptions,
  type RandomizationOrder,
} from './metrics/parameter-randomization.js'
export { EnergyPointingGame, PointingGame, type PointingGameOptions } from './metrics/pointing-game.js'
export { RelevanceMassAccuracy } from './metrics/relevance-mass.js'
export { RelevanceRankAccuracy } from './metrics/relevance-rank.js'
export { Road, type RoadOptions, type RoadOrder } from './metrics/road.js'
export type { MetricTarget, ScoreKind } from './metrics/scores.js'
export { Selectivity, type SelectivityOptions } from './metrics/selectivity.js'
export {
  SensitivityAvg,
  SensitivityMax,
  type SensitivityMaxOptions,
  type SensitivityOptions,
} from './metrics/sensitivity.js'
export { Sparseness } from './metrics/sparseness.js'
export { rankCorrelation } from './metrics/similarity.js'
export { metrics, type MetricFacts, type MetricName } from './metrics/table.js'
export type { PixelGameOptions } from './metrics/pixel-game.js'
export type { TensorOperators } from './tensor/operators.js'
export * from './images/index.js'
export { makeMapExplainers } from './methods/map-explainer.js'
export type { MapExplainer, MapTarget, MethodFailure, MethodMap, MethodMaps } from './methods/method-maps.js'
export {
  methodOptions,
  type MethodOption,
  type BatchMethodSettings,
  type MethodOptionName,
  type MethodSettings,
} from './methods/options.js'
export { readMethodSettings } from './methods/settings.js'
export { methods, type MethodInfo, type MethodName } from './methods/table.js'
export { defaultLayer, lastSpatialLayer } from './model/default-layer.js'
export { moduleTree, type ModuleRow } from './model/module-tree.js'
export { observeLayers, type LayerOutput } from './model/observe-layers.js'
export type { PlainReshape, Reshape } from './cam/reshape.js'
export { framingOf, seenRegion, type Framing, type Region } from './preprocess/framing.js'
export { readPreprocess, type Preprocess, type PreprocessInput, type Resample } from './preprocess/preprocess.js'
export { presets, type PresetName } from './preprocess/presets.js'
export {
  emptyCache,
  liveTensors,
  manualSeed,
  numThreads,
  setNumThreads,
  setTensorMemoryLimit,
  tensorMemory,
  type TensorMemory,
} from './addon/runtime.js'
export type {
  ForwardHook,
  ForwardPreHook,
  FullBackwardHook,
  HookedModule,
  HookHandle,
  Model,
  ModelCapabilities,
  NamedModule,
  RandomizedOptions,
  SplitMemory,
} from './model/model.js'
export { expectedInput, type ExpectedInput } from './model/expected-input.js'
export type { ModelInput, ModelInputSize } from './model/model-input.js'
export type { LoadedWeights } from './model/open-plan.js'
export { convertModel, type ConvertOptions } from './model/convert.js'
export {
  architectures,
  imagenetLabels,
  type Architecture,
  type PublishedWeights,
} from './architectures/architecture.js'
export { ScriptModule, type LoadOptions } from './model/script-module.js'
export type { TrialOptions } from './model/trial.js'
export { pickLayer, type PickOptions } from './cam/pick-layer.js'
export { modelNotes, type ModelNote } from './model/model-notes.js'
export type { MapCondition } from './explain/condition.js'
export { suggestLayers, type LayerSuggestion, type SuggestOptions } from './cam/suggest-layers.js'
export { className, parseTarget, readLabels, type ClassTarget } from './target/labels.js'
export type { BoxTarget, ClassChoice, ElementStep, Target, TargetData, TargetOptions } from './target/target.js'
export { Tensor } from './tensor/tensor.js'
export { tidy } from './tensor/tidy.js'
export { disposeValue, type Value } from './tensor/values.js'

export type {
  /** @deprecated Use {@link MethodName}. */
  MethodName as BatchMethodName,
  /** @deprecated Use {@link MethodInfo}. */
  MethodInfo as MethodFacts,
} from './methods/table.js'
