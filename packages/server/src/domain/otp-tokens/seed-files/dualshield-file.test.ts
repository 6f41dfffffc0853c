import { describe, expect, test } from 'vitest'
import { parse, refusal } from './parsing.fixture.ts'

const hexSecret = '3132333435363738393031323334353637383930'
const secret = new TextEncoder().encode('12345678901234567890')

/** The example of the contract, surfaces/dualshield, tokenImport. */
const contractExample = `<?xml version="1.0"?><data><header><manufacturerCode>DN</manufacturerCode><productCode>ST</productCode><encrypt>NONE</encrypt><encode>HEX</encode><digits>6</digits><timeWindow>60</timeWindow><crypto>HmacSHA1</crypto></header><tokens><token><serial>1001</serial><seed>${hexSecret}</seed></token></tokens></data>`

test("reads the contract's example", async () => {
  expect(await parse(contractExample)).toEqual({
    format: 'DUALSHIELD',
    entries: [
      {
        index: 1,
        serial: '1001',
        secret,
        manufacturerCode: 'DN',
        productCode: 'ST',
        algorithm: 'SHA1',
        digits: 6,
        periodSeconds: 60,
      },
    ],
    faults: [],
  })
})

describe('variations', () => {
  test.each([
    ['BASE32', 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'],
    ['BASE64', 'MTIzNDU2Nzg5MDEyMzQ1Njc4OTA='],
    ['hex', hexSecret],
  ])('seeds in %s', async (encode, seed) => {
    const text = contractExample.replace('>HEX<', `>${encode}<`).replace(hexSecret, seed)
    expect((await parse(text)).entries).toMatchObject([{ secret }])
  })

  test('what the header leaves out is left out', async () => {
    const text = contractExample.replace(
      /<header>.*<\/header>/,
      '<header><encode>HEX</encode></header>',
    )
    expect((await parse(text)).entries).toEqual([{ index: 1, serial: '1001', secret }])
  })

  test('synchronisation is the period when timeWindow is absent, else ignored', async () => {
    const both = contractExample.replace(
      '<timeWindow>',
      '<synchronisation>30</synchronisation><timeWindow>',
    )
    expect((await parse(both)).entries).toMatchObject([{ periodSeconds: 60 }])
    const alone = contractExample.replaceAll('timeWindow', 'synchronisation')
    expect((await parse(alone)).entries).toMatchObject([{ periodSeconds: 60 }])
  })

  test('a token may have description and counter; what is unknown is ignored', async () => {
    const text = contractExample.replace(
      '</seed>',
      '</seed><description>spare</description><counter>12</counter><syncsize>3</syncsize><x y="z"><a/></x>',
    )
    expect((await parse(text)).entries).toMatchObject([{ description: 'spare', counter: 12 }])
  })

  test('tokens are counted from 1 and judged one by one', async () => {
    const text = contractExample.replace(
      '</tokens>',
      '<token><serial>1002</serial><seed>zz</seed></token><token><seed>00</seed><counter>-1</counter></token></tokens>',
    )
    const { entries, faults } = await parse(text)
    expect(entries).toMatchObject([{ index: 1, serial: '1001' }])
    expect(faults).toMatchObject([
      { index: 2, serial: '1002', code: 'bad_secret' },
      { index: 3, code: 'required' },
      { index: 3, code: 'bad_secret' },
      { index: 3, code: 'out_of_range' },
    ])
  })
})

describe('refused as a whole', () => {
  test('not_supported for the encryption of the vendor', async () => {
    const text = contractExample.replace('>NONE<', '>AES256<')
    expect((await refusal(parse(text))).code).toBe('not_supported')
  })

  test.each([
    ['no header', contractExample.replace(/<header>.*<\/header>/, ''), 'required'],
    [
      'a header after the tokens',
      contractExample.replace(/(<header>.*<\/header>)(<tokens>.*<\/tokens>)/, '$2$1'),
      'required',
    ],
    [
      'two headers',
      contractExample.replace('<tokens>', '<header><encode>HEX</encode></header><tokens>'),
      'bad_format',
    ],
    ['no encoding', contractExample.replace('<encode>HEX</encode>', ''), 'required'],
    ['another encoding', contractExample.replace('>HEX<', '>ROT13<'), 'unsupported'],
    [
      'two encodings',
      contractExample.replace('<digits>', '<encode>BASE32</encode><digits>'),
      'bad_format',
    ],
    ['five digits', contractExample.replace('>6<', '>5<'), 'out_of_range'],
    ['another hash', contractExample.replace('HmacSHA1', 'HmacMD5'), 'unsupported'],
    ['an endless period', contractExample.replace('>60<', '>999999<'), 'out_of_range'],
    ['no token', contractExample.replace(/<token>.*<\/token>/, ''), 'required'],
    ['a token outside tokens', contractExample.replaceAll(/<\/?tokens>/g, ''), 'required'],
  ])('import_rejected for %s', async (_, text, code) => {
    const error = await refusal(parse(text))
    expect(error).toMatchObject({ code: 'import_rejected', faults: [{ code }] })
  })
})
