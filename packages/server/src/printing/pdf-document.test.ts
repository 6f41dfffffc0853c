import { describe, expect, test } from 'vitest'
import { pageFormats } from './page-format.ts'
import { pdfOfAddresses, pdfOfSheets } from './pdf-document.ts'
import {
  alphabets,
  bytesOf,
  codes,
  design,
  listId,
  pairsOn,
  readPdf,
  sheet,
} from './printing.fixture.ts'
import type { Sheet } from './sheet.ts'

function pdfOf(sheets: readonly Sheet[], changes = {}): Promise<Buffer> {
  return bytesOf(pdfOfSheets(sheets, sheets.length, design(changes)))
}

const textsOf = (page: { words: readonly { text: string }[] } | undefined) =>
  page?.words.map(({ text }) => text).join(' ') ?? ''

describe('a sheet', () => {
  test.each([
    ['A4', 1, 1, {}],
    ['A4', 50, 1, {}],
    ['LETTER', 50, 1, {}],
    ['A4', 200, 1, {}],
    ['LETTER', 200, 1, {}],
    ['A4', 1_000, 4, {}],
    ['LETTER', 1_000, 4, {}],
    ['A4', 50, 1, { alphabet: alphabets.lower, length: 16, block: 12 }],
    ['LETTER', 120, 1, { alphabet: alphabets.upper, length: 10, block: 10 }],
  ] as const)(
    '%s: %i codes stand beside their labels, on %i pages',
    async (paper, count, pageCount, form) => {
      const printed = codes(count, form)
      const pages = await readPdf(await pdfOf([sheet(printed)], { paper, notice: 'Keep it safe.' }))
      expect(pages).toHaveLength(pageCount)
      const pairs = pages.flatMap(pairsOn)
      const byIndex = new Map(pairs.map(({ index, otp }) => [index, otp]))
      expect(byIndex.size).toBe(count)
      for (const { index, otp } of printed) expect(byIndex.get(index), index).toBe(otp)
      for (const [number, page] of pages.entries()) {
        expect(page).toMatchObject({
          width: expect.closeTo(pageFormats[paper].width, 1),
          height: expect.closeTo(pageFormats[paper].height, 1),
        })
        expect(textsOf(page)).toContain(listId)
        if (pageCount > 1)
          expect(textsOf(page)).toMatch(new RegExp(`Page.*\\b${number + 1}/${pageCount}\\b`))
        for (const { x, y, width } of page.words) {
          expect(x).toBeGreaterThan(20)
          expect(x + width).toBeLessThan(page.width - 20)
          expect(y).toBeGreaterThan(20)
          expect(y).toBeLessThan(page.height - 20)
        }
      }
    },
  )

  test.each(['A4', 'LETTER'] as const)('%s: folded, no code is outside', async (paper) => {
    const printed = codes(150)
    const notice = 'Keep this sheet from others.\nStrike out what you have used.'
    const [page] = await readPdf(await pdfOf([sheet(printed)], { paper, notice }))
    const secrets = new Set(printed.map(({ otp }) => otp))
    const words = page?.words.filter(({ text }) => secrets.has(text)) ?? []
    expect(words).toHaveLength(150)
    const { height, foldsAt } = pageFormats[paper]
    for (const { y } of words) expect(height - y - 13).toBeGreaterThan(foldsAt[0] ?? 0)
  })

  test('codes are read down a column', async () => {
    const [page] = await readPdf(await pdfOf([sheet(codes(50))]))
    const words = page?.words ?? []
    const first = words.find(({ text }) => text === '1')
    const second = words.find(({ text }) => text === '2')
    expect(second?.x).toBeCloseTo(first?.x ?? Number.NaN, 0)
    expect(second?.y).toBeLessThan(first?.y ?? 0)
  })

  test('title, notice, method and expiry are on it', async () => {
    const notice = 'Never give a code to anybody.\nLost? Call 0800 1.'
    const [page] = await readPdf(await pdfOf([sheet(codes(3))], { title: 'Bank', notice }))
    const text = textsOf(page)
    for (const part of ['Bank', 'Never give a code to anybody.', 'Call 0800 1.', 'otp.1']) {
      expect(text).toContain(part)
    }
    expect(text).toContain('2026-11-22 10:00 UTC')
  })

  test('a list that does not expire says nothing of it', async () => {
    const [page] = await readPdf(await pdfOf([sheet(codes(3), { expiresAtMs: null })]))
    expect(textsOf(page)).not.toContain('Valid until')
  })

  test('the longest title and notice leave room for codes', async () => {
    const text = { title: 'W'.repeat(120), notice: '語'.repeat(600) }
    const pages = await readPdf(await pdfOf([sheet(codes(50))], { paper: 'LETTER', ...text }))
    expect(pages).toHaveLength(1)
    expect(pages.flatMap(pairsOn)).toHaveLength(50)
  })

  test.each([
    ['Cyrillic', 'Банк Надежда'],
    ['Greek', 'Τράπεζα Ελλάδος'],
    ['Vietnamese', 'Ngân hàng Việt'],
    ['Hebrew', 'בנק ישראל'],
    ['Arabic', 'البنك المركزي'],
    ['Armenian', 'Բանկ'],
    ['Georgian', 'ბანკი'],
    ['Chinese', '中国工商银行'],
    ['Chinese, traditional', '臺灣銀行'],
    ['Japanese', 'みずほ銀行カード'],
    ['Korean', '국민은행'],
  ])('prints %s', async (_, title) => {
    const [page] = await readPdf(await pdfOf([sheet(codes(1))], { title, notice: title }))
    const letters = new Set(textsOf(page))
    expect([...title].filter((letter) => !letters.has(letter))).toEqual([])
  })

  test('every font is embedded, and only with the glyphs that are used', async () => {
    const bytes = await pdfOf([sheet(codes(50))], { title: '銀行 은행 Банк', notice: 'abc' })
    const text = bytes.toString('latin1')
    const descriptors = text.match(/\/Type \/FontDescriptor/g) ?? []
    expect(descriptors.length).toBe(6)
    expect(text.match(/\/FontFile[23] /g)).toHaveLength(descriptors.length)
    expect(text.match(/\/FontName \/[A-Z]{6}\+/g)).toHaveLength(descriptors.length)
    expect(bytes.length).toBeLessThan(150_000)
  })
})

describe('a document', () => {
  test('has a sheet for every list, in their order, each with its own codes only', async () => {
    const sheets = ['A', 'B', 'C'].map((letter, number) =>
      sheet(codes(3 + number), { listId: listId.slice(0, -1) + letter }),
    )
    const pages = await readPdf(await pdfOf(sheets))
    expect(pages).toHaveLength(3)
    for (const [number, { listId: id, codes: printed }] of sheets.entries()) {
      expect(textsOf(pages[number])).toContain(id)
      expect(textsOf(pages[number])).toContain(`#${number + 1}/3`)
      expect(pages[number] && pairsOn(pages[number])).toHaveLength(printed.length)
    }
  })

  test('the same input at the same moment gives the same bytes', async () => {
    const one = await pdfOf([sheet(codes(20))], { title: 'שלום Acme' })
    expect(one.equals(await pdfOf([sheet(codes(20))], { title: 'שלום Acme' }))).toBe(true)
  })

  test('what was printed before does not show', async () => {
    const plain = () => pdfOf([sheet(codes(5))], { title: 'EA', notice: 'EA' })
    const before = await plain()
    await pdfOf([sheet(codes(5))], { title: 'Ëñ Ǟ', notice: 'Ëñ Ǟ' })
    expect(before.equals(await plain())).toBe(true)
  })

  test('sheets are drawn when their bytes are asked for, and not after the reader has gone', async () => {
    let drawn = 0
    function* endless(): Generator<Sheet> {
      while (drawn < 100_000) {
        drawn += 1
        yield sheet(codes(50))
      }
    }
    const pieces = pdfOfSheets(endless(), 100_000, design())
    expect((await pieces.next()).done).toBe(false)
    const afterOne = drawn
    expect(afterOne).toBeLessThan(50)
    await pieces.next()
    expect(drawn).toBeLessThanOrEqual(2 * afterOne)
    await pieces.return(undefined)
    const atEnd = drawn
    expect((await pieces.next()).done).toBe(true)
    expect(drawn).toBe(atEnd)
  })
})

describe('two parts', () => {
  const recipient = ['Erika Mustermann', 'Musterstraße 1', '12345 Musterstadt']

  test('an address page has name, address and list, and stands in the window', async () => {
    const bytes = await bytesOf(pdfOfAddresses([{ listId, recipient }], 1, design()))
    const [page] = await readPdf(bytes)
    expect(textsOf(page)).toContain(listId)
    const { address, height } = pageFormats.A4
    for (const line of recipient) {
      const word = page?.words.find(({ text }) => text === line)
      expect(word?.x).toBeGreaterThanOrEqual(address.left - 1)
      expect((word?.x ?? 0) + (word?.width ?? 0)).toBeLessThanOrEqual(address.left + address.width)
      expect(height - (word?.y ?? 0)).toBeGreaterThan(address.top)
      expect(height - (word?.y ?? 0)).toBeLessThan(address.top + address.height)
    }
  })

  test('no name is on a page with codes, no code on a page with a name', async () => {
    const printed = codes(50)
    const pages = await readPdf(await pdfOf([sheet(printed, { recipient })]))
    expect(pages).toHaveLength(2)
    expect(textsOf(pages[0])).toContain('Erika Mustermann')
    expect(pages[0] && pairsOn(pages[0])).toEqual([])
    expect(printed.some(({ otp }) => textsOf(pages[0]).includes(otp))).toBe(false)
    expect(textsOf(pages[1])).not.toContain('Mustermann')
    expect(pages[1] && pairsOn(pages[1])).toHaveLength(50)
  })
})
