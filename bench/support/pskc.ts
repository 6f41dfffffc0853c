import { createCipheriv, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { secretOf, serialOf } from './codes.ts'

/** AES-128 key of the encrypted files, in hex. */
export const pskcKeyHex = '12345678901234567890123456789012'

const macKey = Buffer.alloc(20, 5)
const keysAtOnce = 1_000

const head =
  '<?xml version="1.0" encoding="UTF-8"?>\n' +
  '<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc" ' +
  'xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:xenc="http://www.w3.org/2001/04/xmlenc#">\n'
const tail = '</KeyContainer>\n'

/** Writes a seed file as token makers send them: RFC 6030, plain or AES-128-CBC with HMAC-SHA1. */
export async function writePskc(
  path: string,
  { keyCount, isEncrypted }: { keyCount: number; isEncrypted: boolean },
): Promise<void> {
  const file = createWriteStream(path)
  file.write(head + (isEncrypted ? encryptionHead() : ''))
  for (let start = 0; start < keyCount; start += keysAtOnce) {
    let text = ''
    for (let number = start; number < Math.min(keyCount, start + keysAtOnce); number++) {
      text += keyPackage(number, isEncrypted)
    }
    if (!file.write(text)) await once(file, 'drain')
  }
  file.end(tail)
  await once(file, 'finish')
}

function keyPackage(number: number, isEncrypted: boolean): string {
  const serial = serialOf(number)
  const secret = secretOf(number)
  const value = isEncrypted
    ? encrypted(secret)
    : `<PlainValue>${secret.toString('base64')}</PlainValue>`
  return (
    '<KeyPackage><DeviceInfo><Manufacturer>Bench</Manufacturer>' +
    `<SerialNo>${serial}</SerialNo></DeviceInfo>` +
    `<Key Id="${serial}" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp"><Issuer>Bench</Issuer>` +
    '<AlgorithmParameters><ResponseFormat Length="6" Encoding="DECIMAL"/></AlgorithmParameters>' +
    `<Data><Secret>${value}</Secret><Counter><PlainValue>0</PlainValue></Counter></Data></Key></KeyPackage>\n`
  )
}

function encryptionHead(): string {
  return (
    '<EncryptionKey><ds:KeyName>Pre-shared-key</ds:KeyName></EncryptionKey>' +
    '<MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1">' +
    `<MACKey>${cipherData(seal(macKey))}</MACKey></MACMethod>\n`
  )
}

function encrypted(secret: Buffer): string {
  const bytes = seal(secret)
  const mac = createHmac('sha1', macKey).update(bytes).digest('base64')
  return `<EncryptedValue>${cipherData(bytes)}</EncryptedValue><ValueMAC>${mac}</ValueMAC>`
}

function cipherData(bytes: Buffer): string {
  return (
    '<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>' +
    `<xenc:CipherData><xenc:CipherValue>${bytes.toString('base64')}</xenc:CipherValue></xenc:CipherData>`
  )
}

function seal(plain: Buffer): Buffer {
  const iv = createHmac('sha256', macKey).update(plain).digest().subarray(0, 16)
  const cipher = createCipheriv('aes-128-cbc', Buffer.from(pskcKeyHex, 'hex'), iv)
  return Buffer.concat([iv, cipher.update(plain), cipher.final()])
}
