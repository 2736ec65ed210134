import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { GradCamError } from '../base/errors.js'
import type { BucketFolder } from './bucket-folder.js'

/** A lease that was not renewed for that long may be taken over, in milliseconds. */
const lasts = 30_000

/** How often it is renewed. */
const renewEvery = 8_000

/** How often one of another process is looked at. */
const lookEvery = 1_000

interface Held {
  /** Aborted when another process has it, or may have it. */
  readonly lost: AbortSignal
  readonly release: () => Promise<void>
}

/**
 * Takes an object as a lock, which its holder renews while it is alive. No clock of another machine is trusted: one that did not
 * change while this process looked at it for long enough is taken over. It requires a storage that writes under a condition
 * (If-None-Match, If-Match), as S3 and most others do.
 *
 * @param onWait called once where it is not known whether the holder is alive
 * @throws GradCamError ERR_LOCKED where another process renews it; ERR_STORAGE
 */
export async function takeLease(folder: BucketFolder, name: string, onWait: (message: string) => void): Promise<Held> {
  const content = JSON.stringify({ host: hostname(), process: process.pid, id: randomUUID() })
  let tag = await folder.put(name, content, { ifNone: true })
  if (tag === null) {
    const left = await untilLeft(folder, name, content, onWait)
    tag =
      typeof left === 'string' ? left : await folder.put(name, content, left ? { ifTag: left.tag } : { ifNone: true })
    if (tag === null) throw lockedBy(folder, await folder.readText(name))
  }
  return keep(folder, { name, content, tag })
}

/** Waits until it is certain that a lease has no holder. @returns its tag where it is there; as a text where it is our own */
async function untilLeft(
  folder: BucketFolder,
  name: string,
  content: string,
  onWait: (message: string) => void,
): Promise<{ readonly tag: string } | string | null> {
  const first = await folder.read(name)
  if (!first) return null
  const holder = Buffer.from(first.content).toString()
  if (holder === content) return first.tag // the answer to our request was lost, and it was sent again
  onWait(
    `${describe(holder)} holds '${folder.url}${name}'. It is taken over if it is not renewed for ${lasts / 1000} s.`,
  )
  for (const began = performance.now(); performance.now() - began < lasts;) {
    await sleep(lookEvery)
    const now = await folder.read(name)
    if (!now) return null
    if (now.modified !== first.modified || now.tag !== first.tag) throw lockedBy(folder, holder)
  }
  return { tag: first.tag }
}

function keep(
  folder: BucketFolder,
  { name, content, tag: taken }: { readonly name: string; readonly content: string; readonly tag: string },
): Held {
  const controller = new AbortController()
  let tag = taken
  let renewed = performance.now()
  let renewing: Promise<void> = Promise.resolve()
  const lose = (): void => {
    clearInterval(timer)
    controller.abort(
      new GradCamError('ERR_LOCKED', `Another process has '${folder.url}' now, or may have: its lock was not renewed.`),
    )
  }
  const renew = async (): Promise<void> => {
    const began = performance.now()
    // Another text each time: a tag is that of the content.
    const written = await folder
      .put(name, `${content}${' '.repeat(1 + (Math.round(began) % 97))}`, { ifTag: tag })
      .catch(() => '')
    if (written) [tag, renewed] = [written, began]
    else if (written === null || performance.now() - renewed > lasts - renewEvery) lose()
  }
  const timer = setInterval(() => void (renewing = renewing.then(renew)), renewEvery)
  timer.unref()
  return {
    lost: controller.signal,
    release: async () => {
      clearInterval(timer)
      await renewing
      if (!controller.signal.aborted) await folder.remove([name])
    },
  }
}

function lockedBy(folder: BucketFolder, holder: string | null): GradCamError {
  return new GradCamError('ERR_LOCKED', `${describe(holder)} is at work on '${folder.url}'.`, {
    remedy: 'Wait until it ends, or end it and resume the job.',
    details: { folder: folder.url },
  })
}

function describe(holder: string | null): string {
  try {
    const { host, process: pid } = JSON.parse(holder ?? '') as { host?: unknown; process?: unknown }
    if (typeof host === 'string' && typeof pid === 'number') return `Process ${pid} on ${host}`
  } catch {
    // Something else wrote it.
  }
  return 'Another process'
}
