import { basename } from 'node:path'
import { GradCamError } from '../base/errors.js'
import type { LayerSuggestion } from '../cam/suggest-layers.js'
import type { MapCondition } from '../explain/condition.js'
import type { MethodFailure } from '../methods/method-maps.js'
import type { ModelNote } from '../model/model-notes.js'
import type { ExplainJob } from './explain-job.js'
import type { Finding } from './explain-image.js'
import { className } from '../target/labels.js'
import { inOneLine } from '../base/one-line.js'
import { paint } from './paint.js'
import { counted } from '../base/units.js'

export type Files = Readonly<Record<string, string>>

/** Prints what `gradcam explain` does and finds, as it goes: as text, or as one JSON object a line. */
export interface ExplainReport {
  start(start: ExplainStart): void
  image(image: string): void
  finding(image: string, finding: Finding, files: Files): void
  failure(image: string, error: unknown): void
  /** A method that failed where others did not. */
  methodFailure(image: string, failure: MethodFailure): void
  /** What makes results of the model depend on more than the image. */
  notes(notes: readonly ModelNote[]): void
  end(explained: number, files: number, seconds: number): void
}

/** How explaining begins. */
export interface ExplainStart {
  readonly device: string
  readonly layers: readonly string[]
  readonly picked: LayerSuggestion | null
  /** [height, width] of the model's input, as far as it does not depend on the image. */
  readonly inputSize: readonly [number, number]
  /** What is to be said of the images besides their size. */
  readonly unusual: string
  /** The shape of the first input, where all of them are arrays; null where there are images. */
  readonly arrays: readonly number[] | null
}

export function explainReport(job: ExplainJob): ExplainReport {
  return job.json ? jsonReport(job) : textReport(job)
}

/** What was explained, in words; null where the method needs nothing and the output has no class. */
function nameOf({ class: index, target, score, outputs }: Finding, labels: readonly string[] | null): string | null {
  if (index !== null) return outputs === 1 && !labels ? 'its only output' : className(index, labels)
  return score === null ? null : JSON.stringify(target)
}

const isTop = ({ target, class: index, outputs }: Finding): boolean =>
  index !== null &&
  outputs !== 1 &&
  (target === 'argmax' ||
    (typeof target === 'object' && target.kind === 'class' && (target.class ?? 'argmax') === 'argmax'))

const titles: Readonly<Record<MapCondition['state'], string>> = {
  ok: 'ok',
  zero: 'zero map',
  saturated: 'saturated',
  rounding: 'rounding alone',
  constant: 'constant map',
  'not-finite': 'not finite',
}

/** Which of several calls of a layer was explained. */
const callText = (calls: number, call: number | undefined): string =>
  call === undefined
    ? `its last call of ${calls} (--call for another)`
    : `its call ${call}, counted from 0, of ${calls}`

const reshaped = ({ reshape }: LayerSuggestion): string =>
  reshape === undefined ? '' : `, reshaped by ${typeof reshape === 'string' ? reshape : JSON.stringify(reshape)}`

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function complain(image: string, error: unknown, verbose: boolean): void {
  if (verbose) console.error(error)
  else process.stderr.write(`gradcam: ${mentioning(image, inOneLine(error))}\n`)
}

/** An error must name the image that it is about. */
function mentioning(image: string, message: string): string {
  return message.includes(image) ? message : `${image}: ${message}`
}

function jsonReport({ methods, labels, verbose }: ExplainJob): ExplainReport {
  const fail = (image: string, method: string, error: unknown): void => {
    complain(image, error, verbose)
    const code = error instanceof GradCamError ? error.code : null
    say(JSON.stringify({ image, method, error: { code, message: inOneLine(error) } }))
  }
  return {
    start: () => {},
    image: () => {},
    finding(image, { method, layer, class: index, score, of, size, condition, peak, calls, relus, delta }, files) {
      const label = index === null ? null : (labels?.[index] ?? null)
      say(
        JSON.stringify({
          image,
          method,
          layer,
          target: index,
          label,
          score,
          ...(of && { of }),
          size,
          condition,
          peak,
          calls,
          relus,
          delta,
          files,
        }),
      )
    },
    failure: (image, error) => fail(image, methods.join(','), error),
    methodFailure: (image, { method, error }) => fail(image, method, error),
    notes: (notes) => {
      if (notes.length > 0) say(JSON.stringify({ notes }))
    },
    end: () => {},
  }
}

function textReport(job: ExplainJob): ExplainReport {
  const { methods, model, labels, layers, out, verbose } = job
  const dim = (text: string) => paint('dim', text)
  return {
    start({ device, layers: used, picked, inputSize: [height, width], unusual, arrays }) {
      const how = job.size ? '' : ` (${job.preprocessName ?? 'the default; --preprocess changes it'})`
      const given = arrays
        ? `arrays of [${arrays.join(', ')}] as they are`
        : `images at ${height}x${width}${how}${unusual}`
      say(`${methods.join(', ')} of ${basename(model)} on ${device}, ${given}`)
      if (picked) say(`at ${picked.layer} [${picked.shape.join(', ')}]${reshaped(picked)} (--layer for another)`)
      else if (used.length > 0) say(`at ${used.join(', ')}`)
    },
    image: (image) => say(`\n${image}`),
    finding(_image, finding, files) {
      const { method, layer, score, of, condition, peak, calls, relus, delta } = finding
      const named = nameOf(finding, labels)
      const facts = [
        ...(named === null ? [] : [`${isTop(finding) ? 'top: ' : ''}${paint('green', named)}`]),
        ...(of ? [`of the output's part ${of.join('.')} (--of for another)`] : []),
        ...(methods.length > 1 ? [method] : []),
        ...(layers.length > 1 && layer !== null ? [`at ${layer}`] : []),
        ...(calls === undefined ? [] : [callText(calls, job.settings.call)]),
        ...(score === null ? [] : [`score ${score.toPrecision(4)}`]),
        ...(peak ? [`peak at x ${peak.x}, y ${peak.y}`] : []),
        ...(delta === undefined ? [] : [`adds up to within ${delta.toPrecision(2)}`]),
        ...(relus === undefined
          ? []
          : [`through ${counted(relus, method.startsWith('guided') ? 'guided ReLU' : 'ruled activation')}`]),
      ]
      say(`  ${facts.join(', ')}`)
      if (condition.reason !== null) say(paint('yellow', `  ${titles[condition.state]}: ${condition.reason}`))
      else if (finding.array) say(dim('  not an image: the map is written as an array'))
      else if (peak === null) say(paint('yellow', '  no value of the map is above zero'))
      say(dim(`  → ${Object.values(files).join('  ')}`))
    },
    failure: (image, error) => complain(image, error, verbose),
    methodFailure: (image, { method, error }) => complain(`${image}, ${method}`, error, verbose),
    notes(notes) {
      for (const { message } of notes) process.stderr.write(`gradcam: ${inOneLine(message)}\n`)
    },
    end(explained, files, seconds) {
      if (explained > 0) say(`\n${counted(files, 'file')} in ${out}, ${seconds.toFixed(1)} s`)
    },
  }
}
