import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import { MemberCheck } from '../users/name-text.ts'

/** A JSON object that is kept and given back, and never looked into. */
export type JsonObject = { readonly [name: string]: unknown }

/** How a cabinet works. */
export interface CabinetConfig {
  /** 0: waits for an external contact before it gives out a key; 1: does not. */
  readonly contactType: number
  /** Seconds in which a key must be taken after the contact; 0: off. */
  readonly checkoutWindowSeconds: number
  /** True: decides by the lists that it holds; false: asks at every checkout. */
  readonly cacheMode: boolean
  /** True: a PIN alone opens; false: user number and PIN. */
  readonly pinMode: boolean
  readonly auditEnabled: boolean
  readonly pollingIntervalSeconds: number
  readonly cardReader: JsonObject
}

/** What a customer says of a cabinet when registering or replacing it. */
export interface CabinetDraft {
  /** Unique in the tenant. */
  readonly id: string
  /** Unique on the server, ignoring case. */
  readonly serial: string
  readonly config: CabinetConfig
  /** Two flags of the customer's without effect. */
  readonly active: boolean
  readonly online: boolean
  readonly userData: JsonObject
  /** URLs to be called, by topic: `status`, `audit`; others are kept without effect. */
  readonly subscribeUrls: JsonObject
}

/** What a cabinet may be registered with although polls tell it. */
export interface InitialContact {
  readonly lastSyncAtMs?: number | null | undefined
  readonly firmwareVersion?: string | null | undefined
}

/** A registered key cabinet. */
export interface Cabinet extends CabinetDraft {
  readonly tenantId: string
  /** Time of the last accepted poll or upload. */
  readonly lastSyncAtMs: number | null
  readonly firmwareVersion: string | null
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export const defaultCabinetConfig: CabinetConfig = Object.freeze({
  contactType: 1,
  checkoutWindowSeconds: 0,
  cacheMode: true,
  pinMode: false,
  auditEnabled: true,
  pollingIntervalSeconds: 150,
  cardReader: Object.freeze({}),
})

const urlTopics = ['status', 'audit'] as const
export type UrlTopic = (typeof urlTopics)[number]

const urlsPerTopicMax = 20
const urlLengthMax = 2048
/** Of each of the customer's own objects, as JSON. */
const objectCharactersMax = 65_536
const idPattern = /^[^/?#\s]{1,128}$/u
const serialPattern = /^[0-9A-Za-z._-]{1,64}$/

/** True for what may name a cabinet or an access list. */
export function isCabinetId(text: string): boolean {
  return idPattern.test(text) && text.isWellFormed() && !text.includes('\0')
}

export function isSerial(text: string): boolean {
  return serialPattern.test(text)
}

/** The form in which serials of cabinets and locks are compared; they are ASCII. */
export function foldSerial(serial: string): string {
  return serial.toLowerCase()
}

/** The URLs that are called for a topic. */
export function urlsOf(subscribeUrls: JsonObject, topic: UrlTopic): readonly string[] {
  const urls = subscribeUrls[topic]
  return Array.isArray(urls) ? urls.filter((url) => typeof url === 'string') : []
}

/** Everything that would be called. */
export function allUrlsOf(
  subscribeUrls: JsonObject,
): readonly { readonly pointer: string; readonly url: string }[] {
  return urlTopics.flatMap((topic) =>
    urlsOf(subscribeUrls, topic).map((url, index) => ({
      pointer: `/subscribe_urls/${topic}/${index}`,
      url,
    })),
  )
}

/** @throws DomainError `invalid_request`, with pointers in the members' names of the OKM contract. */
export function checkCabinet(draft: CabinetDraft): void {
  const check = new MemberCheck()
  const { config, subscribeUrls } = draft
  if (!isCabinetId(draft.id)) check.add('/id', 'bad_format', 'must be 1 to 128 characters')
  if (!isSerial(draft.serial)) check.add('/serial', 'bad_format', 'must be 1 to 64 letters, digits')
  const range = (name: string, value: number, min: number, max: number): void => {
    if (Number.isInteger(value) && value >= min && value <= max) return
    check.add(`/config/${name}`, 'out_of_range', `must be between ${min} and ${max}`)
  }
  range('contact_type', config.contactType, 0, 1)
  range('checkout_window', config.checkoutWindowSeconds, 0, 254)
  range('polling_interval', config.pollingIntervalSeconds, 5, 3600)
  checkObject(check, '/config/card_reader', config.cardReader)
  checkObject(check, '/user_data', draft.userData)
  checkObject(check, '/subscribe_urls', subscribeUrls)
  for (const topic of urlTopics) {
    if (urlsOf(subscribeUrls, topic).length > urlsPerTopicMax) {
      check.add(`/subscribe_urls/${topic}`, 'out_of_range', `must have at most ${urlsPerTopicMax}`)
    }
  }
  for (const { pointer, url } of allUrlsOf(subscribeUrls)) {
    if (url.length > urlLengthMax || !URL.canParse(url)) {
      check.add(pointer, 'bad_format', 'must be a URL')
    }
  }
  check.finish()
}

/** An object of the customer's: whatever it is, it has a bound. */
export function checkObject(check: MemberCheck, pointer: string, object: JsonObject): void {
  if (JSON.stringify(object).length > objectCharactersMax) {
    check.add(pointer, 'out_of_range', `must have at most ${objectCharactersMax} characters`)
  }
}

/** How the journal describes a cabinet. */
export function describeCabinet({ serial, config }: CabinetDraft): { [name: string]: JsonValue } {
  return {
    serial,
    cacheMode: config.cacheMode,
    pinMode: config.pinMode,
    auditEnabled: config.auditEnabled,
    checkoutWindowSeconds: config.checkoutWindowSeconds,
    contactType: config.contactType,
    pollingIntervalSeconds: config.pollingIntervalSeconds,
  }
}
