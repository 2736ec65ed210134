import { BatchFailure, GradCamError, type JobExplainer } from '../../lib/index.js'

/** It fails every input in no time: for tests and measurements of what is around an explainer. */
export const stubExplainer = (): JobExplainer => ({
  open: async () => ({ layer: null, devices: ['stub'] }),
  async *explain(inputs) {
    let index = 0
    for await (const { id = '' } of inputs)
      yield new BatchFailure(index++, id, new GradCamError('ERR_IMAGE_CORRUPT', 'a stub'), null)
  },
  close: async () => {},
})
