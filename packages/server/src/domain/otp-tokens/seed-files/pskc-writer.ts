import { createCipheriv, createHmac, createSecretKey, type KeyObject, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import { encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import type { HashAlgorithm } from '@countersign/protocol/otp/hotp.ts'
import type { Randomness } from '#domain/clock.ts'
import { iterationCountMax } from './pskc-key-derivation.ts'
import {
  type CipherMethod,
  cipherMethods,
  hmacSha256Uri,
  namespaces,
  pbkdf2Uri,
} from './pskc-names.ts'

/** One token as it goes into a PSKC file. */
export interface PskcKey {
  readonly serial: string
  readonly secret: Uint8Array
  readonly type: 'HOTP' | 'TOTP'
  readonly algorithm: HashAlgorithm
  readonly digits: number
  readonly periodSeconds?: number | undefined
  readonly counter?: number | undefined
  readonly driftSteps?: number | undefined
  readonly description?: string | undefined
  readonly issuer?: string | undefined
  readonly manufacturer?: string | undefined
  readonly model?: string | undefined
  readonly startsAtMs?: number | undefined
  readonly expiresAtMs?: number | undefined
}

/** Under a key of 16, 24 or 32 bytes that the reader has, or under a password with PBKDF2 and AES-256. */
export type PskcEncryption =
  | { readonly key: Uint8Array; readonly keyName: string }
  | { readonly password: string; readonly iterations: number }

export interface PskcExport {
  readonly keys: AsyncIterable<PskcKey> | Iterable<PskcKey>
  /** Absent: secrets are readable by whoever has the file. */
  readonly encryption?: PskcEncryption | undefined
  readonly randomness: Randomness
}

const pbkdf2Async = promisify(pbkdf2)
const blockBytes = 16
const saltBytes = 16
const macKeyBytes = 32
const derivedKeyBytes = 32

interface Protection {
  readonly cipher: CipherMethod
  readonly cipherUri: string
  readonly encryptionKey: KeyObject
  readonly macKey: KeyObject
  readonly randomness: Randomness
}

/** A whole PSKC 1.0 file (RFC 6030) as one text. */
export async function writePskc(content: PskcExport): Promise<string> {
  let text = ''
  for await (const part of pskcParts(content)) text += part
  return text
}

/**
 * A PSKC 1.0 file piece by piece, for any number of keys. Encrypted secrets are AES-CBC with HMAC-SHA-256, the MAC key
 * random and encrypted, as RFC 6030 section 6.1.1 wants it.
 *
 * @throws RangeError for a key of another length and for iterations that no reader would accept.
 */
export async function* pskcParts({
  keys,
  encryption,
  randomness,
}: PskcExport): AsyncGenerator<string> {
  yield '<?xml version="1.0" encoding="UTF-8"?>\n'
  yield `<KeyContainer Version="1.0" xmlns="${namespaces.pskc}"`
  let protection: Protection | undefined
  if (encryption) {
    checkIterations(encryption)
    yield ` xmlns:ds="${namespaces.ds}" xmlns:xenc="${namespaces.xenc}">\n`
    const salt = randomness(saltBytes)
    protection = await makeProtection(encryption, salt, randomness)
    yield 'password' in encryption
      ? derivedKeyElement(salt, encryption.iterations)
      : `<EncryptionKey><ds:KeyName>${escapeText(encryption.keyName)}</ds:KeyName></EncryptionKey>\n`
    yield `<MACMethod Algorithm="${hmacSha256Uri}">${macKeyElement(protection)}</MACMethod>\n`
  } else {
    yield '>\n'
  }
  for await (const key of keys) yield keyPackage(key, protection)
  yield '</KeyContainer>\n'
}

async function makeProtection(
  encryption: PskcEncryption,
  salt: Uint8Array,
  randomness: Randomness,
): Promise<Protection> {
  const key = 'password' in encryption ? await deriveKey(encryption, salt) : encryption.key
  const [cipherUri, cipher] =
    [...cipherMethods].find(([, { keyBytes }]) => keyBytes === key.length) ?? []
  if (!cipher || !cipherUri) throw new RangeError('A key has 16, 24 or 32 bytes.')
  return {
    cipher,
    cipherUri,
    encryptionKey: createSecretKey(key),
    macKey: createSecretKey(randomness(macKeyBytes)),
    randomness,
  }
}

function deriveKey(
  { password, iterations }: { password: string; iterations: number },
  salt: Uint8Array,
): Promise<Uint8Array> {
  return pbkdf2Async(password, salt, iterations, derivedKeyBytes, 'sha256')
}

function checkIterations(encryption: PskcEncryption): void {
  if (!('password' in encryption)) return
  const { iterations } = encryption
  if (!Number.isInteger(iterations) || iterations < 1 || iterations > iterationCountMax) {
    throw new RangeError(`Iterations are from 1 to ${iterationCountMax}.`)
  }
}

/** As in figure 7 of RFC 6030, where the parameters of PBKDF2 are in no namespace. */
function derivedKeyElement(salt: Uint8Array, iterations: number): string {
  return (
    `<EncryptionKey><xenc11:DerivedKey xmlns:xenc11="${namespaces.xenc11}">` +
    `<xenc11:KeyDerivationMethod Algorithm="${pbkdf2Uri}">` +
    `<pkcs5:PBKDF2-params xmlns="" xmlns:pkcs5="${namespaces.pkcs5}">` +
    `<Salt><Specified>${encodeBase64(salt)}</Specified></Salt>` +
    `<IterationCount>${iterations}</IterationCount>` +
    `<KeyLength>${derivedKeyBytes}</KeyLength>` +
    `<PRF Algorithm="${hmacSha256Uri}"/>` +
    '</pkcs5:PBKDF2-params></xenc11:KeyDerivationMethod></xenc11:DerivedKey></EncryptionKey>\n'
  )
}

function macKeyElement(protection: Protection): string {
  const bytes = encrypt(protection.macKey.export(), protection)
  return `<MACKey>${encryptedData(bytes, protection)}</MACKey>`
}

/** Children in the order of the schema, RFC 6030 section 11. */
function keyPackage(key: PskcKey, protection: Protection | undefined): string {
  const algorithm = `${namespaces.pskc}:${key.type.toLowerCase()}`
  return (
    '<KeyPackage>' +
    element('DeviceInfo', [
      textElement('Manufacturer', key.manufacturer),
      textElement('SerialNo', key.serial),
      textElement('Model', key.model),
    ]) +
    `<Key Id="${escapeAttribute(key.serial)}" Algorithm="${algorithm}">` +
    textElement('Issuer', key.issuer) +
    element('AlgorithmParameters', [
      // SHA1 goes without saying; together with ResponseFormat, Suite is more than the schema foresees.
      key.algorithm === 'SHA1' ? '' : textElement('Suite', key.algorithm),
      `<ResponseFormat Length="${key.digits}" Encoding="DECIMAL"/>`,
    ]) +
    textElement('FriendlyName', key.description) +
    element('Data', [secretElement(key.secret, protection), ...movingFactor(key)]) +
    element('Policy', [
      dateElement('StartDate', key.startsAtMs),
      dateElement('ExpiryDate', key.expiresAtMs),
    ]) +
    '</Key></KeyPackage>\n'
  )
}

function movingFactor(key: PskcKey): string[] {
  if (key.type === 'HOTP') return [plainElement('Counter', key.counter ?? 0)]
  return [
    plainElement('Time', 0),
    plainElement('TimeInterval', key.periodSeconds ?? 30),
    key.driftSteps ? plainElement('TimeDrift', key.driftSteps) : '',
  ]
}

function secretElement(secret: Uint8Array, protection: Protection | undefined): string {
  if (!protection) return plainElement('Secret', encodeBase64(secret))
  const bytes = encrypt(secret, protection)
  const mac = createHmac('sha256', protection.macKey).update(bytes).digest()
  return (
    `<Secret><EncryptedValue>${encryptedData(bytes, protection)}</EncryptedValue>` +
    `<ValueMAC>${encodeBase64(mac)}</ValueMAC></Secret>`
  )
}

function encrypt(bytes: Uint8Array, { cipher, encryptionKey, randomness }: Protection): Uint8Array {
  const initialisationVector = randomness(blockBytes)
  const encryptor = createCipheriv(cipher.name, encryptionKey, initialisationVector)
  return Buffer.concat([initialisationVector, encryptor.update(bytes), encryptor.final()])
}

function encryptedData(bytes: Uint8Array, { cipherUri }: Protection): string {
  return (
    `<xenc:EncryptionMethod Algorithm="${cipherUri}"/>` +
    `<xenc:CipherData><xenc:CipherValue>${encodeBase64(bytes)}</xenc:CipherValue></xenc:CipherData>`
  )
}

function element(name: string, parts: readonly string[]): string {
  const content = parts.join('')
  return content === '' ? '' : `<${name}>${content}</${name}>`
}

function textElement(name: string, text: string | undefined): string {
  return text === undefined ? '' : `<${name}>${escapeText(text)}</${name}>`
}

function plainElement(name: string, value: number | string): string {
  return `<${name}><PlainValue>${value}</PlainValue></${name}>`
}

function dateElement(name: string, timeMs: number | undefined): string {
  return timeMs === undefined ? '' : `<${name}>${new Date(timeMs).toISOString()}</${name}>`
}

function escapeText(text: string): string {
  return possibleInXml(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('\r', '&#13;')
}

function escapeAttribute(text: string): string {
  return escapeText(text)
    .replaceAll('"', '&quot;')
    .replaceAll('\t', '&#9;')
    .replaceAll('\n', '&#10;')
}

/** XML 1.0 has no way to write most control characters: they become U+FFFD. */
function possibleInXml(text: string): string {
  return text.toWellFormed().replace(/(?![\t\n\r\x7f-\x9f])[\p{Cc}\ufffe\uffff]/gu, '\ufffd')
}
