import { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { AddressRange } from '#domain/address-range.ts'

/** Hosts by name and address ranges that outgoing calls may reach beyond the public ones. */
export interface OutboundAllow {
  readonly hosts: readonly string[]
  readonly ranges: readonly AddressRange[]
}

const hostNamePattern =
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i
const listItemsMax = 256

/** True for a host name; texts of digits and dots are addresses, right or wrong. */
function isHostName(text: string): boolean {
  return hostNamePattern.test(text) && !/^[\d.]+$/.test(text)
}

/** True for a single IP address, not for a prefix. */
export function isIpAddress(text: string): boolean {
  return !text.includes('/') && AddressRange.parse(text) !== undefined
}

/**
 * Builds the schema of one variable. `read` gives undefined for a text that breaks the rule; the fault then says the rule
 * and never repeats the value, which may be a secret typed into the wrong variable.
 */
function variable<T>(rule: string, read: (text: string) => T | undefined) {
  return z.string().transform((text, context): T => {
    const value = text === '' ? undefined : read(text)
    if (value !== undefined) return value
    const message = text === '' ? 'is empty; remove it to get the default' : `must be ${rule}`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })
}

/** An optional list, separated by commas, each item read by `read`. */
function list<T>(rule: string, read: (item: string) => T | undefined) {
  return variable(`a list, separated by commas, of ${rule}`, (text) => {
    const items = text.split(',')
    if (items.length > listItemsMax) return undefined
    const values: T[] = []
    for (const item of items) {
      const value = read(item.trim())
      if (value === undefined) return undefined
      values.push(value)
    }
    return values
  })
}

export function integer({ min, max }: { min: number; max: number }) {
  return variable(`a whole number from ${min} to ${max}`, (text) => {
    if (!/^(0|[1-9]\d{0,9})$/.test(text)) return undefined
    const value = Number(text)
    return value >= min && value <= max ? value : undefined
  })
}

export function oneOf<const T extends string>(values: readonly T[]) {
  return variable(`one of ${values.join(', ')}`, (text) => values.find((value) => value === text))
}

/** Some of the values, each at most once, in the order of `values`. */
export function someOf<const T extends string>(values: readonly T[]) {
  const rule = `a list, separated by commas, of ${values.join(', ')}, each at most once`
  return variable(rule, (text) => {
    const items = text.split(',').map((item) => item.trim())
    const chosen = values.filter((value) => items.includes(value))
    return chosen.length === items.length ? chosen : undefined
  })
}

export const host = variable('an IP address or a host name', (text) =>
  isIpAddress(text) || isHostName(text) ? text : undefined,
)

export const addressRanges = list(
  'IP addresses and prefixes (a prefix has no bits set behind its length)',
  AddressRange.parse,
)

export const outboundAllow = list('host names, IP addresses and prefixes', (item) =>
  isHostName(item) ? item.toLowerCase() : AddressRange.parse(item),
).transform(
  (items): OutboundAllow => ({
    hosts: items.filter((item) => typeof item === 'string'),
    ranges: items.filter((item) => typeof item !== 'string'),
  }),
)

function readOrigin(text: string): string | undefined {
  const url = readHttpUrl(text)
  return url && url.origin === text ? text : undefined
}

function readHttpUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return undefined
  return url.username === '' && url.password === '' ? url : undefined
}

export const origin = variable(
  'an origin such as https://auth.example.org: lower case, no path, no slash at the end, no default port',
  readOrigin,
)

export const origins = list('origins such as https://portal.example.org', readOrigin)

export const httpUrl = variable(
  'an http or https URL without user, password and fragment',
  (text) => {
    const url = readHttpUrl(text)
    return url && !text.includes('#') ? url.href : undefined
  },
)

/** Some of the places by another URL each, `name=url`; the others stay. */
export function placesOf<const Name extends string>(names: readonly Name[]) {
  const rule = `\`name=url\` with names of ${names.join(', ')}`
  return list(`${rule} and http or https URLs without user, query and fragment`, (item) => {
    const name = names.find((one) => item.startsWith(`${one}=`))
    if (name === undefined) return undefined
    const url = readHttpUrl(item.slice(name.length + 1))
    if (url === undefined || url.search !== '' || item.includes('#')) return undefined
    return { name, url: url.href.replace(/\/$/, '') }
  })
}

export const headerName = variable('the name of an HTTP header', (text) =>
  /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(text) ? text.toLowerCase() : undefined,
)

export const nodeId = variable('1 to 64 letters, digits, dots, hyphens and underscores', (text) =>
  /^[A-Za-z0-9._-]{1,64}$/.test(text) ? text : undefined,
)

export function visibleAscii({ min, max }: { min: number; max: number }) {
  return variable(`${min} to ${max} visible ASCII characters`, (text) =>
    text.length >= min && text.length <= max && /^[\x21-\x7e]+$/.test(text) ? text : undefined,
  )
}

export const masterKey = variable(
  'base64 of exactly 32 bytes, as `openssl rand -base64 32` prints',
  (text) => {
    const bytes = Buffer.from(text, 'base64')
    return bytes.length === 32 && bytes.toString('base64') === text
      ? new Uint8Array(bytes)
      : undefined
  },
)

/** Where the data is, without what is secret in the URL. */
export type DatabasePlace =
  | { readonly engine: 'sqlite'; readonly path: string }
  | { readonly engine: 'postgres'; readonly place: string }

export const databaseUrl = variable(
  'sqlite:<path of a file> or postgres://<user>@<host>/<database>',
  (text): { readonly url: string; readonly place: DatabasePlace } | undefined => {
    if (text.startsWith('sqlite:')) {
      const path = text.slice('sqlite:'.length)
      if (path === '' || path === ':memory:' || path.includes('\0')) return undefined
      return { url: text, place: { engine: 'sqlite', path } }
    }
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url?.protocol !== 'postgres:' && url?.protocol !== 'postgresql:') return undefined
    if (url.hostname === '' && !url.searchParams.has('host')) return undefined
    const place = `postgres://${url.host || 'socket'}${url.pathname}`
    return { url: text, place: { engine: 'postgres', place } }
  },
)

/** The certificates of a PEM file, one PEM text each; undefined when there is none or one of them is broken. */
export function readCertificates(pem: string): readonly string[] | undefined {
  const starts = pem.split('-----BEGIN CERTIFICATE-----').length - 1
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0 || blocks.length !== starts) return undefined
  try {
    return blocks.map((block) => new X509Certificate(block).toString())
  } catch {
    return undefined
  }
}
