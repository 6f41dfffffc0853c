import { isStorable, type MemberCheck } from '../users/name-text.ts'
import type { PushConfiguration, PushSecrets } from './app.ts'

/** A push configuration as given; null and empty texts count as absent. */
export type PushDraft = {
  readonly [Name in keyof PushMembers]?: PushMembers[Name] | null | undefined
}

/** What is left of a {@link PushDraft}. */
export type PushMembers = PushConfiguration & PushSecrets

type TextMember = Exclude<keyof PushMembers, 'iosIsDevelopment'>

interface TextRule {
  readonly charactersMax: number
  readonly isSecret: boolean
  /** Of texts that become part of an address or of a header. */
  readonly pattern?: RegExp
}

const fileCharactersMax = 32_768
const visible = /^[!-~]+$/
const appleId = /^[A-Z0-9]{10}$/

/** Every text of a push configuration, and how long it may be. */
const textRules: Readonly<Record<TextMember, TextRule>> = {
  androidApiKey: { charactersMax: 4_096, isSecret: true },
  iosApnsCertificate: { charactersMax: fileCharactersMax, isSecret: true },
  iosApnsPrivateKey: { charactersMax: fileCharactersMax, isSecret: true },
  iosBundleId: { charactersMax: 255, isSecret: false, pattern: visible },
  iosApnsKeyId: { charactersMax: 10, isSecret: false, pattern: appleId },
  iosApnsTeamId: { charactersMax: 10, isSecret: false, pattern: appleId },
  hpkClientId: { charactersMax: 255, isSecret: false, pattern: visible },
  hpkClientSecret: { charactersMax: 1_024, isSecret: true },
  fcmServiceAccountJSON: { charactersMax: fileCharactersMax, isSecret: true },
  webPushPublicKey: { charactersMax: 128, isSecret: false },
  webPushPrivateKey: { charactersMax: 128, isSecret: true },
  webPushSubject: { charactersMax: 255, isSecret: false, pattern: /^(mailto:|https:\/\/)[!-~]+$/ },
}
const textNames = Object.keys(textRules) as TextMember[]

/** Members that are given together or not at all. */
const groups: readonly (readonly (keyof PushMembers)[])[] = [
  ['hpkClientId', 'hpkClientSecret'],
  ['webPushPublicKey', 'webPushPrivateKey', 'webPushSubject'],
]
/** Apple takes a certificate of the app, or tokens that a key of the team signs. */
const appleByCertificate = [
  'iosApnsCertificate',
  'iosApnsPrivateKey',
  'iosBundleId',
  'iosIsDevelopment',
] as const
const appleByToken = [
  'iosApnsKeyId',
  'iosApnsTeamId',
  'iosApnsPrivateKey',
  'iosBundleId',
  'iosIsDevelopment',
] as const

/** What is present of a draft; lengths, characters and what belongs together are told to `check`. */
export function presentMembers(draft: PushDraft, check: MemberCheck): PushMembers {
  const present: { -readonly [Name in keyof PushMembers]: PushMembers[Name] } = {}
  for (const name of textNames) {
    const text = draft[name]
    if (text === null || text === undefined || text === '') continue
    present[name] = text
    requireText(name, text, check)
  }
  const { iosIsDevelopment } = draft
  if (typeof iosIsDevelopment === 'boolean') present.iosIsDevelopment = iosIsDevelopment
  for (const group of groups) requireWhole(group, present, check)
  requireApple(present, check)
  return present
}

/** What those may read who may read the app, and what only those may read who may change it. */
export function splitMembers(members: PushMembers): {
  readonly configuration: PushConfiguration
  readonly secrets: PushSecrets
} {
  const isSecret = (name: string) => name in textRules && textRules[name as TextMember].isSecret
  const entries = Object.entries(members)
  return {
    configuration: Object.fromEntries(entries.filter(([name]) => !isSecret(name))),
    secrets: Object.fromEntries(entries.filter(([name]) => isSecret(name))),
  }
}

function requireText(name: TextMember, text: string, check: MemberCheck): void {
  const { charactersMax, pattern } = textRules[name]
  if (text.length > charactersMax) {
    check.add(`/${name}`, 'out_of_range', `must have at most ${charactersMax} characters`)
  } else if (!isStorable(text)) {
    check.add(`/${name}`, 'bad_format', 'must be valid Unicode without U+0000')
  } else if (pattern !== undefined && !pattern.test(text)) {
    check.add(`/${name}`, 'bad_format', `must fit ${pattern.source}`)
  }
}

function requireApple(present: PushMembers, check: MemberCheck): void {
  const { iosApnsKeyId, iosApnsTeamId, iosApnsCertificate } = present
  const isByToken = iosApnsKeyId !== undefined || iosApnsTeamId !== undefined
  requireWhole(isByToken ? appleByToken : appleByCertificate, present, check)
  if (isByToken && iosApnsCertificate !== undefined) {
    const message = 'has no place beside iosApnsKeyId and iosApnsTeamId'
    check.add('/iosApnsCertificate', 'mutually_exclusive', message)
  }
}

function requireWhole(
  group: readonly (keyof PushMembers)[],
  present: PushMembers,
  check: MemberCheck,
): void {
  const given = group.find((name) => present[name] !== undefined)
  if (given === undefined) return
  for (const name of group) {
    if (present[name] !== undefined) continue
    check.add(`/${name}`, 'required', `is required, because ${given} is given`)
  }
}
