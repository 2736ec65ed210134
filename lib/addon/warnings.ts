const announced = new Set<string>()
/** So many texts are remembered. A model may make a new one each time. */
const most = 1000

/**
 * Emits warnings of LibTorch and of models as warnings of Node.js, each text once: on standard error, unless the program
 * listens to `process.on('warning')` or was started with --no-warnings. For results that cannot hold them.
 */
export function announceWarnings(texts: readonly string[] = []): void {
  for (const text of texts) {
    if (announced.has(text) || announced.size >= most) continue
    announced.add(text)
    process.emitWarning(text, { type: 'TorchWarning', code: 'GRADCAM_TORCH' })
  }
}
