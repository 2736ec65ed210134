// Requests to the server that the page comes from.

/** An error that the server, or the way to it, answered with. */
export class RequestError extends Error {
  constructor({ title = 'The request failed.', detail, code = null }) {
    super(detail ?? title)
    this.code = code
  }
}

const tokenKey = 'gradcam-token'

/**
 * @param {(refused: boolean) => Promise<string>} askToken asks the person for the token of the server; `refused` where one was
 *   given that is not it
 */
export function createApi(askToken) {
  let token = sessionStorage.getItem(tokenKey)
  let asking = null

  function renewToken() {
    // Several requests may be refused at once.
    asking ??= askToken(token !== null)
      .then((given) => {
        token = given
        sessionStorage.setItem(tokenKey, given)
      })
      .finally(() => (asking = null))
    return asking
  }

  /** Throws RequestError, or the reason of the signal. */
  async function request(path, init = {}) {
    for (;;) {
      const used = token
      const headers = { ...init.headers, ...(used !== null && { authorization: `Bearer ${used}` }) }
      const reply = await fetch(path, { ...init, headers }).catch((error) => {
        if (init.signal?.aborted) throw init.signal.reason
        throw new RequestError({ title: `The server cannot be reached (${error.message}).` })
      })
      if (reply.ok) return reply
      const problem = await reply
        .json()
        .catch(() => ({ title: `The server answered with the status ${reply.status}.` }))
      if (problem.code !== 'ERR_TOKEN') throw new RequestError(problem)
      if (token === used) await renewToken()
    }
  }

  const json = async (path, init) => (await request(path, init)).json()

  /** Uploads an image, so that further requests name it. Where it cannot be kept, they send it again. */
  async function upload(image) {
    const { image: name } = await json('v1/images', { method: 'POST', body: image.file }).catch(() => ({ image: null }))
    image.uploaded = name
  }

  /** Posts an image with options: the first time as a form, later by the name of the upload. */
  async function post(path, image, options, signal) {
    await image.uploading
    if (image.uploaded) {
      const body = JSON.stringify({ image: image.uploaded, ...options })
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal }
      try {
        return await request(path, init)
      } catch (error) {
        if (error.code !== 'ERR_UPLOAD_NOT_FOUND') throw error
        image.uploaded = image.uploading = null // others needed its place
      }
    }
    const body = new FormData()
    body.set('options', JSON.stringify(options))
    body.set('image', image.file)
    const reply = await request(path, { method: 'POST', body, signal })
    image.uploading ??= upload(image)
    return reply
  }

  return {
    models: async () => (await json('v1/models')).models,
    methods: async () => (await json('v1/methods')).methods,
    layers: async (model) => (await json(`v1/models/${encodeURIComponent(model)}/layers`)).layers,
    /** @param image see images.js */
    explain: async (image, options, signal) => (await post('v1/explain', image, options, signal)).json(),
    evaluate: async (image, options, signal) => (await post('v1/evaluate', image, options, signal)).json(),
    /** The image as the server decodes it, for formats that the browser cannot show. */
    asPng: async (image, options) => (await post('v1/explain', image, { ...options, format: 'png', alpha: 0 })).blob(),
  }
}
