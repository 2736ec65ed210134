import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../base/paths.js'
import { problemType } from './problem.js'
import type { Route } from './route.js'
import { problemSchema } from './answer-schemas.js'
import type { Schema } from './schema.js'

/** The routes as an OpenAPI 3.1 document, made of the schemas that validate requests and serialize answers. */
export function openApi(routes: readonly Route[]): unknown {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes.filter(({ isFile = false }) => !isFile)) {
    const path = route.url.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'gradcam serve', version, description: 'Explains what PyTorch models look at in images.' },
    paths,
    components: {
      schemas: { Problem: problemSchema },
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'Where the server has a token' } },
    },
  }
}

function operation({ summary, query, params, body, answer, isOpen }: Route): unknown {
  return {
    summary,
    ...(!isOpen && { security: [{ token: [] }, {}] }),
    parameters: [...parameters('query', query), ...parameters('path', params)],
    ...(body && { requestBody: { required: true, content: content(body) } }),
    responses: {
      200: { description: 'OK', content: content(answer) },
      default: {
        description: 'What was wrong',
        content: { [problemType]: { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  }
}

const content = (types: Readonly<Record<string, Schema>>): unknown =>
  Object.fromEntries(Object.entries(types).map(([type, schema]) => [type, { schema }]))

function parameters(place: 'query' | 'path', schema: Schema | undefined): unknown[] {
  const properties = (schema?.['properties'] ?? {}) as Readonly<Record<string, Schema>>
  return Object.entries(properties).map(([name, { description, ...own }]) => ({
    name,
    in: place,
    ...(place === 'path' && { required: true }),
    ...(description !== undefined && { description }),
    // An object stands in an address as JSON.
    ...(own['type'] === 'object' ? { content: content({ 'application/json': own }) } : { schema: own }),
  }))
}
