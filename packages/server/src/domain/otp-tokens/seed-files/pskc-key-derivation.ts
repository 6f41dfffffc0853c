import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import {
  namespaces,
  type PseudorandomFunction,
  pbkdf2Uris,
  pseudorandomFunctions,
} from './pskc-names.ts'
import { EntryProblem } from './seed-file.ts'
import { readInteger } from './seed-values.ts'
import type { XmlElement } from './xml-elements.ts'
import { childText, findChild, findDescendant, type XmlName } from './xml-queries.ts'

/** PBKDF2 as a PSKC file asks for it, RFC 6030 section 6.2. */
export interface KeyDerivation {
  readonly salt: Uint8Array
  readonly iterationCount: number
  /** Absent: as long as the cipher's key. */
  readonly keyBytes: number | undefined
  readonly pseudorandomFunction: PseudorandomFunction
}

/** Bounds the work that a file can ask for. */
export const iterationCountMax = 1_000_000
const saltBytesMax = 1_024
const keyLengths: ReadonlySet<number> = new Set([16, 24, 32])

/**
 * Reads EncryptionKey: undefined if it names a pre-shared key.
 *
 * @throws EntryProblem for other kinds of keys and for malformed parameters.
 */
export function readKeyDerivation(encryptionKey: XmlElement): KeyDerivation | undefined {
  const derivedKey = findChild(encryptionKey, { namespace: namespaces.xenc11, name: 'DerivedKey' })
  if (derivedKey) return readPbkdf2(derivedKey)
  if (findChild(encryptionKey, { namespace: namespaces.ds, name: 'KeyName' })) return undefined
  throw new EntryProblem(
    'unsupported',
    'EncryptionKey: only a pre-shared key or one derived from a password is read.',
  )
}

function readPbkdf2(derivedKey: XmlElement): KeyDerivation {
  const method = findChild(derivedKey, {
    namespace: namespaces.xenc11,
    name: 'KeyDerivationMethod',
  })
  if (!method) throw new EntryProblem('required', 'DerivedKey: KeyDerivationMethod is missing.')
  if (!pbkdf2Uris.has(method.attributes.get('Algorithm') ?? '')) {
    throw new EntryProblem('unsupported', 'KeyDerivationMethod: the algorithm must be PBKDF2.')
  }
  const parameters = findChild(method, inAnyNamespace('PBKDF2-params'))
  if (!parameters) {
    throw new EntryProblem('required', 'KeyDerivationMethod: PBKDF2-params is missing.')
  }
  return {
    salt: readSalt(parameters),
    iterationCount: readIterationCount(parameters),
    keyBytes: readKeyLength(parameters),
    pseudorandomFunction: readPseudorandomFunction(parameters),
  }
}

function readSalt(parameters: XmlElement): Uint8Array {
  const specified = findDescendant(parameters, ['Salt', 'Specified'].map(inAnyNamespace))
  const salt = specified && decodeBase64(specified.text, { xmlWhitespace: true })
  if (!salt || salt.length === 0 || salt.length > saltBytesMax) {
    throw new EntryProblem('bad_format', 'PBKDF2: Salt must hold the salt in Base64.')
  }
  return salt
}

function readIterationCount(parameters: XmlElement): number {
  const text = childText(parameters, inAnyNamespace('IterationCount'))
  if (text === undefined) throw new EntryProblem('required', 'PBKDF2: IterationCount is missing.')
  return readInteger(text, { name: 'iteration count', min: 1, max: iterationCountMax })
}

function readKeyLength(parameters: XmlElement): number | undefined {
  const text = childText(parameters, inAnyNamespace('KeyLength'))
  if (text === undefined) return undefined
  const keyBytes = readInteger(text, { name: 'key length', min: 16, max: 32 })
  if (!keyLengths.has(keyBytes)) {
    throw new EntryProblem('out_of_range', 'PBKDF2: KeyLength must be 16, 24 or 32 bytes.')
  }
  return keyBytes
}

/** HMAC-SHA-1 is the default of PKCS #5, also when PRF is there, but empty. */
function readPseudorandomFunction(parameters: XmlElement): PseudorandomFunction {
  const uri = findChild(parameters, inAnyNamespace('PRF'))?.attributes.get('Algorithm')
  if (uri === undefined) return 'sha1'
  const name = pseudorandomFunctions.get(uri) ?? pseudorandomFunctions.get(afterHash(uri))
  if (!name) throw new EntryProblem('unsupported', 'PBKDF2: the PRF must be an HMAC-SHA.')
  return name
}

function afterHash(uri: string): string {
  return uri.slice(uri.lastIndexOf('#') + 1)
}

/** Makers put the parameters of PBKDF2 into four different namespaces, or none. */
function inAnyNamespace(name: string): XmlName {
  return { name }
}
