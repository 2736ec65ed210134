/** What is wrong in the structure of a model file, as the end of a sentence: `the pickle data.pkl ends in an opcode`. */
export class Malformed extends Error {
  override readonly name = 'Malformed'
}

/** The file ends before what its parts say is there. */
export class CutShort extends Malformed {}
