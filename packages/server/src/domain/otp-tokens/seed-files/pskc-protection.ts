import {
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  pbkdf2,
  timingSafeEqual,
} from 'node:crypto'
import { promisify } from 'node:util'
import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { type KeyDerivation, readKeyDerivation } from './pskc-key-derivation.ts'
import {
  type CipherMethod,
  cipherMethods,
  type MacMethod,
  macMethods,
  pskcName,
  xencName,
} from './pskc-names.ts'
import { EntryProblem, fileRejected, keyRequired } from './seed-file.ts'
import type { XmlElement } from './xml-elements.ts'
import { childText, findChild, findDescendant } from './xml-queries.ts'

const pbkdf2Async = promisify(pbkdf2)
const blockBytes = 16

/** What the caller knows of a file's encryption. */
export interface PskcKeys {
  /** The AES key itself, 16, 24 or 32 bytes. */
  readonly key?: Uint8Array | undefined
  /** Turned into the key as the file says (PBKDF2). */
  readonly password?: string | undefined
}

interface UnlockedKeys {
  readonly encryptionKey: KeyObject
  readonly macKey: KeyObject
  /** The decrypted MAC key does not look like one, so the encryption key is probably another. */
  readonly isDoubtful: boolean
}

interface EncryptedData {
  readonly cipher: CipherMethod
  readonly bytes: Uint8Array
}

/**
 * The encryption of one PSKC file, RFC 6030 section 6: AES-CBC under a pre-shared key or one derived from a password,
 * and a MAC over each encrypted value, which is checked before that value is decrypted.
 *
 * The MAC key itself is encrypted, but not authenticated. So a wrong key shows when that key does not decrypt, or when
 * it decrypts to something that is not as long as its hash and then no MAC fits: both are `import_key_required`.
 * With a sound MAC key, a MAC that does not fit is a fault of its entry.
 */
export class PskcProtection {
  readonly #encryptionKey: XmlElement | undefined
  readonly #macMethodElement: XmlElement | undefined
  readonly #known: PskcKeys
  readonly #macMethod: MacMethod | undefined
  #unlocked: UnlockedKeys | undefined
  #hasFittingMac = false

  /** @throws DomainError `import_rejected` for a MACMethod that is malformed or of an unknown kind. */
  constructor(
    encryptionKey: XmlElement | undefined,
    macMethod: XmlElement | undefined,
    known: PskcKeys,
  ) {
    this.#encryptionKey = encryptionKey
    this.#macMethodElement = macMethod
    this.#known = known
    this.#macMethod = macMethod && readMacMethod(macMethod)
  }

  /**
   * Makes the keys ready, before the first encrypted value is read. Key derivation runs off the event loop.
   *
   * @throws DomainError `import_key_required` without the right key, `import_rejected` for what cannot be read.
   */
  async unlock(): Promise<void> {
    if (this.#unlocked) return
    const encryptedMacKey = this.#readMacKey()
    const encryptionKey = createSecretKey(
      await this.#findEncryptionKey(encryptedMacKey?.cipher.keyBytes),
    )
    if (!encryptedMacKey) {
      // Without a MAC key of its own, the file's MACs are made with the encryption key.
      this.#unlocked = { encryptionKey, macKey: encryptionKey, isDoubtful: true }
      return
    }
    checkKeyLength(encryptionKey, encryptedMacKey.cipher, this.#keyMember)
    const decrypted = decrypt(encryptedMacKey, encryptionKey)
    if (!decrypted || decrypted.bytes.length === 0) throw this.#wrongKey()
    this.#unlocked = {
      encryptionKey,
      macKey: createSecretKey(decrypted.bytes),
      isDoubtful: !decrypted.isPkcsPadded || decrypted.bytes.length !== this.#macMethod?.macBytes,
    }
  }

  /**
   * The bytes of an EncryptedValue, after its MAC was found right.
   *
   * @param holder the element with EncryptedValue and ValueMAC.
   * @throws EntryProblem; DomainError `import_key_required` if the key is seen to be wrong.
   */
  open(holder: XmlElement, encryptedValue: XmlElement): Uint8Array {
    const keys = this.#unlocked
    if (!keys) throw new Error('A value was read before the keys were ready.')
    const data = readEncryptedData(encryptedValue)
    this.#checkMac(holder, data.bytes, keys)
    checkKeyLength(keys.encryptionKey, data.cipher, this.#keyMember)
    const decrypted = decrypt(data, keys.encryptionKey)
    if (!decrypted) throw new EntryProblem('bad_format', 'An encrypted value has wrong padding.')
    return decrypted.bytes
  }

  #checkMac(holder: XmlElement, bytes: Uint8Array, keys: UnlockedKeys): void {
    const text = childText(holder, pskcName('ValueMAC'))
    if (text === undefined) {
      throw new EntryProblem('bad_mac', `${holder.name} is encrypted, but has no ValueMAC.`)
    }
    if (!this.#macMethod) {
      throw new EntryProblem('bad_mac', 'The file has MACs, but no MACMethod.')
    }
    const mac = decodeBase64(text, { xmlWhitespace: true })
    const expected = createHmac(this.#macMethod.hashName, keys.macKey).update(bytes).digest()
    if (mac?.length === expected.length && timingSafeEqual(mac, expected)) {
      this.#hasFittingMac = true
      return
    }
    if (keys.isDoubtful && !this.#hasFittingMac) throw this.#wrongKey()
    throw new EntryProblem('bad_mac', `The ValueMAC of ${holder.name} does not fit.`)
  }

  #readMacKey(): EncryptedData | undefined {
    if (!this.#macMethodElement) return undefined
    const macKey = findChild(this.#macMethodElement, pskcName('MACKey'))
    if (macKey) return inContainer(() => readEncryptedData(macKey))
    if (findChild(this.#macMethodElement, pskcName('MACKeyReference'))) {
      throw fileRejected('unsupported', 'MACKeyReference: only an encrypted MACKey is read.')
    }
    return undefined
  }

  async #findEncryptionKey(keyBytes: number | undefined): Promise<Uint8Array> {
    const derivation = this.#readDerivation()
    if (this.#known.key) return this.#known.key
    if (!derivation) throw keyRequired('key', 'The seed file is encrypted: its key is needed.')
    if (this.#known.password === undefined) {
      throw keyRequired('password', 'The seed file is encrypted: its password is needed.')
    }
    const length = derivation.keyBytes ?? keyBytes
    if (length === undefined) throw fileRejected('required', 'PBKDF2: KeyLength is missing.')
    const { salt, iterationCount, pseudorandomFunction } = derivation
    const password = this.#known.password
    return pbkdf2Async(password, salt, iterationCount, length, pseudorandomFunction)
  }

  #readDerivation(): KeyDerivation | undefined {
    const element = this.#encryptionKey
    return element && inContainer(() => readKeyDerivation(element))
  }

  get #keyMember(): 'key' | 'password' {
    return this.#known.key ? 'key' : 'password'
  }

  #wrongKey(): Error {
    const member = this.#keyMember
    return keyRequired(member, `The ${member} does not fit the seed file.`)
  }
}

function readMacMethod(element: XmlElement): MacMethod {
  const uri = element.attributes.get('Algorithm')
  if (uri === undefined) throw fileRejected('required', 'MACMethod: Algorithm is missing.')
  const method = macMethods.get(uri)
  if (!method) throw fileRejected('unsupported', 'MACMethod: the algorithm must be an HMAC-SHA.')
  return method
}

/** Reads xenc:EncryptedData: the method and the value, in place. References to elsewhere are not followed. */
function readEncryptedData(element: XmlElement): EncryptedData {
  const method = findChild(element, xencName('EncryptionMethod'))
  const uri = method?.attributes.get('Algorithm')
  if (uri === undefined) {
    throw new EntryProblem('required', `${element.name}: the EncryptionMethod is missing.`)
  }
  const cipher = cipherMethods.get(uri)
  if (!cipher) {
    throw new EntryProblem('unsupported', `${element.name}: the encryption must be AES-CBC.`)
  }
  const value = findDescendant(element, [xencName('CipherData'), xencName('CipherValue')])
  if (!value) throw new EntryProblem('required', `${element.name}: the CipherValue is missing.`)
  const bytes = decodeBase64(value.text, { xmlWhitespace: true })
  if (!bytes || bytes.length < 2 * blockBytes || bytes.length % blockBytes !== 0) {
    throw new EntryProblem(
      'bad_format',
      `${element.name}: the CipherValue is not an initialisation vector and whole blocks.`,
    )
  }
  return { cipher, bytes }
}

/**
 * AES-CBC with the padding of XML Encryption section 5.2: the last byte says how many bytes to drop. PKCS #5, which
 * RFC 6030 section 6.4 recommends, is the case where all of them are alike.
 *
 * @returns undefined if that number is impossible.
 */
function decrypt(
  { cipher, bytes }: EncryptedData,
  key: KeyObject,
): { bytes: Uint8Array; isPkcsPadded: boolean } | undefined {
  const decipher = createDecipheriv(cipher.name, key, bytes.subarray(0, blockBytes))
  decipher.setAutoPadding(false)
  const padded = Buffer.concat([decipher.update(bytes.subarray(blockBytes)), decipher.final()])
  const paddingLength = padded.at(-1) ?? 0
  if (paddingLength < 1 || paddingLength > blockBytes) return undefined
  const padding = padded.subarray(padded.length - paddingLength)
  return {
    bytes: Uint8Array.from(padded.subarray(0, padded.length - paddingLength)),
    isPkcsPadded: padding.every((byte) => byte === paddingLength),
  }
}

function checkKeyLength(
  key: KeyObject,
  { keyBytes }: CipherMethod,
  member: 'key' | 'password',
): void {
  if (key.symmetricKeySize === keyBytes) return
  throw keyRequired(
    member,
    `The file needs a key of ${keyBytes} bytes, not ${key.symmetricKeySize}.`,
  )
}

/** Outside entries, what is wrong is wrong with the file. */
function inContainer<Value>(read: () => Value): Value {
  try {
    return read()
  } catch (error) {
    if (error instanceof EntryProblem) throw fileRejected(error.code, error.message)
    throw error
  }
}
