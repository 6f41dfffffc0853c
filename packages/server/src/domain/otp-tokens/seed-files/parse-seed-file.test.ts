import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DomainError } from '#domain/errors.ts'
import { parseSeedFile } from './parse-seed-file.ts'
import { parse, refusal } from './parsing.fixture.ts'
import * as rfc6030 from './rfc6030.vectors.ts'
import type { SeedFormat } from './seed-file.ts'

const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
const base64Secret = 'MTIzNDU2Nzg5MDEyMzQ1Njc4OTA='
const pskcStart = '<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">'
const onePackage = keyPackage('T1')
const pskc = `${pskcStart}${onePackage}</KeyContainer>`
const csv = `serial number,secret key\nT1,${secret}\n`
const dualShield = `<data><header><encode>BASE32</encode></header><tokens><token><serial>T1</serial><seed>${secret}</seed></token></tokens></data>`

function keyPackage(serial: string): string {
  return `<KeyPackage><Key Id="${serial}"><Data><Secret><PlainValue>${base64Secret}</PlainValue></Secret></Data></Key></KeyPackage>`
}

describe('recognition', () => {
  test.each([
    ['PSKC', pskc],
    ['PSKC', `<?xml version="1.0" encoding="utf-8"?>\n<!-- seeds -->\n${pskc}`],
    ['PSKC', `\ufeff${pskc}`],
    ['PSKC', `\n\t ${pskc}`],
    ['PSKC', pskc.replace('xmlns=', 'xmlns:p=').replace(/<(\/?)(?=[KDSP])/g, '<$1p:')],
    ['DUALSHIELD', dualShield],
    ['CSV', csv],
    ['CSV', `\ufeff\r\n${csv}`],
  ])('%s is recognised in %j', async (format, text) => {
    const file = await parse(text)
    expect(file).toMatchObject({ format, entries: [{ index: 1, serial: 'T1' }], faults: [] })
  })

  test.each([
    ['nothing', ''],
    ['blanks', ' \r\n\t'],
    ['a byte-order mark', '\ufeff'],
    ['another root', '<html/>'],
    ["the vendor's older root", '<tokenList/>'],
    ['the root of a draft', '<KeyContainer xmlns="urn:ietf:params:xml:ns:keyprov:container:1.0"/>'],
    ['the root without namespace', '<KeyContainer/>'],
    ['a root in a strange namespace', '<data xmlns="urn:x"/>'],
    ['prose', 'Dear customer, your tokens are on their way.'],
    ['JSON', '{"tokens":[]}'],
  ])('import_format_unknown for %s', async (_, text) => {
    expect((await refusal(parse(text))).code).toBe('import_format_unknown')
  })

  test.each<[SeedFormat, string]>([
    ['PSKC', csv],
    ['PSKC', dualShield],
    ['DUALSHIELD', pskc],
    ['DUALSHIELD', csv],
    ['CSV', pskc],
  ])('import_format_unknown when %s is asked for and %j comes', async (format, text) => {
    const error = await refusal(parseSeedFile({ text, format, encoding: 'BASE32' }))
    expect(error.code).toBe('import_format_unknown')
  })
})

describe('serials', () => {
  test('the second of one serial is a duplicate, also when the first was bad', async () => {
    const bad = keyPackage('T2').replace(base64Secret, '')
    const text = `${pskcStart}${onePackage}${bad}${keyPackage('T1')}${keyPackage('T2')}</KeyContainer>`
    const { entries, faults } = await parse(text)
    expect(entries).toMatchObject([{ index: 1, serial: 'T1' }])
    expect(faults).toMatchObject([
      { index: 2, serial: 'T2', code: 'bad_secret' },
      { index: 3, serial: 'T1', code: 'duplicate' },
      { index: 4, serial: 'T2', code: 'duplicate' },
    ])
  })

  test('10,000 entries are read, 10,001 are not, and other work goes on meanwhile', async () => {
    const packages = Array.from({ length: 10_000 }, (_, index) => keyPackage(`T${index}`)).join(
      '\n',
    )
    const turns = countTurns()
    const { entries } = await parse(`${pskcStart}${packages}</KeyContainer>`)
    expect(entries).toHaveLength(10_000)
    expect(turns.stop()).toBeGreaterThan(10)

    const error = await refusal(parse(`${pskcStart}${packages}${onePackage}</KeyContainer>`))
    expect(error).toMatchObject({ code: 'import_rejected', faults: [{ code: 'out_of_range' }] })
    const rows = Array.from({ length: 10_001 }, (_, index) => `T${index},${secret}`).join('\n')
    const csvError = await refusal(parse(`serial number,secret key\n${rows}`))
    expect(csvError).toMatchObject({ code: 'import_rejected', faults: [{ code: 'out_of_range' }] })
  })
})

describe('PSKC containers', () => {
  test.each([
    ['1.0', true],
    ['01.0', true],
    ['1.7', true],
    ['2.0', false],
    ['1', false],
    ['', false],
  ])('version %j: %s', async (version, isRead) => {
    const text = pskc.replace('"1.0"', `"${version}"`)
    if (isRead) expect((await parse(text)).entries).toHaveLength(1)
    else expect((await refusal(parse(text))).code).toBe('import_rejected')
  })

  test.each([
    ['no version', pskc.replace(' Version="1.0"', ''), 'required'],
    ['no package', `${pskcStart}</KeyContainer>`, 'required'],
    ['a key after its packages', pskc.replace('</KeyC', '<EncryptionKey/></KeyC'), 'bad_format'],
    ['a MAC after the packages', pskc.replace('</KeyC', '<MACMethod/></KeyC'), 'bad_format'],
    ['two keys', pskc.replace('<KeyP', '<EncryptionKey/><EncryptionKey/><KeyP'), 'bad_format'],
  ])('%s is import_rejected', async (_, text, code) => {
    const error = await refusal(parse(text))
    expect(error).toMatchObject({ code: 'import_rejected', faults: [{ code }] })
  })
})

describe('hostile XML is import_rejected, with its place, at once', () => {
  const laughs = Array.from(
    { length: 30 },
    (_, level) => `<!ENTITY l${level + 1} "${`&l${level};`.repeat(10)}">`,
  ).join('')

  test.each([
    ['a billion laughs', `<!DOCTYPE x [<!ENTITY l0 "ha">${laughs}]>${pskc.replace('T1', '&l30;')}`],
    ['an external DTD', `<!DOCTYPE KeyContainer SYSTEM "http://example.com/x.dtd">${pskc}`],
    ['an external entity', `<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>${pskc}`],
    ['an empty DTD', `<!DOCTYPE KeyContainer>${pskc}`],
    ['an entity of HTML', pskc.replace(base64Secret, '&nbsp;')],
    ['an entity every object has', pskc.replace(base64Secret, '&constructor;')],
    ['a prototype for an entity', pskc.replace(base64Secret, '&__proto__;')],
    ['a processing instruction', `<?xml-stylesheet href="x"?>${pskc}`],
    ['deep nesting', pskcStart + '<a>'.repeat(100_000)],
    [
      'deep nesting in a package',
      pskc.replace('<Data>', `<Data>${'<a>'.repeat(40)}${'</a>'.repeat(40)}`),
    ],
    ['a huge attribute', pskc.replace('Id="T1"', `Id="${'1'.repeat(5_000_000)}"`)],
    ['a huge name', pskc.replace('<Key ', `<${'K'.repeat(5_000_000)} `)],
    ['a huge text', pskc.replace(base64Secret, 'A'.repeat(5_000_000))],
    ['a huge comment', pskc.replace('<Key ', `<!--${'-x'.repeat(2_500_000)}--><Key `)],
    [
      'many attributes',
      pskc.replace(
        '<Key ',
        `<Key ${Array.from({ length: 100_000 }, (_, n) => `a${n}="1"`).join(' ')} `,
      ),
    ],
    ['many elements in one', pskc.replace('<Data>', `<Data>${'<a/>'.repeat(500_000)}`)],
    ['two attributes of one name', pskc.replace('Id="T1"', 'Id="T1" Id="T2"')],
    ['a prefix without namespace', pskc.replace('<Key ', '<x:Key ')],
    ['a NUL character', pskc.replace('T1', 'T\u0000')],
    ['a NUL by reference', pskc.replace('T1', 'T&#0;')],
    ['a control character', pskc.replace('T1', 'T\u0001')],
    ['a lone surrogate', pskc.replace('T1', 'T\ud800')],
    ['text after the end', `${pskc}x`],
    ['a second root', pskc + pskc],
    ['a wrong end tag', pskc.replace('</Key>', '</Kez>')],
    ['another encoding', `<?xml version="1.0" encoding="ISO-8859-1"?>${pskc}`],
    ['UTF-16 by name', `<?xml version="1.0" encoding="UTF-16"?>${pskc}`],
    ['XML 1.1', `<?xml version="1.1"?>${pskc}`],
    ['a late XML declaration', ` <?xml version="1.0"?>${pskc}`],
    ['UTF-16 bytes read as UTF-8', [...pskc].join('\u0000')],
  ])('%s', async (_, text) => {
    const startedAt = performance.now()
    const error = await refusal(parse(text))
    expect(error).toMatchObject({
      code: 'import_rejected',
      faults: [{ pointer: '/data', code: 'bad_format' }],
    })
    expect(error.faults[0]?.message.length).toBeLessThan(300)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  test('a file cut off anywhere is refused', async () => {
    for (let length = pskcStart.length; length < pskc.length; length += 7) {
      const error = await refusal(parse(pskc.slice(0, length)))
      expect(error.code).toBe('import_rejected')
    }
  })

  test('the message tells line and column', async () => {
    const text = pskc.replace('<KeyPackage>', '\n\n  <KeyPackage>').replace('</Key>', '</Kez>')
    const [fault] = (await refusal(parse(text))).faults
    expect(fault?.message).toMatch(/^Line 3, column \d+: /)
  })
})

describe('whatever is changed in a file, it is read or refused, and nothing else happens', () => {
  const key = rfc6030.figure6Key
  const insertions = fc.oneof(
    fc.constantFrom(
      '<',
      '>',
      '&',
      '"',
      '/',
      ']]>',
      '<![CDATA[',
      '<!--',
      '<Key>',
      '\u0000',
      '\ud800',
      ',',
      '\n',
    ),
    fc.string({ maxLength: 5 }),
  )

  test.each([
    ['PSKC', rfc6030.figure6],
    ['PSKC under a password', rfc6030.figure7],
    ['DualShield', dualShield],
    ['CSV', csv],
  ])('%s', async (_, original) => {
    const changes = fc.array(
      fc.record({ at: fc.nat(original.length), gone: fc.nat(20), put: insertions }),
      { minLength: 1, maxLength: 3 },
    )
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const text = list.reduce(
          (changed, { at, gone, put }) => changed.slice(0, at) + put + changed.slice(at + gone),
          original,
        )
        const outcome = await parseSeedFile({
          text,
          format: 'AUTO',
          encoding: 'BASE32',
          key,
        }).catch((error: unknown) => error)
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(DomainError)
      }),
      { numRuns: 500 },
    )
  })
})

/** Counts turns of the event loop, to see that nothing holds it. */
function countTurns(): { stop: () => number } {
  let count = 0
  let immediate = setImmediate(next)
  function next() {
    count++
    immediate = setImmediate(next)
  }
  return {
    stop: () => {
      clearImmediate(immediate)
      return count
    },
  }
}
