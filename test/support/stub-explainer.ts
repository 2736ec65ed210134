import { BatchFailure, GradCamError, type JobExplainer } from '../../lib/index.js'

/**
 * Makes explainers that fail every input in no time: for tests and measurements of what is around an explainer.
 *
 * @param library the classes of the library that runs it: a script runs that of dist/bundle, a test that of dist/lib
 */
export const stubExplainerOf = (library: {
  BatchFailure: typeof BatchFailure
  GradCamError: typeof GradCamError
}): (() => JobExplainer) => {
  const failure = () => new library.GradCamError('ERR_IMAGE_CORRUPT', 'a stub')
  return () => ({
    open: async () => ({ layer: null, devices: ['stub'] }),
    async *explain(inputs) {
      let index = 0
      for await (const { id = '' } of inputs) yield new library.BatchFailure(index++, id, failure(), null)
    },
    close: async () => {},
  })
}

export const stubExplainer = stubExplainerOf({ BatchFailure, GradCamError })
