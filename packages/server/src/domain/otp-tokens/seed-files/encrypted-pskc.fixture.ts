import { createCipheriv, createHmac } from 'node:crypto'

export const fixtureSecret = new TextEncoder().encode('12345678901234567890')

/** What to make otherwise in a PSKC file with two encrypted HOTP keys, T1 and T2. */
export interface EncryptedPskc {
  readonly cipher?: string
  readonly keyHex?: string
  readonly macUri?: string
  readonly macHash?: string
  readonly padding?: (length: number) => Buffer
  readonly container?: (parts: {
    encryptionKey: string
    macMethod: string
    packages: string
  }) => string
  readonly secretElement?: (parts: { value: string; mac: string }, index: number) => string
  readonly counter?: Buffer
}

const pkcsPadding = (length: number) => Buffer.alloc(length, length)
/** In hex. */
export const fixtureKey = '000102030405060708090a0b0c0d0e0f'

export function encryptedPskc({
  cipher = 'aes128-cbc',
  keyHex = fixtureKey,
  macUri = 'http://www.w3.org/2000/09/xmldsig#hmac-sha1',
  macHash = 'sha1',
  padding = pkcsPadding,
  container = ({ encryptionKey, macMethod, packages }) => encryptionKey + macMethod + packages,
  secretElement = ({ value, mac }) => value + mac,
  counter,
}: EncryptedPskc = {}): string {
  const key = Buffer.from(keyHex, 'hex')
  const macKey = createHmac(macHash, 'mac key').digest()
  const seal = (plain: Uint8Array) => {
    const iv = Buffer.alloc(16, 7)
    const encryptor = createCipheriv(`aes-${key.length * 8}-cbc`, key, iv).setAutoPadding(false)
    const padded = Buffer.concat([plain, padding(16 - (plain.length % 16))])
    return Buffer.concat([iv, encryptor.update(padded), encryptor.final()])
  }
  const encrypted = (bytes: Buffer) =>
    `<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#${cipher}"/>` +
    `<xenc:CipherData><xenc:CipherValue>${bytes.toString('base64')}</xenc:CipherValue></xenc:CipherData>`
  const value = (bytes: Buffer) => `<EncryptedValue>${encrypted(bytes)}</EncryptedValue>`
  const mac = (bytes: Buffer) =>
    `<ValueMAC>${createHmac(macHash, macKey).update(bytes).digest('base64')}</ValueMAC>`
  const sealed = seal(fixtureSecret)
  const sealedCounter = counter && seal(counter)
  const keyPackage = (index: number) =>
    `<KeyPackage><Key Id="T${index}" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp"><Data>` +
    `<Secret>${secretElement({ value: value(sealed), mac: mac(sealed) }, index)}</Secret>` +
    (sealedCounter ? `<Counter>${value(sealedCounter)}${mac(sealedCounter)}</Counter>` : '') +
    '</Data></Key></KeyPackage>'
  const content = container({
    encryptionKey: '<EncryptionKey><ds:KeyName>Pre-shared-key</ds:KeyName></EncryptionKey>',
    macMethod: `<MACMethod Algorithm="${macUri}"><MACKey>${encrypted(seal(macKey))}</MACKey></MACMethod>`,
    packages: keyPackage(1) + keyPackage(2),
  })
  return (
    '<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc" ' +
    'xmlns:ds="http://www.w3.org/2000/09/xmldsig#" ' +
    `xmlns:xenc="http://www.w3.org/2001/04/xmlenc#">${content}</KeyContainer>`
  )
}
