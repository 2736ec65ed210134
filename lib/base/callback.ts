/**
 * Waits for what a callback returned. Callbacks are typed as returning nothing, but an async function may be passed: its
 * failure has to end the call as that of any other function does, or it cannot be handled.
 */
export async function settled(returned: unknown): Promise<void> {
  if (returned instanceof Promise) await returned
}
