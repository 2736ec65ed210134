export default {
  files: ['dist/test/**/*.test.js'],
  workerThreads: false,
  concurrency: 2,
  // Between two results, and some files have Python compute for minutes first.
  timeout: '15m',
  environmentVariables: {
    // Two test files run at once. scripts/check/processors.mjs also tries two threads each.
    OMP_NUM_THREADS: process.env.GRADCAM_TEST_THREADS ?? '1',
  },
}
