import { describe, expect, test } from 'vitest'
import { BatchFileFault, readBatchFile } from './batch-file.ts'
import { CsvFault, csvRows } from './csv-rows.ts'

const rows = (text: string) => [...csvRows(text)].map(({ line, fields }) => [line, fields])

describe('CSV rows', () => {
  test.each([
    ['one line', 'a,b', [[1, ['a', 'b']]]],
    [
      'any line ends',
      'a\r\nb\nc\rd',
      [
        [1, ['a']],
        [2, ['b']],
        [3, ['c']],
        [4, ['d']],
      ],
    ],
    ['a byte-order mark', '\ufeffa,b\n', [[1, ['a', 'b']]]],
    ['blank lines', '\n \t\r\na\n\n', [[3, ['a']]]],
    ['a line of nothing but commas', ',\n', [[1, ['', '']]]],
    ['an empty field in quotes', '""\n', [[1, ['']]]],
    ['blanks beside commas', ' a ,\tb c , d', [[1, ['a', 'b c', 'd']]]],
    ['blanks inside quotes', '" a " , "b"', [[1, [' a ', 'b']]]],
    ['doubled quotes', '"a ""b"" c"', [[1, ['a "b" c']]]],
    [
      'a comma and a line end inside quotes',
      '"a,\r\nb",c\nd',
      [
        [1, ['a,\r\nb', 'c']],
        [3, ['d']],
      ],
    ],
    [
      'rows of different length',
      'a,b\nc',
      [
        [1, ['a', 'b']],
        [2, ['c']],
      ],
    ],
    ['nothing', '', []],
  ])('%s', (_name, text, expected) => {
    expect(rows(text)).toEqual(expected)
  })

  test.each([
    ['an open quote', 'a\n"b', /^Line 2: a quote is not closed/],
    ['an open quote after a doubled one', '"a""', /^Line 1: a quote is not closed/],
    ['text after a quoted field', 'a\n\n"b"c', /^Line 3: text beside a quoted field/],
    ['a quote inside a field', 'a"b', /^Line 1: text beside a quoted field/],
  ])('%s is refused with its line', (_name, text, message) => {
    expect(() => rows(text)).toThrow(CsvFault)
    expect(() => rows(text)).toThrow(message)
  })

  test('a field of megabytes takes no longer than reading it', () => {
    const startedAt = performance.now()
    expect(rows(`"${'""'.repeat(2_000_000)}"`)).toHaveLength(1)
    expect(() => rows(`"${'""'.repeat(2_000_000)}`)).toThrow(CsvFault)
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })
})

const header = 'domain,loginName,manufacturerCode,productCode,serial,status,pin'
const read = (csv: string) => readBatchFile({ csv, encoding: 'text', charset: 'UTF-8' })

describe('batch file', () => {
  test('the published sample: quotes, blanks after commas, CRLF', () => {
    const csv = `${header}\r\n"test domain", "john.smith", "DN", "MT", "10000", "ACTIVE", "1234"\r\n`
    expect(read(csv)).toEqual([
      {
        line: 2,
        domain: 'test domain',
        loginName: 'john.smith',
        manufacturerCode: 'DN',
        productCode: 'MT',
        serial: '10000',
        status: 'ACTIVE',
        pin: '1234',
      },
    ])
  })

  test('columns in any order, the optional ones absent or empty', () => {
    const csv = 'serial,productCode,manufacturerCode,loginName,domain,pin\n1,MT,DN,js,d,\n'
    expect(read(csv)).toEqual([
      {
        line: 2,
        domain: 'd',
        loginName: 'js',
        manufacturerCode: 'DN',
        productCode: 'MT',
        serial: '1',
      },
    ])
  })

  test.each([
    ['no text', '', /no column domain/],
    ['a missing column', 'domain,loginName,manufacturerCode,productCode\n', /no column serial/],
    ['another case', header.replace('loginName', 'loginname'), /unknown column/],
    ['an unknown column', `${header},other`, /unknown column/],
    ['a repeated column', `${header},pin`, /a column twice/],
    ['an open quote', `${header}\n"a`, /Line 2: a quote is not closed/],
    ['too many rows', `${header}\n${'a\n'.repeat(10_001)}`, /more than 10000 rows/],
  ])('%s is a fault of the file', (_name, csv, message) => {
    expect(() => read(csv)).toThrow(BatchFileFault)
    expect(() => read(csv)).toThrow(message)
  })

  test.each([
    ['too few fields', 'd,js,DN,MT,1'],
    ['too many fields', 'd,js,DN,MT,1,ACTIVE,1234,x'],
    ['an empty required field', 'd,,DN,MT,1,,'],
    ['a status that is none', 'd,js,DN,MT,1,active,'],
    ['a PIN that is none', 'd,js,DN,MT,1,,12'],
  ])('%s is a fault of the row, which is named', (_name, row) => {
    const [first, second] = read(`${header}\n\n${row}\nd,js,DN,MT,2,,`)
    expect(first).toEqual({ line: 3, serial: '1', problem: expect.any(String) })
    expect(second).toMatchObject({ line: 4, serial: '2' })
  })

  test.each([
    ['UTF-8', Buffer.from('\ufeffBüro')],
    ['utf-8', Buffer.from('Büro')],
    ['UTF-16', Buffer.from([0xfe, 0xff, 0, 0x42, 0, 0xfc, 0, 0x72, 0, 0x6f])],
    ['UTF-16', Buffer.from([0xff, 0xfe, ...Buffer.from('Büro', 'utf16le')])],
    ['UTF-16LE', Buffer.from('Büro', 'utf16le')],
    ['UTF-16BE', Buffer.from([0, 0x42, 0, 0xfc, 0, 0x72, 0, 0x6f])],
    ['ISO-8859-1', Buffer.from('Büro', 'latin1')],
    ['windows-1252', Buffer.from('Büro', 'latin1')],
  ])('bytes in %s', (charset, word) => {
    const encode = (text: string) =>
      charset.startsWith('UTF-16')
        ? isBigEndian(word)
          ? Buffer.from(text, 'utf16le').swap16()
          : Buffer.from(text, 'utf16le')
        : Buffer.from(text)
    const mark = word[0] === 0xff || word[0] === 0xfe ? word.subarray(0, 2) : Buffer.alloc(0)
    const name = word[0] === 0xef ? word.subarray(3) : word.subarray(mark.length)
    const bytes = Buffer.concat([mark, encode(`${header}\n`), name, encode(',js,DN,MT,1,,')])
    const csv = bytes.toString('base64')
    expect(readBatchFile({ csv, encoding: 'base64', charset })).toMatchObject([{ domain: 'Büro' }])
  })

  test.each([
    ['another charset', { csv: '', encoding: 'text', charset: 'EBCDIC' }],
    ['a name from the prototype', { csv: '', encoding: 'text', charset: 'constructor' }],
    ['no base64', { csv: '%', encoding: 'base64', charset: 'UTF-8' }],
    ['bytes of another charset', { csv: '/w==', encoding: 'base64', charset: 'UTF-8' }],
    ['half a character', { csv: 'QUJD', encoding: 'base64', charset: 'UTF-16LE' }],
  ] as const)('%s is a fault of the file', (_name, file) => {
    expect(() => readBatchFile(file)).toThrow(BatchFileFault)
  })
})

function isBigEndian(word: Uint8Array): boolean {
  return word[0] === 0xfe || word[0] === 0
}
