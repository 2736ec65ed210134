import type { Route } from './route.js'

/** What the page may load and do: nothing. */
export const pagePolicy =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const style = `body{font:1rem/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
code,pre{font:.9rem/1.5 ui-monospace,monospace}pre{padding:.75rem;overflow:auto;border:1px solid;border-radius:.4rem}
td{padding:.15rem 1rem .15rem 0;vertical-align:top}`

/** A page that says what the server offers. The addresses are relative: it may lie below a prefix. */
export function frontPage(routes: readonly Route[]): string {
  const rows = routes
    .filter(({ url }) => url !== '/')
    .map(({ method, url, summary }) => {
      const name = `${method} ${url}`
      const shown =
        method === 'GET' && !url.includes(':')
          ? `<a href=".${escape(url)}"><code>${escape(name)}</code></a>`
          : `<code>${escape(name)}</code>`
      return `<tr><td>${shown}</td><td>${escape(summary)}</td></tr>`
    })
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>gradcam serve</title>
<style>${style}</style>
<h1>gradcam serve</h1>
<p>Explains what a model looks at in an image. The map over the image:</p>
<pre>curl --data-binary @photo.jpg -H 'content-type: image/jpeg' 'ADDRESS/v1/explain?format=png' &gt; overlay.png</pre>
<table>
${rows.join('\n')}
</table>
</html>
`
}

function escape(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replaceAll(/[&<>"]/g, (one) => entities[one] as string)
}
