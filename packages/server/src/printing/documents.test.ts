import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { csvOfSheets } from './csv-document.ts'
import { htmlHeaders, htmlOfAddresses, htmlOfSheets } from './html-document.ts'
import { requirePrintable } from './printable.ts'
import { codes, design, listId, sheet } from './printing.fixture.ts'
import { englishLabels } from './sheet.ts'

describe('CSV', () => {
  test('is the contract’s, line by line', () => {
    const printed = [
      { index: '1', otp: '012345' },
      { index: 'B2', otp: '1E5A' },
    ]
    const text = [...csvOfSheets([sheet(printed), sheet(printed, { expiresAtMs: null })])].join('')
    expect(text).toBe(
      [
        'list,index,otp,expires',
        `${listId},1,012345,2026-11-22T10:00:00.000Z`,
        `${listId},B2,1E5A,2026-11-22T10:00:00.000Z`,
        `${listId},1,012345,`,
        `${listId},B2,1E5A,`,
        '',
      ].join('\r\n'),
    )
  })

  test.each(['=1+1', '+1', '-1', '@x', 'a,b', 'a"b', 'a\nb', '\t1', '|x'])(
    'never writes a cell "%s", which a spreadsheet might run',
    (otp) => {
      expect(() => [...csvOfSheets([sheet([{ index: '1', otp }])])]).toThrow()
    },
  )
})

describe('HTML', () => {
  const hostile = `</title></style><script>alert(1)</script><img src=x onerror='a'>"&`

  test('has every code beside its label, a section a list', () => {
    const printed = codes(50)
    const html = [...htmlOfSheets([sheet(printed), sheet(printed)], design())].join('')
    expect(html.match(/<section>/g)).toHaveLength(2)
    for (const { index, otp } of printed) {
      expect(html).toContain(`<li><span>${index}</span><b>${otp}</b></li>`)
    }
    expect(html).toContain('@page{size:A4')
    expect(html).toContain(listId)
  })

  test('columns are as wide as the codes', () => {
    for (const length of [4, 6, 16]) {
      const html = [...htmlOfSheets([sheet(codes(3, { length }))], design())].join('')
      expect(html).toContain(`<ol class="codes of${length}"`)
      expect(html).toMatch(new RegExp(`\\.of${length}\\{columns:\\d+mm\\}`))
    }
  })

  test('text is text: nothing that a caller sends becomes markup', () => {
    const labels = { list: hostile, method: hostile, validUntil: hostile, page: hostile }
    const wanted = design({ title: hostile, notice: hostile, labels })
    const recipient = [hostile]
    const pages = [
      ...htmlOfSheets([sheet(codes(1), { method: hostile, recipient })], wanted),
      ...htmlOfAddresses([{ listId, recipient }], wanted),
    ].join('')
    expect(pages).not.toMatch(/<(script|img)/i)
    expect(pages.match(/<\/style>/g)).toHaveLength(2)
    expect(pages).toContain('&lt;script&gt;')
  })

  test('the policy allows the one style and nothing else, in the header and in a saved file', () => {
    for (const paper of ['A4', 'LETTER'] as const) {
      const html = [...htmlOfSheets([], design({ paper }))].join('')
      const style = /<style>([\s\S]*?)<\/style>/.exec(html)?.[1] ?? ''
      const hash = createHash('sha256').update(style).digest('base64')
      const policy = htmlHeaders(paper)['content-security-policy']
      expect(policy).toContain(`default-src 'none'; style-src 'sha256-${hash}'`)
      expect(html).toContain(`style-src &#39;sha256-${hash}&#39;`)
      expect(html).not.toMatch(/https?:|url\(|@import|src=/)
    }
  })
})

describe('requirePrintable', () => {
  const wanted = {
    form: 'PDF',
    paper: 'A4',
    title: 'Acme',
    notice: 'One.\nTwo.',
    labels: englishLabels,
    recipients: [],
  } as const

  test('lets through what can be printed', async () => {
    const recipients = [{ lines: ['Łódź', '山田'], pointer: '/recipients/0' }]
    await requirePrintable({ ...wanted, recipients })
  })

  test.each([
    ['a control character', { title: 'a\u0007' }, '/title', 'bad_format'],
    ['a line end in a title', { title: 'a\nb' }, '/title', 'bad_format'],
    ['a bidi override', { title: 'a\u202eb' }, '/title', 'bad_format'],
    ['an isolate in a notice', { notice: '\u2066x' }, '/notice', 'bad_format'],
    ['half a surrogate pair', { title: '\ud800' }, '/title', 'bad_format'],
    ['a private character', { title: '\ue000' }, '/title', 'bad_format'],
    ['an alphabet without font', { title: 'ธนาคาร' }, '/title', 'unsupported'],
    ['a notice of too many lines', { notice: '\n'.repeat(12) }, '/notice', 'out_of_range'],
    ['a label', { labels: { ...englishLabels, page: '\u0000' } }, '/labels/page', 'bad_format'],
    [
      'an address line that is too wide',
      { recipients: [{ lines: ['x', '語'.repeat(60)], pointer: '/recipients/0' }] },
      '/recipients/0/1',
      'out_of_range',
    ],
  ])('refuses %s, and says where', async (_, changes, pointer, code) => {
    await expect(requirePrintable({ ...wanted, ...changes })).rejects.toMatchObject({
      code: 'invalid_request',
      faults: [{ pointer, code }],
    })
  })

  test('HTML is not bound to our fonts', async () => {
    await requirePrintable({ ...wanted, form: 'HTML', title: 'ธนาคาร' })
    await expect(
      requirePrintable({ ...wanted, form: 'HTML', title: '\u202e' }),
    ).rejects.toMatchObject({ code: 'invalid_request' })
  })
})
