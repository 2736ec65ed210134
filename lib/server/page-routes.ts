import type { FastifyRequest } from 'fastify'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { packageRoot } from '../base/paths.js'
import type { Route } from './route.js'

/**
 * What the page may load and do: its own scripts, styles and images, and requests to the server that it comes from. It makes no
 * markup of text.
 */
export const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webp': 'image/webp',
}

/** What the page takes from the modules and styles of the report page. */
const shared = ['heat.js', 'palettes.js', 'slider.js', 'theme.css']

const assets = join(packageRoot, 'assets')

/** The files of the page by their addresses. Clients choose among these; no path is made of what they send. */
function pageFiles(): Map<string, string> {
  const own = readdirSync(join(assets, 'explorer')).filter((name) => name !== 'page.html')
  return new Map([
    ...own.map((name) => [`/explorer/${name}`, join(assets, 'explorer', name)] as const),
    ...shared.map((name) => [`/report/${name}`, join(assets, 'report', name)] as const),
    ['/explorer/cat_dog.png', join(packageRoot, 'samples', 'cat_dog.png')],
  ])
}

/** The page of a person who looks: ES modules as they are in assets, which a browser loads without a build. */
export function pageRoutes(): Route[] {
  const page = readFileSync(join(assets, 'explorer', 'page.html'))
  const files = Array.from(pageFiles(), ([url, path]): Route => {
    const type = types[extname(path)] as string
    const bytes = readFileSync(path)
    return {
      method: 'GET',
      url,
      summary: 'A file of the page.',
      answer: { [type]: { type: 'string' } },
      isOpen: true,
      isFile: true,
      handler: (_, reply) => reply.type(type).send(bytes),
    }
  })
  const index: Route = {
    method: 'GET',
    url: '/',
    summary: 'A page on which images are dropped and looked at.',
    answer: { 'text/html': { type: 'string' } },
    isOpen: true,
    handler: (request, reply) => {
      const folder = addressAsFolder(request)
      if (folder !== null) return reply.redirect(folder, 308)
      return reply.type('text/html; charset=utf-8').header('content-security-policy', pagePolicy).send(page)
    },
  }
  return [index, ...files]
}

/**
 * The address of the page where it is asked for without a slash at its end, below the prefix of an app: the addresses in the page
 * are relative to a folder. Null where it ends in one.
 */
function addressAsFolder({ raw, originalUrl }: FastifyRequest): string | null {
  // What Express leaves of the address in `url` has no prefix.
  const [path = '/'] = ((raw as { readonly originalUrl?: string }).originalUrl ?? originalUrl).split('?')
  return path.endsWith('/') ? null : `./${path.slice(path.lastIndexOf('/') + 1)}/`
}
