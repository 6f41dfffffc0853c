import type { HashAlgorithm } from '@countersign/protocol/otp/hotp.ts'
import { DomainError } from '#domain/errors.ts'
import {
  type EntryOutcome,
  EntryProblem,
  EntryProblems,
  fileRejected,
  type SecretEncoding,
} from './seed-file.ts'
import {
  counterRange,
  digitsRange,
  periodRange,
  readDescription,
  readHash,
  readInteger,
  readSecret,
  readSerial,
} from './seed-values.ts'
import type { XmlElement } from './xml-elements.ts'
import { childText, isNamed } from './xml-queries.ts'

interface Header {
  readonly encoding: SecretEncoding
  readonly manufacturerCode?: string
  readonly productCode?: string
  readonly algorithm?: HashAlgorithm
  readonly digits?: number
  readonly periodSeconds?: number
}

const codeLengthMax = 32

export function isDualShield(root: XmlElement): boolean {
  return isNamed(root, plainName('data'))
}

/** `tokens` only holds the list of tokens. */
export function isDualShieldList(element: XmlElement): boolean {
  return isNamed(element, plainName('tokens')) && element.parentName === 'data'
}

/** The entries of a DualShield file: `data/header`, then `data/tokens/token`. Unknown elements are passed over. */
export async function* dualShieldEntries(
  elements: AsyncIterable<XmlElement>,
): AsyncGenerator<EntryOutcome> {
  let header: Header | undefined
  let index = 0
  for await (const element of elements) {
    if (isNamed(element, plainName('header')) && element.parentName === 'data') {
      if (header) throw fileRejected('bad_format', `Line ${element.line}: a second header.`)
      header = inHeader(() => readHeader(element))
    } else if (isNamed(element, plainName('token')) && element.parentName === 'tokens') {
      if (!header)
        throw fileRejected('required', `Line ${element.line}: a token before the header.`)
      index++
      yield readToken(element, index, header)
    }
  }
  if (index === 0) throw fileRejected('required', 'The file has no token.')
}

function readHeader(element: XmlElement): Header {
  checkEncryption(childText(element, plainName('encrypt')))
  const manufacturerCode = readCode(element, 'manufacturerCode')
  const productCode = readCode(element, 'productCode')
  const crypto = childText(element, plainName('crypto'))
  const digits = childText(element, plainName('digits'))
  const period =
    childText(element, plainName('timeWindow')) ?? childText(element, plainName('synchronisation'))
  return {
    encoding: readEncoding(childText(element, plainName('encode'))),
    ...(manufacturerCode !== undefined && { manufacturerCode }),
    ...(productCode !== undefined && { productCode }),
    ...(crypto !== undefined && { algorithm: readHash(crypto) }),
    ...(digits !== undefined && { digits: readInteger(digits, digitsRange) }),
    ...(period !== undefined && { periodSeconds: readInteger(period, periodRange) }),
  }
}

function readToken(element: XmlElement, index: number, header: Header): EntryOutcome {
  const { encoding, ...common } = header
  const problems = new EntryProblems()
  const serial = problems.attempt(() => readSerial(childText(element, plainName('serial'))))
  const secret = problems.attempt(() => readSecret(childText(element, plainName('seed')), encoding))
  const counter = problems.attempt(() => {
    const text = childText(element, plainName('counter'))
    return text === undefined ? undefined : readInteger(text, counterRange)
  })
  const description = problems.attempt(() => {
    const text = childText(element, plainName('description'))
    return text === undefined ? undefined : readDescription(text)
  })
  if (!problems.isEmpty || serial === undefined || !secret) {
    return { faults: problems.toFaults(index, serial) }
  }
  return {
    entry: {
      index,
      serial,
      secret,
      ...common,
      ...(counter !== undefined && { counter }),
      ...(description !== undefined && { description }),
    },
  }
}

/** The vendor's AES256 exists, but how its key is handled is not public. */
function checkEncryption(encrypt = 'NONE'): void {
  if (encrypt.toUpperCase() === 'NONE') return
  throw new DomainError('not_supported', 'Encrypted DualShield seed files are not supported.')
}

/** There is no default: a text may be right in several encodings, and all but one make another token of it. */
function readEncoding(text: string | undefined): SecretEncoding {
  if (text === undefined) throw new EntryProblem('required', 'encode is missing.')
  const encoding = text.toUpperCase()
  if (encoding === 'HEX' || encoding === 'BASE32' || encoding === 'BASE64') return encoding
  throw new EntryProblem('unsupported', 'encode must be HEX, BASE32 or BASE64.')
}

function readCode(element: XmlElement, name: string): string | undefined {
  const text = childText(element, plainName(name))
  if (text !== undefined && text.length > codeLengthMax) {
    throw new EntryProblem('out_of_range', `${name} has at most ${codeLengthMax} characters.`)
  }
  return text
}

function inHeader<Value>(read: () => Value): Value {
  try {
    return read()
  } catch (error) {
    if (error instanceof EntryProblem) throw fileRejected(error.code, `header: ${error.message}`)
    throw error
  }
}

function plainName(name: string) {
  return { namespace: '', name }
}
