/**
 * Runs `load`, which brings in LibTorch's OpenMP, such that its idle threads sleep rather than spin.
 *
 * By default they spin for a moment after every operator, in case another follows. In a process that shares its cores,
 * with other processes or with Node's own threads, the spinning takes the cores from those who work: with other load on
 * both cores of a machine one Grad-CAM of densenet121 took 1.8 s where it takes 0.17 s with sleeping threads. OpenMP reads
 * the variable once, when it is loaded, so it is set for that moment alone: processes started later do not inherit it. A
 * choice of the user's own, by either variable, stands. (In a worker thread, which has a copy of the environment, this has
 * no effect; load the package on the main thread too, or set OMP_WAIT_POLICY=passive for the process.)
 */
export function withSleepingIdleThreads<Result>(load: () => Result): Result {
  if (process.env['OMP_WAIT_POLICY'] !== undefined || process.env['GOMP_SPINCOUNT'] !== undefined) return load()
  process.env['OMP_WAIT_POLICY'] = 'passive'
  try {
    return load()
  } finally {
    delete process.env['OMP_WAIT_POLICY']
  }
}
