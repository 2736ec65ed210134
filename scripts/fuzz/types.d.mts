import type { GradCamError } from 'libtorch-gradcam'

/** What a module of kinds gives. */
export interface Kind {
  /**
   * Runs a case: 'corpus:NAME', or the number of a seed.
   *
   * @param begin is told in words what is done, before it is
   * @returns what is wrong, in words
   */
  readonly run: (id: string, begin: (what: string) => void) => Promise<readonly string[] | undefined>
  /** Whether a case may end with an error that is not the package's own; otherwise none may. */
  readonly allowed?: (error: unknown) => boolean
  /** The class of the package's errors, where a case runs another copy of it than 'libtorch-gradcam'. */
  readonly errors?: typeof GradCamError
  /** Whether tensors may be left after a case. */
  readonly keepsTensors?: boolean
}

export interface KindModule {
  /** `folder` may be written to. */
  readonly prepare: (folder: string) => Promise<Kind>
}

/** What the process that runs the cases is sent: the next case, or that it is to end. */
export type ToChild = { readonly id: string } | { readonly end: true }

/** What it sends: that it is ready, what a case is about to do, and how the case ended. */
export type FromChild =
  | { readonly ready: true }
  | { readonly begun: string }
  | { readonly outcome: string; readonly problems: readonly string[] }
