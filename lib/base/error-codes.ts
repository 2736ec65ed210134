/** What a code says, for docs and for programs that answer over HTTP. */
export interface ErrorCodeInfo {
  /** What the code is about: where docs list it. */
  readonly group:
    | 'setup'
    | 'model file'
    | 'layer'
    | 'target'
    | 'order of calls'
    | 'lifetime'
    | 'argument'
    | 'image'
    | 'job'
    | 'command line'
    | 'run'
    | 'server'
  /** One sentence. */
  readonly meaning: string
  /**
   * The HTTP status for a service whose client sent the image, target or option that the error is about: 4xx where the
   * client can correct it, 5xx where only the operator of the service can.
   */
  readonly status: number
}

/**
 * Every code of a {@link GradCamError}. The text of an error may be improved in any release; its code may not change.
 */
export const errorCodes = {
  ERR_ADDON_NOT_BUILT: {
    group: 'setup',
    meaning: 'The native addon was not built or not found.',
    status: 500,
  },
  ERR_ADDON_LOAD: {
    group: 'setup',
    meaning: 'The native addon is there, but cannot be used: LibTorch has changed or is gone, or the file is damaged.',
    status: 500,
  },
  ERR_BUILD: { group: 'setup', meaning: 'The native addon could not be built.', status: 500 },
  ERR_LIBTORCH_NOT_FOUND: {
    group: 'setup',
    meaning: 'The folder that LIBTORCH names is not a usable LibTorch.',
    status: 500,
  },
  ERR_LIBTORCH_INSTALL: { group: 'setup', meaning: 'pip could not install PyTorch.', status: 500 },
  ERR_TOOL_MISSING: {
    group: 'setup',
    meaning: 'A program or package that is needed is missing: a compiler, CMake, Python, pip, sharp or Fastify.',
    status: 500,
  },

  ERR_FILE_NOT_FOUND: { group: 'model file', meaning: 'A file does not exist.', status: 404 },
  ERR_FILE_UNREADABLE: { group: 'model file', meaning: 'A file exists, but cannot be read.', status: 500 },
  ERR_MODEL_CORRUPT: { group: 'model file', meaning: 'The model file is damaged or incomplete.', status: 422 },
  ERR_MODEL_IS_STATE_DICT: {
    group: 'model file',
    meaning: 'The file holds weights (a state dict or tensors), not a TorchScript model.',
    status: 422,
  },
  ERR_MODEL_IS_EAGER_PICKLE: {
    group: 'model file',
    meaning: 'The file holds a pickled Python module, not a TorchScript model.',
    status: 422,
  },
  ERR_MODEL_IS_EXPORTED_PROGRAM: {
    group: 'model file',
    meaning: 'The file was written by torch.export, not by torch.jit.',
    status: 422,
  },
  ERR_MODEL_NOT_TORCHSCRIPT: {
    group: 'model file',
    meaning: 'The file is something else than a TorchScript model.',
    status: 422,
  },
  ERR_MODEL_UNTRUSTED: {
    group: 'model file',
    meaning: 'A model that was loaded as untrusted calls an operator that is refused, or failed its trial.',
    status: 422,
  },
  ERR_MODEL_UNSUPPORTED: {
    group: 'model file',
    meaning: 'The exported program (.pt2) uses something that has no translation.',
    status: 422,
  },
  ERR_MODEL_OPERATOR: {
    group: 'model file',
    meaning: 'The model uses an operator of a library that is not loaded.',
    status: 422,
  },
  ERR_MODEL_CLASS: {
    group: 'model file',
    meaning: 'The model holds an object of a class that this LibTorch does not have, such as a TensorRT engine.',
    status: 422,
  },
  ERR_MODEL_DEVICE: {
    group: 'model file',
    meaning: "The model's code names a device that it is not loaded on.",
    status: 422,
  },
  ERR_WEIGHTS: {
    group: 'model file',
    meaning: 'The weights do not fit the architecture.',
    status: 422,
  },
  ERR_MODEL_NO_FORWARD: { group: 'model file', meaning: 'The model has no forward method.', status: 422 },
  ERR_MODEL_FROZEN: {
    group: 'model file',
    meaning: 'The model was frozen or optimised when it was saved, so it lacks the layer or the parameters asked for.',
    status: 422,
  },

  ERR_LAYER_NOT_FOUND: {
    group: 'layer',
    meaning: 'The model or the explainer has no layer of that path.',
    status: 404,
  },
  ERR_LAYER_NOT_HOOKABLE: { group: 'layer', meaning: 'No hook can be put on that layer.', status: 422 },
  ERR_LAYER_NOT_REACHED: { group: 'layer', meaning: 'The pass did not run that layer.', status: 422 },
  ERR_LAYER_OUTPUT: {
    group: 'layer',
    meaning: 'The layer returns something that no map can be made of, such as a tuple or a vector.',
    status: 422,
  },
  ERR_NOT_SPLITTABLE: {
    group: 'layer',
    meaning: "The model cannot be cut at its target layers, which execution 'split' or a precision requires.",
    status: 422,
  },

  ERR_TARGET: { group: 'target', meaning: 'The target is not valid, or does not fit the output.', status: 422 },
  ERR_TARGET_COUNT: {
    group: 'target',
    meaning: 'The number of targets differs from the number of images.',
    status: 422,
  },
  ERR_TARGET_OUT_OF_RANGE: { group: 'target', meaning: 'The model has no class of that number.', status: 422 },
  ERR_NO_GRADIENT: {
    group: 'target',
    meaning: 'The score does not depend, by a gradient, on what it is differentiated by.',
    status: 422,
  },
  ERR_NO_ATTENTION: {
    group: 'target',
    meaning: 'The method is of attention matrices, and the score depends on none.',
    status: 422,
  },
  ERR_NO_RELU: {
    group: 'target',
    meaning: 'The pass has no ReLU that the rule of the method could apply to.',
    status: 422,
  },
  ERR_ACTIVATION: {
    group: 'target',
    meaning: 'DeepLIFT or LRP has no rule for an operator of the model.',
    status: 422,
  },

  ERR_NO_FORWARD: {
    group: 'order of calls',
    meaning: 'A call requires a forward (or an added image) that has not happened, or failed.',
    status: 500,
  },
  ERR_NO_BACKWARD: {
    group: 'order of calls',
    meaning: 'A call requires a backward that has not happened.',
    status: 500,
  },

  ERR_CLOSED: { group: 'lifetime', meaning: 'The explainer was disposed.', status: 500 },
  ERR_DISPOSED: { group: 'lifetime', meaning: 'The model, tensor or metric was disposed.', status: 500 },
  ERR_ABORTED: { group: 'lifetime', meaning: 'The call was stopped before it finished.', status: 503 },

  ERR_LOCKED: { group: 'job', meaning: "Another process holds the lock, e.g. of a job's folder.", status: 409 },
  ERR_LOCK_FAILED: {
    group: 'job',
    meaning: 'A lock cannot be taken: the system or the file system refuses it.',
    status: 500,
  },
  ERR_JOB_EXISTS: { group: 'job', meaning: 'The folder holds a job already.', status: 409 },
  ERR_JOB_CHANGED: { group: 'job', meaning: 'The job to resume has other options than those given.', status: 409 },
  ERR_JOB_VERSION: { group: 'job', meaning: 'The job was written by another version of this package.', status: 409 },
  ERR_JOB_NOT_FOUND: { group: 'job', meaning: 'The queue has no job of that name.', status: 404 },
  ERR_QUEUE: { group: 'job', meaning: 'The server of the queue cannot be reached, or refuses.', status: 503 },
  ERR_QUEUE_REFUSED: {
    group: 'job',
    meaning:
      'A worker refuses a task of the queue: it is malformed, or names a file or model that the worker may not use.',
    status: 403,
  },
  ERR_STORAGE: { group: 'job', meaning: 'An object storage (s3://) cannot be reached, or refuses.', status: 503 },
  ERR_WORKER_DIED: { group: 'job', meaning: 'The process that explained the input died of it.', status: 422 },

  ERR_INVALID_ARGUMENT: {
    group: 'argument',
    meaning: 'An argument or option has the wrong type or value.',
    status: 400,
  },
  ERR_SHAPE: { group: 'argument', meaning: 'A tensor or size has the wrong shape.', status: 400 },
  ERR_DTYPE: { group: 'argument', meaning: 'A tensor has the wrong dtype, or a dtype does not exist.', status: 400 },
  ERR_CHANNELS: {
    group: 'argument',
    meaning: 'An input has another number of channels than the model takes.',
    status: 422,
  },
  ERR_DEVICE: { group: 'argument', meaning: 'A device does not exist, or cannot be used.', status: 500 },
  ERR_HOOK_RESULT: {
    group: 'argument',
    meaning: 'A hook returned something that cannot replace a value.',
    status: 500,
  },

  ERR_IMAGE_NOT_FOUND: { group: 'image', meaning: 'The image file does not exist.', status: 404 },
  ERR_IMAGE_UNREADABLE: { group: 'image', meaning: 'The image file exists, but cannot be read.', status: 500 },
  ERR_IMAGE_CORRUPT: {
    group: 'image',
    meaning: 'The bytes are not an image of a supported format, or the image is damaged.',
    status: 422,
  },
  ERR_IMAGE_TOO_LARGE: { group: 'image', meaning: 'The image has more pixels than maxPixels allows.', status: 413 },
  ERR_IMAGE_TIMEOUT: { group: 'image', meaning: 'The image took longer to decode than decodeSeconds.', status: 422 },
  ERR_IMAGE_SVG: {
    group: 'image',
    meaning: 'The image is an SVG that was not asked for, is too large, or refers to something outside itself.',
    status: 415,
  },
  ERR_IMAGE_WRITE: { group: 'image', meaning: 'The image cannot be encoded or written.', status: 500 },

  ERR_USAGE: { group: 'command line', meaning: 'The command line was called with wrong arguments.', status: 400 },

  ERR_TORCH: { group: 'run', meaning: 'LibTorch refused an operation; the message is its own.', status: 422 },
  ERR_BATCH_SIZE: {
    group: 'run',
    meaning: 'The model does not give a row for each image of a batch of this size.',
    status: 422,
  },
  ERR_OUT_OF_MEMORY: {
    group: 'run',
    meaning: 'A tensor did not fit into memory, or into the limit of setTensorMemoryLimit.',
    status: 503,
  },

  ERR_INTERNAL: {
    group: 'server',
    meaning: 'Something failed that has no code: the operator of the server is told what.',
    status: 500,
  },
  ERR_REQUEST: { group: 'server', meaning: 'The request is incomplete or malformed.', status: 400 },
  ERR_TOKEN: { group: 'server', meaning: 'The request has no valid token.', status: 401 },
  ERR_ORIGIN: {
    group: 'server',
    meaning: 'The request names a host, or comes from a page of an origin, that the server does not answer.',
    status: 403,
  },
  ERR_ROUTE: { group: 'server', meaning: 'The server has nothing under that address.', status: 404 },
  ERR_MODEL_NOT_FOUND: { group: 'server', meaning: 'The server has no model of that name.', status: 404 },
  ERR_UPLOAD_NOT_FOUND: {
    group: 'server',
    meaning: 'The server has no uploaded image of that name, or not any more.',
    status: 404,
  },
  ERR_METHOD: { group: 'server', meaning: 'The server does not offer that method of explanation.', status: 403 },
  ERR_REQUEST_TIMEOUT: { group: 'server', meaning: 'The request did not arrive in time.', status: 408 },
  ERR_REQUEST_TOO_LARGE: { group: 'server', meaning: 'The request is larger than allowed.', status: 413 },
  ERR_MEDIA_TYPE: { group: 'server', meaning: 'The body of a request has a type that is not accepted.', status: 415 },
  ERR_BUSY: { group: 'server', meaning: 'As many requests as allowed are in progress. Try again later.', status: 503 },
  ERR_DRAINING: { group: 'server', meaning: 'The server is shutting down.', status: 503 },
  ERR_DEADLINE: { group: 'server', meaning: 'The explanation took longer than a request may take.', status: 504 },
} as const satisfies Record<string, ErrorCodeInfo>

/** Every kind of error of this package, by its stable code; {@link errorCodes} says what each means. */
export type GradCamErrorCode = keyof typeof errorCodes
