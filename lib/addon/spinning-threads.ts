/**
 * Runs `load`, which loads LibTorch's OpenMP, such that its idle threads soon sleep rather than spin.
 *
 * After every operator they spin for a while, in case another follows. On a machine whose cores are also used by other
 * processes or by Node's own threads, this takes the cores from threads that work. Measured on two cores, as the time
 * for one Grad-CAM of densenet121: with OpenMP's own setting 76 ms when nothing else ran, and 1,772 ms beside other load;
 * with a short spin 80 ms and 433 ms; with none 135 to 155 ms and 168 ms. So the spin is made short. OpenMP reads the
 * variable once, when it is loaded; it is set for that moment alone, so that processes started later do not inherit it. A
 * setting of the user's own, by either variable, is kept. In a worker thread, which has a copy of the environment, this has
 * no effect, unless the main thread has loaded the package before.
 */
export function withShortSpin<Result>(load: () => Result): Result {
  if (process.env['OMP_WAIT_POLICY'] !== undefined || process.env['GOMP_SPINCOUNT'] !== undefined) return load()
  process.env['GOMP_SPINCOUNT'] = '10000'
  try {
    return load()
  } finally {
    delete process.env['GOMP_SPINCOUNT']
  }
}
