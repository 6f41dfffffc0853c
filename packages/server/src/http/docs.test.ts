import { describe, expect, test } from 'vitest'
import { contractOf, surfaceNames } from '#test/support/contract-files.ts'
import { html } from './docs/html.ts'
import { markdown } from './docs/markdown.ts'
import { Docs, mountDocs } from './docs.ts'
import { createHttpServer } from './server.ts'

const docs = new Docs(() => surfaceNames.map(contractOf))

describe('the reference page', () => {
  test.each(['', ...surfaceNames])(
    '"%s" loads nothing from elsewhere and has nothing inline',
    (name) => {
      const { body, headers } = (name === '' ? docs.index : docs.find(name)) ?? {
        body: '',
        headers: {},
      }
      const loaded = [
        ...body.matchAll(/<(?:script|link|img|iframe|source|object)[^>]*?(?:src|href)="([^"]*)"/g),
      ]
      expect(loaded.map(([, target]) => target)).toEqual(['/docs/docs.css', '/docs/docs.js'])
      expect(body).not.toMatch(/<style|<script>|\sstyle=|\son[a-z]+="/)
      expect(headers).toMatchObject({
        'content-security-policy': expect.stringMatching(/^default-src 'none';(?!.*unsafe)/),
      })
    },
  )

  test.each(surfaceNames)(
    'of %s has every operation and every schema, and no dead link',
    (name) => {
      const contract = contractOf(name)
      const body = docs.find(name)?.body ?? ''
      const ids = new Set([...body.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id))
      for (const { id } of contract.operations) expect(ids).toContain(id)
      for (const schema of Object.keys(contract.schemas)) expect(ids).toContain(`schema-${schema}`)
      const links = [...body.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id)
      expect(links.filter((id) => !ids.has(id))).toEqual([])
    },
  )

  test('is served below /docs/ with its files, and nothing else is', async () => {
    const app = createHttpServer({ ids: () => 'R' })
    mountDocs(app, docs)
    const types = ['platform', 'docs.css', 'docs.js', 'html.ts', '..%2fdocs.ts', 'constructor'].map(
      async (name) => {
        const { statusCode, headers } = await app.inject(`/docs/${name}`)
        return `${statusCode} ${headers['content-type']}`
      },
    )
    expect(await Promise.all(types)).toEqual([
      '200 text/html; charset=utf-8',
      '200 text/css; charset=utf-8',
      '200 text/javascript; charset=utf-8',
      ...Array(3).fill('404 text/plain; charset=utf-8'),
    ])
  })

  test('gives contracts byte for byte', () => {
    expect(docs.source('ast')).toEqual(contractOf('ast').source)
    expect(docs.source('../ast')).toBeUndefined()
  })
})

describe('text in a page', () => {
  test('is escaped wherever it is filled in', () => {
    expect(html`<a title="${`"'<>&`}">${['<b>', html`<i>`]}</a>`.text).toBe(
      '<a title="&quot;&#39;&lt;&gt;&amp;">&lt;b&gt;<i></a>',
    )
  })

  test('may be the little Markdown of descriptions, never HTML', () => {
    expect(markdown('A `x<y` and **b**\n\n- one\n  more\n- <script>').text).toBe(
      '<p>A <code>x&lt;y</code> and <strong>b</strong></p><ul><li>one\nmore</li><li>&lt;script&gt;</li></ul>',
    )
    expect(markdown('[x](javascript:alert) [y](https://example.com/"onclick)').text).toBe(
      '<p>[x](javascript:alert) <a href="https://example.com/&quot;onclick">y</a></p>',
    )
  })
})
