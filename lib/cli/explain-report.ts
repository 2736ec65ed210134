import { basename } from 'node:path'
import { GradCamError } from '../base/errors.js'
import type { LayerSuggestion } from '../cam/suggest-layers.js'
import type { MapCondition } from '../explain/condition.js'
import type { MethodFailure } from '../methods/map-explainer.js'
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
  start(device: string, layers: readonly string[], picked: LayerSuggestion | null): void
  image(image: string): void
  finding(image: string, finding: Finding, files: Files): void
  failure(image: string, error: unknown): void
  /** A method that failed where others did not. */
  methodFailure(image: string, failure: MethodFailure): void
  /** What makes results of the model depend on more than the image. */
  notes(notes: readonly ModelNote[]): void
  end(explained: number, files: number, seconds: number): void
}

export function explainReport(job: ExplainJob): ExplainReport {
  return job.json ? jsonReport(job) : textReport(job)
}

const titles: Readonly<Record<MapCondition['state'], string>> = {
  ok: 'ok',
  zero: 'zero map',
  saturated: 'saturated',
  'not-finite': 'not finite',
}

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

function jsonReport({ methods, size, labels, verbose }: ExplainJob): ExplainReport {
  const fail = (image: string, method: string, error: unknown): void => {
    complain(image, error, verbose)
    const code = error instanceof GradCamError ? error.code : null
    say(JSON.stringify({ image, method, error: { code, message: inOneLine(error) } }))
  }
  return {
    start: () => {},
    image: () => {},
    finding(image, { method, layer, class: index, score, condition, peak, relus, delta }, files) {
      const label = labels?.[index] ?? null
      say(
        JSON.stringify({
          image,
          method,
          layer,
          target: index,
          label,
          score,
          size,
          condition,
          peak,
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

function textReport({ methods, model, size, sizeGiven, labels, layers, out, verbose }: ExplainJob): ExplainReport {
  const dim = (text: string) => paint('dim', text)
  return {
    start(device, used, picked) {
      const sized = `images at ${size[0]}x${size[1]}`
      say(
        `${methods.join(', ')} of ${basename(model)} on ${device}, ${sized}${sizeGiven ? '' : ' (the default; --size changes it)'}`,
      )
      if (picked) say(`at ${picked.layer} [${picked.shape.join(', ')}]${reshaped(picked)} (--layer for another)`)
      else if (used.length > 0) say(`at ${used.join(', ')}`)
    },
    image: (image) => say(`\n${image}`),
    finding(_image, finding, files) {
      const { method, layer, target, class: index, score, condition, peak, relus, delta, outputs } = finding
      const named = outputs === 1 && !labels ? 'its only output' : className(index, labels)
      const facts = [
        `${target === 'argmax' && outputs !== 1 ? 'top: ' : ''}${paint('green', named)}`,
        ...(methods.length > 1 ? [method] : []),
        ...(layers.length > 1 && layer !== null ? [`at ${layer}`] : []),
        `score ${score.toPrecision(4)}`,
        ...(peak ? [`peak at x ${peak.x}, y ${peak.y}`] : []),
        ...(delta === undefined ? [] : [`adds up to within ${delta.toPrecision(2)}`]),
        ...(relus === undefined
          ? []
          : [`through ${counted(relus, method.startsWith('guided') ? 'guided ReLU' : 'ruled activation')}`]),
      ]
      say(`  ${facts.join(', ')}`)
      if (condition.reason !== null) say(paint('yellow', `  ${titles[condition.state]}: ${condition.reason}`))
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
