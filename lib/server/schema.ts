// One set of schemas: Fastify validates by them, serializes by them, and /openapi.json consists of them. They use what JSON
// Schema draft 7 and OpenAPI 3.1 have in common.

/** A JSON Schema. */
export type Schema = Readonly<Record<string, unknown>>

export const text = (description: string): Schema => ({ type: 'string', description })
export const number = (description: string): Schema => ({ type: 'number', description })
export const integer = (description: string): Schema => ({ type: 'integer', description })
export const nullable = (schema: Schema): Schema => ({ ...schema, type: [schema['type'], 'null'] })
export const list = (items: Schema, description: string): Schema => ({ type: 'array', items, description })

export function object(properties: Readonly<Record<string, Schema>>, required = Object.keys(properties)): Schema {
  return { type: 'object', properties, required }
}

/** The bytes of a file. */
export const binary: Schema = { type: 'string', format: 'binary' }
