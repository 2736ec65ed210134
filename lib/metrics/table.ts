import type { Model } from '../model/model.js'
import { AverageDrop, IncreaseInConfidence, type AverageDropOptions } from './confidence.js'
import { Infidelity, type InfidelityOptions } from './infidelity.js'
import { Deletion, Insertion, type InsertionDeletionOptions } from './insertion-deletion.js'
import type { Metric } from './metric.js'
import { ParameterRandomization, type ParameterRandomizationOptions } from './parameter-randomization.js'
import { EnergyPointingGame, PointingGame, type PointingGameOptions } from './pointing-game.js'
import { Road, type RoadOptions } from './road.js'
import { SensitivityMax, type SensitivityMaxOptions } from './sensitivity-max.js'

/** A metric, for lists and docs. */
export interface MetricFacts {
  readonly title: string
  /** Which direction is better. */
  readonly better: 'higher' | 'lower' | 'near 0'
  readonly meaning: string
  readonly paper: string
  /** The library whose definition it follows where the paper leaves a choice; null for the paper alone. */
  readonly peer: string | null
  /** What it requires besides images and maps. */
  readonly needs: 'boxes' | 'explain' | null
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
    create: (model: Model, options?: InsertionDeletionOptions) => new Insertion(model, options),
  },
  deletion: {
    title: 'Deletion',
    better: 'lower',
    meaning: 'area under the score while the most relevant pixels are removed first',
    paper: 'arXiv:1806.07421',
    peer: null,
    needs: null,
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
    create: (model: Model, options?: RoadOptions) => new Road(model, options),
  },
  'average-drop': {
    title: 'Average drop',
    better: 'lower',
    meaning: 'share of the score that is lost when the image is multiplied by the map',
    paper: 'arXiv:1710.11063',
    peer: null,
    needs: null,
    create: (model: Model, options?: AverageDropOptions) => new AverageDrop(model, options),
  },
  'increase-in-confidence': {
    title: 'Increase in confidence',
    better: 'higher',
    meaning: 'share of images whose score rises when they are multiplied by the map',
    paper: 'arXiv:1710.11063',
    peer: 'pytorch-grad-cam',
    needs: null,
    create: (model: Model, options?: AverageDropOptions) => new IncreaseInConfidence(model, options),
  },
  infidelity: {
    title: 'Infidelity',
    better: 'lower',
    meaning: 'how far the change that the map predicts is from the change of the score under noise, squared',
    paper: 'arXiv:1901.09392',
    peer: 'Captum',
    needs: null,
    create: (model: Model, options?: InfidelityOptions) => new Infidelity(model, options),
  },
  'sensitivity-max': {
    title: 'Sensitivity-max',
    better: 'lower',
    meaning: 'how far a hardly visible change of the image moves the map, relative to its norm, at most',
    paper: 'arXiv:1901.09392',
    peer: 'Captum',
    needs: 'explain',
    create: (model: Model, options: SensitivityMaxOptions) => new SensitivityMax(model, options),
  },
  'pointing-game': {
    title: 'Pointing game',
    better: 'higher',
    meaning: 'share of maps whose highest pixel lies in the box of the object',
    paper: 'arXiv:1608.00507',
    peer: null,
    needs: 'boxes',
    create: (model: Model, options?: PointingGameOptions) => new PointingGame(model, options),
  },
  'energy-pointing-game': {
    title: 'Energy pointing game',
    better: 'higher',
    meaning: "share of the map's mass that lies in the box of the object",
    paper: 'arXiv:1910.01279',
    peer: null,
    needs: 'boxes',
    create: (model: Model, options?: PointingGameOptions) => new EnergyPointingGame(model, options),
  },
  'parameter-randomization': {
    title: 'Parameter randomisation',
    better: 'near 0',
    meaning: 'rank correlation of the map with that of a copy of the model with random parameters',
    paper: 'arXiv:1810.03292',
    peer: null,
    needs: 'explain',
    create: (model: Model, options: ParameterRandomizationOptions) => new ParameterRandomization(model, options),
  },
})

/** The name of a metric in {@link metrics}. */
export type MetricName = keyof typeof metrics
