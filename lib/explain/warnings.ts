/** The warnings of several calls together, each text once. */
export function joinWarnings(...lists: readonly (readonly string[] | undefined)[]): readonly string[] {
  return [...new Set(lists.flatMap((list) => list ?? []))]
}
