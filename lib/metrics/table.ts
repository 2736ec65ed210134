import type { Model } from '../model/model.js'
import { Adcc, type AdccOptions } from './adcc.js'
import { Complexity } from './complexity.js'
import { AverageDrop, IncreaseInConfidence, type AverageDropOptions } from './confidence.js'
import { FaithfulnessCorrelation, type FaithfulnessCorrelationOptions } from './faithfulness-correlation.js'
import { Infidelity, type InfidelityOptions } from './infidelity.js'
import { Deletion, Insertion, type InsertionDeletionOptions } from './insertion-deletion.js'
import type { Metric, MetricOptions } from './metric.js'
import { MonotonicityCorrelation, type MonotonicityCorrelationOptions } from './monotonicity-correlation.js'
import { Monotonicity, type MonotonicityOptions } from './monotonicity.js'
import { ParameterRandomization, type ParameterRandomizationOptions } from './parameter-randomization.js'
import { EnergyPointingGame, PointingGame, type PointingGameOptions } from './pointing-game.js'
import { RelevanceMassAccuracy } from './relevance-mass.js'
import { RelevanceRankAccuracy } from './relevance-rank.js'
import { Road, type RoadOptions } from './road.js'
import { Selectivity, type SelectivityOptions } from './selectivity.js'
import { SensitivityAvg, SensitivityMax, type SensitivityOptions } from './sensitivity.js'
import { Sparseness } from './sparseness.js'

/** A metric, for lists and docs. */
export interface MetricFacts {
  readonly title: string
  /** Which direction is better. */
  readonly better: 'higher' | 'lower' | 'near 0'
  readonly meaning: string
  readonly paper: string
  /** The library whose definition it follows where the paper leaves a choice; null for the paper alone. */
  readonly peer: string | null
  /** What it requires besides images and maps; where it requires masks, boxes do as well. */
  readonly needs: 'boxes' | 'masks' | 'explain' | null
  /** Whether it scores images by the model: others do not run it, and take no targets. */
  readonly scores: boolean
  /** Makes the metric for a model. */
  create(model: Model, options: never): Metric
}

const facts = <Table extends Record<string, MetricFacts>>(table: Table): Readonly<Table> => table

/** Every metric. */
export const metrics = facts({
  insertion: {
    title: 'Insertion',
    better: 'higher',
    meaning: 'area under the score while the most relevant pixels are put into a blurred image first',
    paper: 'arXiv:1806.07421',
    peer: null,
    needs: null,
    scores: true,
    create: (model: Model, options?: InsertionDeletionOptions) => new Insertion(model, options),
  },
  deletion: {
    title: 'Deletion',
    better: 'lower',
    meaning: 'area under the score while the most relevant pixels are removed first',
    paper: 'arXiv:1806.07421',
    peer: null,
    needs: null,
    scores: true,
    create: (model: Model, options?: InsertionDeletionOptions) => new Deletion(model, options),
  },
  road: {
    title: 'ROAD',
    better: 'higher',
    meaning:
      'half of how much more the score loses when the most relevant pixels are imputed from their neighbours than when the least relevant ones are',
    paper: 'arXiv:2202.00449',
    peer: 'pytorch-grad-cam',
    needs: null,
    scores: true,
    create: (model: Model, options?: RoadOptions) => new Road(model, options),
  },
  'average-drop': {
    title: 'Average drop',
    better: 'lower',
    meaning: 'share of the score that is lost when the image is multiplied by the map',
    paper: 'arXiv:1710.11063',
    peer: null,
    needs: null,
    scores: true,
    create: (model: Model, options?: AverageDropOptions) => new AverageDrop(model, options),
  },
  'increase-in-confidence': {
    title: 'Increase in confidence',
    better: 'higher',
    meaning: 'share of images whose score rises when they are multiplied by the map',
    paper: 'arXiv:1710.11063',
    peer: 'pytorch-grad-cam',
    needs: null,
    scores: true,
    create: (model: Model, options?: AverageDropOptions) => new IncreaseInConfidence(model, options),
  },
  infidelity: {
    title: 'Infidelity',
    better: 'lower',
    meaning: 'how far the change that the map predicts is from the change of the score under noise, squared',
    paper: 'arXiv:1901.09392',
    peer: 'Captum',
    needs: null,
    scores: true,
    create: (model: Model, options?: InfidelityOptions) => new Infidelity(model, options),
  },
  'sensitivity-max': {
    title: 'Sensitivity-max',
    better: 'lower',
    meaning: 'how far a hardly visible change of the image moves the map, relative to its norm, at most',
    paper: 'arXiv:1901.09392',
    peer: 'Captum',
    needs: 'explain',
    scores: true,
    create: (model: Model, options: SensitivityOptions) => new SensitivityMax(model, options),
  },
  'sensitivity-avg': {
    title: 'Sensitivity-avg',
    better: 'lower',
    meaning: 'how far hardly visible changes of the image move the map, relative to its norm, on average',
    paper: 'arXiv:1901.09392',
    peer: 'Quantus',
    needs: 'explain',
    scores: true,
    create: (model: Model, options: SensitivityOptions) => new SensitivityAvg(model, options),
  },
  'pointing-game': {
    title: 'Pointing game',
    better: 'higher',
    meaning: 'share of maps whose highest pixel lies in the box of the object',
    paper: 'arXiv:1608.00507',
    peer: null,
    needs: 'boxes',
    scores: false,
    create: (model: Model, options?: PointingGameOptions) => new PointingGame(model, options),
  },
  'energy-pointing-game': {
    title: 'Energy pointing game',
    better: 'higher',
    meaning: "share of the map's mass that lies in the box of the object",
    paper: 'arXiv:1910.01279',
    peer: null,
    needs: 'boxes',
    scores: false,
    create: (model: Model, options?: PointingGameOptions) => new EnergyPointingGame(model, options),
  },
  'relevance-mass-accuracy': {
    title: 'Relevance mass accuracy',
    better: 'higher',
    meaning:
      "share of the map's mass that lies in the mask or box of the object: the energy pointing game, also with masks",
    paper: 'arXiv:2003.07258',
    peer: null,
    needs: 'masks',
    scores: false,
    create: (model: Model, options?: MetricOptions) => new RelevanceMassAccuracy(model, options),
  },
  'relevance-rank-accuracy': {
    title: 'Relevance rank accuracy',
    better: 'higher',
    meaning: 'share of the K highest pixels that lies in the mask or box of the object, which has K pixels',
    paper: 'arXiv:2003.07258',
    peer: null,
    needs: 'masks',
    scores: false,
    create: (model: Model, options?: MetricOptions) => new RelevanceRankAccuracy(model, options),
  },
  'parameter-randomization': {
    title: 'Parameter randomisation',
    better: 'near 0',
    meaning: 'rank correlation of the map with that of a copy of the model with random parameters',
    paper: 'arXiv:1810.03292',
    peer: null,
    needs: 'explain',
    scores: true,
    create: (model: Model, options: ParameterRandomizationOptions) => new ParameterRandomization(model, options),
  },
  sparseness: {
    title: 'Sparseness',
    better: 'higher',
    meaning: 'Gini index of the absolute values of the map: 0 where all are equal, near 1 where few have all',
    paper: 'arXiv:1810.06583',
    peer: null,
    needs: null,
    scores: false,
    create: (model: Model, options?: MetricOptions) => new Sparseness(model, options),
  },
  complexity: {
    title: 'Complexity',
    better: 'lower',
    meaning: 'entropy of the absolute values of the map as shares of their sum, in nats',
    paper: 'arXiv:2005.00631',
    peer: null,
    needs: null,
    scores: false,
    create: (model: Model, options?: MetricOptions) => new Complexity(model, options),
  },
  monotonicity: {
    title: 'Monotonicity',
    better: 'higher',
    meaning: 'share of images whose score never falls while pixels are put in, the least relevant first',
    paper: 'arXiv:1909.03012',
    peer: null,
    needs: null,
    scores: true,
    create: (model: Model, options?: MonotonicityOptions) => new Monotonicity(model, options),
  },
  'monotonicity-correlation': {
    title: 'Monotonicity correlation',
    better: 'higher',
    meaning: 'rank correlation of what the map gives groups of pixels with how much noise on them changes the score',
    paper: 'arXiv:2007.07584',
    peer: null,
    needs: null,
    scores: true,
    create: (model: Model, options?: MonotonicityCorrelationOptions) => new MonotonicityCorrelation(model, options),
  },
  'faithfulness-correlation': {
    title: 'Faithfulness correlation',
    better: 'higher',
    meaning: 'correlation of what the map gives random subsets of pixels with how far the score falls without them',
    paper: 'arXiv:2005.00631',
    peer: 'Quantus',
    needs: null,
    scores: true,
    create: (model: Model, options?: FaithfulnessCorrelationOptions) => new FaithfulnessCorrelation(model, options),
  },
  selectivity: {
    title: 'Selectivity',
    better: 'lower',
    meaning: 'area under the score while the most relevant patches are removed first',
    paper: 'arXiv:1706.07979',
    peer: null,
    needs: null,
    scores: true,
    create: (model: Model, options?: SelectivityOptions) => new Selectivity(model, options),
  },
  adcc: {
    title: 'ADCC',
    better: 'higher',
    meaning:
      'harmonic mean of 1 - average drop, coherency with the map of the image multiplied by the map, and 1 - mean of the map',
    paper: 'arXiv:2104.10252',
    peer: null,
    needs: 'explain',
    scores: true,
    create: (model: Model, options: AdccOptions) => new Adcc(model, options),
  },
})

/** The name of a metric in {@link metrics}. */
export type MetricName = keyof typeof metrics
