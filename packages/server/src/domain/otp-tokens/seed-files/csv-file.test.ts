import { describe, expect, test } from 'vitest'
import { parseSeedFile } from './parse-seed-file.ts'
import { parse, refusal } from './parsing.fixture.ts'

const secret = new TextEncoder().encode('12345678901234567890')
const base32 = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
const header = 'serial number,secret key'

describe('what is read', () => {
  test.each([
    ['as documented', `${header}\nT1,${base32}\n`],
    ['without last line end', `${header}\nT1,${base32}`],
    ['with CRLF', `${header}\r\nT1,${base32}\r\n`],
    ['with CR', `${header}\rT1,${base32}\r`],
    ['with a byte-order mark', `\ufeff${header}\nT1,${base32}\n`],
    ['in another order and case', `SECRET KEY,Serial Number\n${base32},T1\n`],
    ['with quotes', `"serial number","secret key"\n"T1","${base32}"\n`],
    ['with blanks beside commas', `serial number , secret key\n T1 , ${base32} \n`],
    ['with blank lines', `\n${header}\n\n  \nT1,${base32}\n\n`],
    ['with a secret in lower case', `${header}\nT1,${base32.toLowerCase()}\n`],
    [
      'with the columns that say nothing',
      `${header},manufacturer,model,upn\nT1,${base32},a,"b,c",d@e\n`,
    ],
  ])('%s', async (_, text) => {
    expect(await parse(text)).toEqual({
      format: 'CSV',
      entries: [{ index: 1, serial: 'T1', secret }],
      faults: [],
    })
  })

  test('time interval, counter and digits, where they are filled in', async () => {
    const text = `${header},time interval,counter,digits\nT1,${base32},60,,8\nT2,${base32},,5,\n`
    expect((await parse(text)).entries).toEqual([
      { index: 1, serial: 'T1', secret, periodSeconds: 60, digits: 8 },
      { index: 2, serial: 'T2', secret, counter: 5 },
    ])
  })

  test.each([
    ['HEX', '3132333435363738393031323334353637383930'],
    ['BASE64', 'MTIzNDU2Nzg5MDEyMzQ1Njc4OTA='],
  ] as const)('secrets in %s', async (encoding, value) => {
    const text = `${header}\nT1,${value}\n`
    expect((await parseSeedFile({ text, format: 'CSV', encoding })).entries).toMatchObject([
      { secret },
    ])
    expect((await parse(text)).faults).toMatchObject([{ code: 'bad_secret' }])
  })

  test('a long file, whose rows lie across the pieces in which it is read', async () => {
    const rows = Array.from({ length: 9_000 }, (_, index) => `T${index},"${base32}"\r\n`)
    const { entries, faults } = await parse(`${header}\r\n${rows.join('')}`)
    expect(entries).toHaveLength(9_000)
    expect(entries.every((entry) => Buffer.from(secret).equals(entry.secret))).toBe(true)
    expect(faults).toEqual([])
  })
})

test('a bad row is a fault of its own, with its number and serial', async () => {
  const text = [
    `${header},digits`,
    `T1,${base32},6`,
    `T2,${base32}`,
    `T3,${base32},6,7`,
    `,${base32},6`,
    'T5,,6',
    'T6,not base32,6',
    `T7,${base32},5`,
    `T8,${base32},six`,
    `T 9,${base32},6`,
    'T10,GEZDGNBVGY3TQOJQ,6',
    `T11,${base32},6`,
  ].join('\n')
  const { entries, faults } = await parse(text)
  expect(entries.map(({ serial }) => serial)).toEqual(['T1', 'T11'])
  expect(faults.map(({ index, serial, code }) => [index, serial, code])).toEqual([
    [2, 'T2', 'bad_format'],
    [3, 'T3', 'bad_format'],
    [4, undefined, 'required'],
    [5, 'T5', 'required'],
    [6, 'T6', 'bad_secret'],
    [7, 'T7', 'out_of_range'],
    [8, 'T8', 'bad_format'],
    [9, undefined, 'bad_format'],
    [10, 'T10', 'bad_secret'],
  ])
})

describe('refused as a whole, naming the place and never the secret', () => {
  test.each([
    ['an unknown column', `${header},colour\nT1,${base32},red`, 'unsupported', /"colour"/],
    [
      'an unknown column with a formula',
      `${header},=1+1\nT1,${base32},x`,
      'unsupported',
      /"=1\+1"/,
    ],
    ['an empty column name', `${header},\nT1,${base32},`, 'unsupported', /unknown column ""/],
    ['a column twice', `${header},Secret Key\nT1,${base32},x`, 'bad_format', /"secret key"/],
    ['no serials', `secret key\n${base32}`, 'required', /"serial number"/],
    ['no secrets', 'serial number\nT1', 'required', /"secret key"/],
    ['no rows', header, 'required', /no row/],
    [
      'an open quote',
      `${header}\nT1,"${base32}\n`,
      'bad_format',
      /^Line [23]: a quote is not closed/,
    ],
    ['a quote inside a field', `${header}\nT1,${base32}"\n`, 'bad_format', /^Line 2: a quote/],
    ['text after a quote', `${header}\nT1,"${base32}"x\n`, 'bad_format', /^Line 2: text after/],
    ['a NUL character', `${header}\nT1,${base32}\u0000\n`, 'bad_format', /^Line 2: a NUL/],
    [
      'an endless row',
      `${header}\nT1,${base32}${'A'.repeat(1_000_000)}\n`,
      'bad_format',
      /longer than/,
    ],
    [
      'an endless quote',
      `${header}\nT1,"${`${base32}\n`.repeat(100_000)}`,
      'bad_format',
      /longer than/,
    ],
  ])('%s', async (_, text, code, message) => {
    const startedAt = performance.now()
    const error = await refusal(parse(text))
    expect(error).toMatchObject({
      code: 'import_rejected',
      faults: [{ code, message: expect.stringMatching(message) }],
    })
    expect(JSON.stringify(error.faults)).not.toContain(base32)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  test.each(['AUTO', 'CSV'] as const)('another delimiter, format %s', async (format) => {
    const text = `serial number;secret key\nT1;${base32}`
    const error = await refusal(parseSeedFile({ text, format, encoding: 'BASE32' }))
    expect(error).toMatchObject({
      code: 'import_rejected',
      faults: [
        { code: 'unsupported', message: expect.stringContaining('"serial number;secret key"') },
      ],
    })
  })
})
