import { namespaces, pskcName } from './pskc-names.ts'
import { EntryProblem } from './seed-file.ts'
import type { XmlElement } from './xml-elements.ts'
import { childText, findChild, textOf } from './xml-queries.ts'

/** From when until when a key may be used, both included. */
export interface KeyValidity {
  readonly startsAtMs?: number
  readonly expiresAtMs?: number
}

const pinPolicyAttributes: ReadonlySet<string> = new Set([
  'PINKeyId',
  'PINUsageMode',
  'MaxFailedAttempts',
  'MinLength',
  'MaxLength',
  'PINEncoding',
])

/** The registered values of KeyUsage, RFC 6030 section 12.6. */
const keyUsages: ReadonlySet<string> = new Set([
  'OTP',
  'CR',
  'Encrypt',
  'Integrity',
  'Verify',
  'Unlock',
  'Decrypt',
  'KeyWrap',
  'Unwrap',
  'Derive',
  'Generate',
])

const dateTimePattern =
  /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})?$/

/**
 * Reads Policy, RFC 6030 section 5: whoever does not understand all of it must take the key as forbidden. So a key is
 * refused if its policy has anything unknown, forbids one-time passwords, counts uses, or has a PIN that the server
 * would have to check; a PIN that the device itself checks (Local) is the device's business.
 *
 * @throws EntryProblem `unsupported`, or what is wrong with a date.
 */
export function readPolicy(policy: XmlElement): KeyValidity {
  let mayMakeCodes: boolean | undefined
  for (const element of policy.children) {
    if (element.namespace !== namespaces.pskc) throw unknownPolicy(element.name)
    switch (element.name) {
      case 'StartDate':
      case 'ExpiryDate':
        break
      case 'KeyUsage':
        mayMakeCodes = readKeyUsage(element) || mayMakeCodes === true
        break
      case 'PINPolicy':
        checkPinPolicy(element)
        break
      default:
        throw unknownPolicy(element.name)
    }
  }
  if (mayMakeCodes === false) {
    throw new EntryProblem('unsupported', 'Policy: KeyUsage does not allow one-time passwords.')
  }
  return readValidity(policy)
}

/** StartDate and ExpiryDate of Policy or DeviceInfo. */
export function readValidity(element: XmlElement): KeyValidity {
  const startsAtMs = readDateTime(element, 'StartDate')
  const expiresAtMs = readDateTime(element, 'ExpiryDate')
  return {
    ...(startsAtMs === undefined ? {} : { startsAtMs }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  }
}

/** The time in which both may be used. */
export function intersectValidity(one: KeyValidity, other: KeyValidity): KeyValidity {
  const starts = [one.startsAtMs, other.startsAtMs].filter((time) => time !== undefined)
  const ends = [one.expiresAtMs, other.expiresAtMs].filter((time) => time !== undefined)
  return {
    ...(starts.length === 0 ? {} : { startsAtMs: Math.max(...starts) }),
    ...(ends.length === 0 ? {} : { expiresAtMs: Math.min(...ends) }),
  }
}

function readKeyUsage(element: XmlElement): boolean {
  const usage = textOf(element)
  if (!keyUsages.has(usage)) throw unknownPolicy('KeyUsage')
  return usage === 'OTP'
}

function checkPinPolicy(element: XmlElement): void {
  const isKnown =
    element.children.length === 0 &&
    [...element.attributes.keys()].every((name) => pinPolicyAttributes.has(name))
  if (!isKnown) throw unknownPolicy('PINPolicy')
  if (element.attributes.get('PINUsageMode') !== 'Local') {
    throw new EntryProblem('unsupported', 'Policy: only a PIN that the device checks is possible.')
  }
}

function unknownPolicy(name: string): EntryProblem {
  return new EntryProblem('unsupported', `Policy: ${name.slice(0, 64)} cannot be honoured.`)
}

/** xs:dateTime; without time zone it is UTC. */
function readDateTime(parent: XmlElement, name: string): number | undefined {
  const text = childText(parent, pskcName(name))
  if (text === undefined) {
    if (findChild(parent, pskcName(name))) throw wrongDate(name)
    return undefined
  }
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] =
    dateTimePattern.exec(text) ?? []
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`
  const milliseconds = fraction.slice(0, 3).padEnd(3, '0')
  const localMs = Date.parse(`${local}.${milliseconds}Z`)
  const zoneMs = Date.parse(`${local}.${milliseconds}${zone}`)
  // Date.parse takes February 30 for March 2.
  if (Number.isNaN(zoneMs) || !new Date(localMs).toISOString().startsWith(local))
    throw wrongDate(name)
  return zoneMs
}

function wrongDate(name: string): EntryProblem {
  return new EntryProblem('bad_format', `${name} is not a date and time like 2026-05-31T00:00:00Z.`)
}
