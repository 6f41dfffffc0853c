import { describe, expect, test } from 'vitest'
import { encryptedPskc, fixtureKey } from './encrypted-pskc.fixture.ts'
import { collect, parse, refusal } from './parsing.fixture.ts'
import { parsePskcStream } from './pskc-file.ts'
import * as rfc6030 from './rfc6030.vectors.ts'
import type { EntryFault } from './seed-file.ts'

const rfcSecret = new TextEncoder().encode('12345678901234567890')

describe('RFC 6030', () => {
  test('figure 2: a secret of four bytes is too short for HOTP', async () => {
    const { entries, faults } = await parse(rfc6030.figure2)
    expect(entries).toEqual([])
    expect(faults).toMatchObject([{ index: 1, serial: '12345678', code: 'bad_secret' }])
  })

  test('figure 3: supplementary data', async () => {
    expect(await parse(rfc6030.figure3)).toEqual({
      format: 'PSKC',
      entries: [
        {
          index: 1,
          serial: '987654321',
          secret: rfcSecret,
          type: 'HOTP',
          digits: 8,
          counter: 0,
          issuer: 'Issuer',
          manufacturer: 'Manufacturer',
        },
      ],
      faults: [],
    })
  })

  test('figure 4: a key that must be derived from a master key has no secret', async () => {
    const { entries, faults } = await parse(rfc6030.figure4)
    expect(entries).toEqual([])
    expect(faults).toMatchObject([{ index: 1, serial: '987654321', code: 'required' }])
  })

  test('figure 5: a PIN that the device checks is no entry and no hindrance', async () => {
    const { entries, faults } = await parse(rfc6030.figure5)
    expect(entries).toMatchObject([{ index: 1, serial: '987654321', secret: rfcSecret }])
    expect(faults).toEqual([])
  })

  test('figure 6: AES-128-CBC with a pre-shared key', async () => {
    const { entries, faults } = await parse(rfc6030.figure6, { key: rfc6030.figure6Key })
    expect(entries).toMatchObject([
      { serial: '987654321', secret: rfcSecret, digits: 8, counter: 0 },
    ])
    expect(faults).toEqual([])
  })

  test('figure 7: a key derived from the password "qwerty"', async () => {
    const { entries, faults } = await parse(rfc6030.figure7, { password: rfc6030.figure7Password })
    expect(entries).toMatchObject([{ serial: '987654321', secret: rfcSecret, digits: 8 }])
    expect(faults).toEqual([])
  })

  test('figure 7 opens with the derived key itself, too', async () => {
    const key = '651e63cd57008476af1ff6422cd02e41'
    expect((await parse(rfc6030.figure7, { key })).entries).toMatchObject([{ secret: rfcSecret }])
  })

  test('figure 8: encryption for a certificate is refused as a whole', async () => {
    const error = await refusal(parse(rfc6030.figure8, { key: rfc6030.figure6Key }))
    expect(error).toMatchObject({ code: 'import_rejected', faults: [{ code: 'unsupported' }] })
  })

  test('figure 9: a signature is passed over', async () => {
    const { entries } = await parse(rfc6030.figure9)
    expect(entries).toMatchObject([{ serial: '0755225266', secret: rfcSecret, digits: 6 }])
  })

  test('figure 10: many keys with their dates; two keys of one device are one too many', async () => {
    const { entries, faults } = await parse(rfc6030.figure10)
    expect(entries.map(({ index, serial }) => [index, serial])).toEqual([
      [1, '654321'],
      [2, '123456'],
      [3, '9999999'],
    ])
    expect(entries[0]).toMatchObject({
      startsAtMs: Date.UTC(2006, 4, 1),
      expiresAtMs: Date.UTC(2006, 4, 31),
    })
    expect(faults).toMatchObject([{ index: 4, serial: '9999999', code: 'duplicate' }])
  })
})

const wrongKey = 'ffffffffffffffffffffffffffffffff'

describe('keys', () => {
  test.each([
    ['no key', rfc6030.figure6, {}, '/key'],
    ['a password instead of a key', rfc6030.figure6, { password: 'qwerty' }, '/key'],
    ['a wrong key', rfc6030.figure6, { key: wrongKey }, '/key'],
    ['a longer key', rfc6030.figure6, { key: wrongKey + wrongKey }, '/key'],
    ['a key of 15 bytes', rfc6030.figure6, { key: wrongKey.slice(2) }, '/key'],
    ['a key that is not hex', rfc6030.figure6, { key: `zz${wrongKey.slice(2)}` }, '/key'],
    ['no password', rfc6030.figure7, {}, '/password'],
    ['a wrong password', rfc6030.figure7, { password: 'QWERTY' }, '/password'],
    ['an empty password', rfc6030.figure7, { password: '' }, '/password'],
  ])('import_key_required for %s', async (_, text, keys, pointer) => {
    const error = await refusal(parse(text, keys))
    expect(error).toMatchObject({ code: 'import_key_required', faults: [{ pointer }] })
  })

  test('every wrong key is import_key_required, never a fault of an entry', async () => {
    for (let attempt = 0; attempt < 300; attempt++) {
      const key = attempt.toString(16).padStart(32, '0')
      expect((await refusal(parse(rfc6030.figure6, { key }))).code).toBe('import_key_required')
    }
  })

  test('a file that is not encrypted needs no key and is not disturbed by one', async () => {
    expect((await parse(rfc6030.figure3, { key: wrongKey, password: 'x' })).entries).toHaveLength(1)
  })
})

describe('parsePskcStream', () => {
  async function* inPieces(text: string, length: number): AsyncGenerator<string> {
    for (let start = 0; start < text.length; start += length)
      yield text.slice(start, start + length)
  }

  test.each([1, 7, 1000])('reads a file that comes in pieces of %i characters', async (length) => {
    const serials: string[] = []
    const faults: EntryFault[] = []
    const options = {
      key: Buffer.from(fixtureKey, 'hex'),
      onFaults: (list: readonly EntryFault[]) => faults.push(...list),
    }
    for await (const entry of parsePskcStream(inPieces(encryptedPskc(), length), options)) {
      serials.push(entry.serial)
    }
    expect(serials).toEqual(['T1', 'T2'])
    expect(faults).toEqual([])
  })

  test('the first bad entry ends it, unless somebody takes the faults', async () => {
    const bad = rfc6030.figure3.replace('>0<', '>none<')
    const read = async (onFaults?: (faults: readonly EntryFault[]) => void) =>
      collect(parsePskcStream([bad], onFaults ? { onFaults } : {}))
    expect(await refusal(read())).toMatchObject({
      code: 'import_rejected',
      faults: [{ index: 1, serial: '987654321', code: 'bad_format' }],
    })
    const faults: EntryFault[] = []
    expect(await read((list) => faults.push(...list))).toEqual([])
    expect(faults).toMatchObject([{ index: 1, code: 'bad_format' }])
  })

  test('another file is import_format_unknown', async () => {
    const error = await refusal(collect(parsePskcStream(['<data/>'])))
    expect(error.code).toBe('import_format_unknown')
  })

  test('reads more entries than an import may have, without keeping them', async () => {
    const head = '<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">'
    const count = 30_000
    async function* file() {
      yield head
      for (let index = 1; index <= count; index++) {
        yield `<KeyPackage><Key Id="T${index}"><Data><Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret></Data></Key></KeyPackage>\n`
      }
      yield '</KeyContainer>'
    }
    let read = 0
    let lastSerial = ''
    for await (const { serial } of parsePskcStream(file())) {
      read++
      lastSerial = serial
    }
    expect([read, lastSerial]).toEqual([count, `T${count}`])
  })
})
