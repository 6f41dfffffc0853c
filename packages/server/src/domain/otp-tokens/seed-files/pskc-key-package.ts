import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { pskcName } from './pskc-names.ts'
import { intersectValidity, readPolicy, readValidity } from './pskc-policy.ts'
import type { PskcProtection } from './pskc-protection.ts'
import { type EntryOutcome, EntryProblem, EntryProblems, type SeedEntry } from './seed-file.ts'
import {
  checkRange,
  checkSecret,
  counterRange,
  digitsRange,
  driftRange,
  type IntegerRange,
  periodRange,
  readDescription,
  readHash,
  readInteger,
  readSerial,
} from './seed-values.ts'
import type { XmlElement } from './xml-elements.ts'
import { childText, findChild, textOf } from './xml-queries.ts'

const nameLengthMax = 255
const algorithmPattern = /(?:^|[:#/])(hotp|totp)$/i
const pinAlgorithmPattern = /[:#/]pin$/i
const encryptedIntegerBytesMax = 8
const timeRange: IntegerRange = { name: 'time', min: 0, max: Number.MAX_SAFE_INTEGER }

/** True for a package that carries the PIN of a device, not a token: RFC 6030 section 10.2. */
export function isPinPackage(keyPackage: XmlElement): boolean {
  return keyPackage.children.some(
    (child) =>
      child.name === 'Key' && pinAlgorithmPattern.test(child.attributes.get('Algorithm') ?? ''),
  )
}

/** True if the package holds a value that needs the file's key. */
export function hasEncryptedValue(element: XmlElement): boolean {
  return element.children.some(
    (child) => child.name === 'EncryptedValue' || hasEncryptedValue(child),
  )
}

/**
 * One KeyPackage, RFC 6030 section 4. `protection` must be unlocked if the package has an encrypted value.
 *
 * @throws DomainError `import_key_required` if the key is seen to be wrong; all else is a fault of the entry.
 */
export function readKeyPackage(
  keyPackage: XmlElement,
  index: number,
  protection: PskcProtection,
): EntryOutcome {
  const problems = new EntryProblems()
  const device = problems.attempt(() => findChild(keyPackage, pskcName('DeviceInfo')))
  const key = problems.attempt(() => requireChild(keyPackage, 'Key'))
  const serial = problems.attempt(() =>
    readSerial(childText(device, pskcName('SerialNo')) ?? key?.attributes.get('Id')?.trim()),
  )
  const secret = key && problems.attempt(() => readPskcSecret(key, protection))
  const details = key && readDetails(key, device, protection, problems)
  if (!problems.isEmpty || serial === undefined || !secret) {
    return { faults: problems.toFaults(index, serial) }
  }
  return { entry: { index, serial, secret, ...details } }
}

type Details = Omit<SeedEntry, 'index' | 'serial' | 'secret'>

function readDetails(
  key: XmlElement,
  device: XmlElement | undefined,
  protection: PskcProtection,
  problems: EntryProblems,
): Details {
  const type = problems.attempt(() => readType(key.attributes.get('Algorithm')))
  const format = problems.attempt(() => readAlgorithmParameters(key))
  const counter = problems.attempt(() => readNumber(key, 'Counter', counterRange, protection))
  const period = problems.attempt(() => readNumber(key, 'TimeInterval', periodRange, protection))
  const drift = problems.attempt(() => readNumber(key, 'TimeDrift', driftRange, protection))
  // Says how far the device had counted when the file was made; of use only together with a date that is not given.
  problems.attempt(() => readNumber(key, 'Time', timeRange, protection))
  const validity = problems.attempt(() => {
    const policy = findChild(key, pskcName('Policy'))
    return intersectValidity(policy ? readPolicy(policy) : {}, device ? readValidity(device) : {})
  })
  const names = problems.attempt(() => readNames(key, device))
  return {
    ...(type && { type }),
    ...format,
    ...(type !== 'TOTP' && counter !== undefined && { counter }),
    ...(type !== 'HOTP' && period !== undefined && { periodSeconds: period }),
    ...(type !== 'HOTP' && drift !== undefined && { driftSteps: drift }),
    ...validity,
    ...names,
  }
}

function readType(algorithm: string | undefined): 'HOTP' | 'TOTP' | undefined {
  if (algorithm === undefined) return undefined
  const type = algorithmPattern.exec(algorithm)?.[1]?.toUpperCase()
  if (type === 'HOTP' || type === 'TOTP') return type
  throw new EntryProblem('unsupported', 'The algorithm of the key must be HOTP or TOTP.')
}

/** AlgorithmParameters, RFC 6030 section 4.3.4. */
function readAlgorithmParameters(key: XmlElement): Pick<Details, 'algorithm' | 'digits'> {
  const parameters = findChild(key, pskcName('AlgorithmParameters'))
  if (!parameters) return {}
  if (findChild(parameters, pskcName('ChallengeFormat'))) {
    throw new EntryProblem('unsupported', 'A key with challenges is no HOTP or TOTP key.')
  }
  const suite = childText(parameters, pskcName('Suite'))
  const response = findChild(parameters, pskcName('ResponseFormat'))
  return {
    ...(suite !== undefined && { algorithm: readHash(suite) }),
    ...(response && { digits: readResponseFormat(response) }),
  }
}

function readResponseFormat(response: XmlElement): number {
  if (response.attributes.get('Encoding') !== 'DECIMAL') {
    throw new EntryProblem('unsupported', 'ResponseFormat: the encoding must be DECIMAL.')
  }
  // The schema says CheckDigits, the text of the RFC CheckDigit.
  for (const name of ['CheckDigits', 'CheckDigit']) {
    if (readBoolean(response, name)) {
      throw new EntryProblem('unsupported', 'ResponseFormat: check digits are not possible.')
    }
  }
  const length = response.attributes.get('Length')
  if (length === undefined) throw new EntryProblem('required', 'ResponseFormat: Length is missing.')
  return readInteger(length.trim(), digitsRange)
}

function readBoolean(element: XmlElement, name: string): boolean {
  const text = element.attributes.get(name)?.trim() ?? 'false'
  if (text === 'true' || text === '1') return true
  if (text === 'false' || text === '0') return false
  throw new EntryProblem('bad_format', `${element.name}: ${name} must be true or false.`)
}

function readPskcSecret(key: XmlElement, protection: PskcProtection): Uint8Array {
  const holder = findData(key, 'Secret')
  if (!holder) throw new EntryProblem('required', 'The secret is missing.')
  const value = readValue(holder, protection)
  if (value instanceof Uint8Array) return checkSecret(value)
  const secret = decodeBase64(value, { xmlWhitespace: true })
  if (!secret) throw new EntryProblem('bad_secret', 'The secret is not Base64.')
  return checkSecret(secret)
}

function readNumber(
  key: XmlElement,
  name: string,
  range: IntegerRange,
  protection: PskcProtection,
): number | undefined {
  const holder = findData(key, name)
  if (!holder) return undefined
  const value = readValue(holder, protection)
  return value instanceof Uint8Array
    ? readEncryptedInteger(value, range)
    : readInteger(value, range)
}

/** The RFC leaves open how a number is encrypted. Files have it in decimal or as big-endian bytes. */
function readEncryptedInteger(bytes: Uint8Array, range: IntegerRange): number {
  const text = Buffer.from(bytes).toString('latin1')
  if (/^-?[0-9]+$/.test(text)) return readInteger(text, range)
  if (bytes.length === 0 || bytes.length > encryptedIntegerBytesMax) {
    throw new EntryProblem('bad_format', `The ${range.name} is not a whole number.`)
  }
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
  return checkRange(value, range)
}

function findData(key: XmlElement, name: string): XmlElement | undefined {
  const data = findChild(key, pskcName('Data'))
  return data && findChild(data, pskcName(name))
}

/** Text of a PlainValue, or bytes of an EncryptedValue whose MAC fits. */
function readValue(holder: XmlElement, protection: PskcProtection): string | Uint8Array {
  const plain = findChild(holder, pskcName('PlainValue'))
  const encrypted = findChild(holder, pskcName('EncryptedValue'))
  if (plain && encrypted) {
    throw new EntryProblem('bad_format', `${holder.name} has two values.`)
  }
  if (encrypted) return protection.open(holder, encrypted)
  if (!plain) throw new EntryProblem('required', `${holder.name} has no value.`)
  if (findChild(holder, pskcName('ValueMAC'))) {
    // A MAC is made of encrypted bytes only; one that cannot be checked must not look as if it had been.
    throw new EntryProblem('bad_mac', `${holder.name} has a ValueMAC, but is not encrypted.`)
  }
  return textOf(plain)
}

function readNames(key: XmlElement, device: XmlElement | undefined): Details {
  const description = childText(key, pskcName('FriendlyName'))
  const issuer = readName(key, 'Issuer')
  const manufacturer = readName(device, 'Manufacturer')
  const model = readName(device, 'Model')
  return {
    ...(description !== undefined && { description: readDescription(description) }),
    ...(issuer !== undefined && { issuer }),
    ...(manufacturer !== undefined && { manufacturer }),
    ...(model !== undefined && { model }),
  }
}

function readName(element: XmlElement | undefined, name: string): string | undefined {
  const text = childText(element, pskcName(name))
  if (text !== undefined && text.length > nameLengthMax) {
    throw new EntryProblem('out_of_range', `${name} has at most ${nameLengthMax} characters.`)
  }
  return text
}

function requireChild(element: XmlElement, name: string): XmlElement {
  const child = findChild(element, pskcName(name))
  if (!child) throw new EntryProblem('required', `${element.name} has no ${name}.`)
  return child
}
