declare global {
  // Beside the types of Node.js or of a browser these add nothing. Without either, as with `types: []` and no `dom` in `lib`, a program
  // compiles with this package all the same.
  interface AbortSignal {}
  interface URL {}
  namespace NodeJS {
    interface ReadableStream {}
  }
}

/** Node's Buffer where the program has its types, else the bytes that it is. */
export type NodeBuffer = typeof globalThis extends { Buffer: { isBuffer: (value: unknown) => value is infer Made } }
  ? Made
  : Uint8Array
