import { createHmac, pbkdf2Sync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { encryptedPskc, fixtureKey, fixtureSecret } from './encrypted-pskc.fixture.ts'
import { parse, refusal } from './parsing.fixture.ts'
import * as rfc6030 from './rfc6030.vectors.ts'

const wrongKey = 'ffffffffffffffffffffffffffffffff'

describe('encryption', () => {
  test.each([
    ['aes128-cbc', 16],
    ['aes192-cbc', 24],
    ['aes256-cbc', 32],
  ])('%s', async (cipher, keyBytes) => {
    const keyHex = '5a'.repeat(keyBytes)
    const { entries, faults } = await parse(encryptedPskc({ cipher, keyHex }), { key: keyHex })
    expect(entries).toMatchObject([{ secret: fixtureSecret }, { secret: fixtureSecret }])
    expect(faults).toEqual([])
  })

  test.each([
    ['sha1', 'http://www.w3.org/2000/09/xmldsig#hmac-sha1'],
    ['sha1', 'http://www.w3.org/2001/04/xmldsig-more#hmac-sha1'],
    ['sha224', 'http://www.w3.org/2001/04/xmldsig-more#hmac-sha224'],
    ['sha256', 'http://www.w3.org/2001/04/xmldsig-more#hmac-sha256'],
    ['sha384', 'http://www.w3.org/2001/04/xmldsig-more#hmac-sha384'],
    ['sha512', 'http://www.w3.org/2001/04/xmldsig-more#hmac-sha512'],
  ])('MAC with %s, called %s', async (macHash, macUri) => {
    const { entries } = await parse(encryptedPskc({ macHash, macUri }), { key: fixtureKey })
    expect(entries).toHaveLength(2)
  })

  test('the padding of XML Encryption has arbitrary bytes before its length', async () => {
    const padding = (length: number) =>
      Buffer.concat([Buffer.alloc(length - 1, 0xa5), Buffer.from([length])])
    expect((await parse(encryptedPskc({ padding }), { key: fixtureKey })).entries).toHaveLength(2)
    const error = await refusal(parse(encryptedPskc({ padding }), { key: wrongKey }))
    expect(error.code).toBe('import_key_required')
  })

  test.each([
    ['decimal digits', Buffer.from('831791'), 831_791],
    ['four big-endian bytes', Buffer.from('000cb12f', 'hex'), 831_791],
    ['eight big-endian bytes', Buffer.from('001fffffffffffff', 'hex'), Number.MAX_SAFE_INTEGER],
  ])('an encrypted counter in %s', async (_, counter, expected) => {
    const { entries } = await parse(encryptedPskc({ counter }), { key: fixtureKey })
    expect(entries[0]?.counter).toBe(expected)
  })

  test.each([
    ['beyond 2^53 - 1', Buffer.from('0020000000000000', 'hex'), 'out_of_range'],
    ['of nine bytes', Buffer.alloc(9, 1), 'bad_format'],
    ['of no byte', Buffer.alloc(0), 'bad_format'],
    ['below zero', Buffer.from('-1'), 'out_of_range'],
  ])('an encrypted counter %s is a fault', async (_, counter, code) => {
    const { faults } = await parse(encryptedPskc({ counter }), { key: fixtureKey })
    expect(faults).toMatchObject([{ code }, { code }])
  })
})

describe('R6: MACs', () => {
  test('one value that was changed is a fault of its entry, the others are good', async () => {
    const text = encryptedPskc({
      secretElement: ({ value, mac }, index) =>
        index === 2
          ? value.replace('BwcHBwcHBwcHBwcHBwcHB', 'BwcHBwcHBwcHBwcHBwcHA') + mac
          : value + mac,
    })
    const { entries, faults } = await parse(text, { key: fixtureKey })
    expect(entries).toMatchObject([{ serial: 'T1' }])
    expect(faults).toMatchObject([{ index: 2, serial: 'T2', code: 'bad_mac' }])
  })

  test('changed values are bad_mac also when all are changed: the MAC key is sound', async () => {
    const otherMac = `<ValueMAC>${Buffer.alloc(20).toString('base64')}</ValueMAC>`
    const text = encryptedPskc({ secretElement: ({ value }) => value + otherMac })
    const { entries, faults } = await parse(text, { key: fixtureKey })
    expect(entries).toEqual([])
    expect(faults).toMatchObject([{ code: 'bad_mac' }, { code: 'bad_mac' }])
  })

  test.each([
    ['a missing MAC', ({ value }: { value: string }) => value],
    ['an empty MAC', ({ value }: { value: string }) => `${value}<ValueMAC/>`],
    [
      'a MAC that is not Base64',
      ({ value }: { value: string }) => `${value}<ValueMAC>?</ValueMAC>`,
    ],
    [
      'the first bytes of the right MAC',
      ({ value, mac }: { value: string; mac: string }) => value + mac.replace(/>(.{8}).*</, '>$1<'),
    ],
    [
      'a MAC over a value that is not encrypted',
      ({ mac }: { mac: string }) => `<PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue>${mac}`,
    ],
  ])('%s is bad_mac', async (_, secretElement) => {
    const { entries, faults } = await parse(encryptedPskc({ secretElement }), { key: fixtureKey })
    expect(entries).toEqual([])
    expect(faults).toMatchObject([{ code: 'bad_mac' }, { code: 'bad_mac' }])
  })

  test('a file with MACs and no MACMethod is bad_mac throughout', async () => {
    const text = encryptedPskc({
      container: ({ encryptionKey, packages }) => encryptionKey + packages,
    })
    const { entries, faults } = await parse(text, { key: fixtureKey })
    expect(entries).toEqual([])
    expect(faults).toMatchObject([{ code: 'bad_mac' }, { code: 'bad_mac' }])
  })

  test('the MAC is over the encrypted value, not over the secret', async () => {
    const macKey = createHmac('sha1', 'mac key').digest()
    const plainMac = createHmac('sha1', macKey).update(fixtureSecret).digest('base64')
    const text = encryptedPskc({
      secretElement: ({ value }) => `${value}<ValueMAC>${plainMac}</ValueMAC>`,
    })
    expect((await parse(text, { key: fixtureKey })).faults).toMatchObject([
      { code: 'bad_mac' },
      { code: 'bad_mac' },
    ])
  })

  test('the MAC is checked before the value is decrypted: broken padding shows as bad_mac', async () => {
    const text = encryptedPskc({
      secretElement: ({ value, mac }, index) =>
        index === 2
          ? value.replace(/.{4}<\/xenc:CipherValue>/, 'AAAA</xenc:CipherValue>') + mac
          : value + mac,
    })
    expect((await parse(text, { key: fixtureKey })).faults).toMatchObject([{ code: 'bad_mac' }])
  })

  test('a counter is as well protected as a secret', async () => {
    const text = encryptedPskc({ counter: Buffer.from('5') })
    const changed = text.replace(/(<Counter>.*?<ValueMAC>)..../, '$1AAAA')
    const { entries, faults } = await parse(changed, { key: fixtureKey })
    expect(entries).toMatchObject([{ serial: 'T2', counter: 5 }])
    expect(faults).toMatchObject([{ serial: 'T1', code: 'bad_mac' }])
  })

  test('without a MAC key of its own, the encryption key makes the MACs', async () => {
    const key = Buffer.from(fixtureKey, 'hex')
    const text = encryptedPskc({
      container: ({ encryptionKey, packages }) =>
        `${encryptionKey}<MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"/>${packages}`,
      secretElement: ({ value }) => {
        const [, bytes = ''] = /CipherValue>([^<]+)/.exec(value) ?? []
        const mac = createHmac('sha1', key).update(Buffer.from(bytes, 'base64')).digest('base64')
        return `${value}<ValueMAC>${mac}</ValueMAC>`
      },
    })
    expect((await parse(text, { key: fixtureKey })).entries).toHaveLength(2)
    expect((await refusal(parse(text, { key: wrongKey }))).code).toBe('import_key_required')
  })

  test.each([
    ['no algorithm', '<MACMethod/>', 'required'],
    ['an unknown algorithm', '<MACMethod Algorithm="urn:none"/>', 'unsupported'],
    [
      'a MAC key by reference',
      '<MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"><MACKeyReference>K</MACKeyReference></MACMethod>',
      'unsupported',
    ],
    [
      'an empty MAC key',
      '<MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"><MACKey/></MACMethod>',
      'required',
    ],
    [
      'a MAC key of another place',
      '<MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"><MACKey><xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/><xenc:CipherData><xenc:CipherReference URI="http://example.com/"/></xenc:CipherData></MACKey></MACMethod>',
      'required',
    ],
  ])('MACMethod with %s refuses the file', async (_, macMethod, code) => {
    const container = ({ encryptionKey, packages }: { encryptionKey: string; packages: string }) =>
      encryptionKey + macMethod + packages
    const error = await refusal(parse(encryptedPskc({ container }), { key: fixtureKey }))
    expect(error).toMatchObject({ code: 'import_rejected', faults: [{ code }] })
  })
})

describe('encrypted values that cannot be read', () => {
  test.each([
    ['no method', (value: string) => value.replace(/<xenc:EncryptionMethod[^>]*>/, ''), 'required'],
    [
      'another method',
      (value: string) => value.replace('aes128-cbc', 'tripledes-cbc'),
      'unsupported',
    ],
    [
      'no value',
      (value: string) => value.replace(/<xenc:CipherData>.*CipherData>/, ''),
      'required',
    ],
    [
      'half a block',
      (value: string) => value.replace(/CipherValue>[^<]{8}/, 'CipherValue>'),
      'bad_format',
    ],
    [
      'text that is not Base64',
      (value: string) => value.replace(/CipherValue>..../, 'CipherValue>?'),
      'bad_format',
    ],
  ])('%s', async (_, change, code) => {
    const secretElement = ({ value, mac }: { value: string; mac: string }) => change(value) + mac
    const { faults } = await parse(encryptedPskc({ secretElement }), { key: fixtureKey })
    expect(faults).toMatchObject([{ code }, { code }])
  })
})

describe('PBKDF2', () => {
  const parameters = (change: (text: string) => string) => change(rfc6030.figure7)

  test.each([
    ['none', '<PRF/>', 'sha1'],
    ['absent', '', 'sha1'],
    ['HMAC-SHA-1', '<PRF Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"/>', 'sha1'],
    [
      'HMAC-SHA-256',
      '<PRF Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"/>',
      'sha256',
    ],
    ['hmacWithSHA256', '<PRF Algorithm="hmacWithSHA256"/>', 'sha256'],
  ])('PRF %s', async (_, prf, hash) => {
    const salt = Buffer.from('Ej7/PEpyEpw=', 'base64')
    const keyHex = pbkdf2Sync('qwerty', salt, 1000, 16, hash).toString('hex')
    const text = encryptedPskc({
      keyHex,
      container: ({ macMethod, packages }) =>
        /<pskc:EncryptionKey>[\s\S]*<\/pskc:EncryptionKey>/
          .exec(rfc6030.figure7)?.[0]
          .replaceAll('pskc:EncryptionKey', 'EncryptionKey')
          .replace(
            '<xenc11:DerivedKey',
            '<xenc11:DerivedKey xmlns:xenc11="http://www.w3.org/2009/xmlenc11#"',
          )
          .replace('<pkcs5:PBKDF2-params', '<pkcs5:PBKDF2-params xmlns="" xmlns:pkcs5="urn:x"')
          .replace('<PRF/>', prf) +
        macMethod +
        packages,
    })
    expect((await parse(text, { password: 'qwerty' })).entries).toHaveLength(2)
  })

  test('an absent key length is that of the cipher', async () => {
    const text = parameters((figure) => figure.replace('<KeyLength>16</KeyLength>', ''))
    expect((await parse(text, { password: 'qwerty' })).entries).toHaveLength(1)
  })

  test.each([
    ['no salt', /<Salt>[\s\S]*<\/Salt>/, '', 'bad_format'],
    ['a salt from elsewhere', /<Specified>.*<\/Specified>/, '<OtherSource/>', 'bad_format'],
    ['an empty salt', 'Ej7/PEpyEpw=', '', 'bad_format'],
    ['no iteration count', '<IterationCount>1000</IterationCount>', '', 'required'],
    ['no iteration', '>1000<', '>0<', 'out_of_range'],
    ['endless iterations', '>1000<', '>1000001<', 'out_of_range'],
    ['more iterations than a number holds', '>1000<', '>9999999999999999999<', 'out_of_range'],
    ['iterations in words', '>1000<', '>many<', 'bad_format'],
    ['a key of 17 bytes', '>16<', '>17<', 'out_of_range'],
    ['an endless key', '>16<', '>2147483647<', 'out_of_range'],
    ['another PRF', '<PRF/>', '<PRF Algorithm="urn:none"/>', 'unsupported'],
    ['another derivation', '#pbkdf2"', '#scrypt"', 'unsupported'],
    ['no parameters', /<pkcs5:PBKDF2-params>[\s\S]*<\/pkcs5:PBKDF2-params>/, '', 'required'],
    ['two sets of parameters', '<PRF/>', '<PRF/><PRF/>', 'bad_format'],
  ])('%s refuses the file', async (_, search, replacement, code) => {
    const text = parameters((figure) => figure.replace(search, replacement))
    expect(text).not.toBe(rfc6030.figure7)
    const error = await refusal(parse(text, { password: 'qwerty' }))
    expect(error).toMatchObject({ code: 'import_rejected', faults: [{ code }] })
  })
})
