/** How a tenant's server behaves. Meanings and ranges: `Settings*` in the platform contract. */
export interface Settings {
  readonly totp: {
    readonly acceptSteps: number
    readonly resyncHintSteps: number
    readonly resyncSearchSteps: number
  }
  readonly hotp: {
    readonly acceptCounters: number
    readonly resyncHintCounters: number
    readonly resyncSearchCounters: number
  }
  readonly lockout: {
    readonly tokenMaxFailures: number
    readonly tokenLockSeconds: number
    readonly userMaxFailures: number
    readonly userLockSeconds: number
    readonly deviceMaxFailures: number
    readonly deviceLockSeconds: number
  }
  readonly enrolment: { readonly codeTtlSeconds: number; readonly maxDevicesPerUser: number }
  readonly approvals: {
    readonly retrievalSeconds: number
    readonly decisionSeconds: number
    readonly displaySeconds: number
  }
  readonly push: { readonly enabled: boolean; readonly title: string; readonly body: string }
  readonly callbacks: { readonly allowedOrigins: readonly string[] }
  readonly retention: {
    readonly approvalDays: number
    /** Null: for ever. */
    readonly auditDays: number | null
    readonly webhookDeliveryDays: number
  }
  readonly ast: {
    readonly userSchemes: readonly string[]
    readonly defaultLocale: string
    readonly explicitScope: string
    readonly resultRetentionSeconds: number
    readonly defaultCallbackUrl: string | null
    readonly nonceNeedsVerification: boolean
  }
  readonly keyless: {
    readonly pendingOperationTtlSeconds: number
    readonly allowSpontaneousOperations: boolean
    readonly jwtLifetimeSeconds: number
    readonly telemetryWindowSeconds: number
  }
  readonly okm: { readonly auditDestinationUrl: string | null }
}

/** What a tenant starts with: every `x-default` of the contract. */
export const defaultSettings: Settings = Object.freeze({
  totp: { acceptSteps: 1, resyncHintSteps: 10, resyncSearchSteps: 120 },
  hotp: { acceptCounters: 10, resyncHintCounters: 50, resyncSearchCounters: 1000 },
  lockout: {
    tokenMaxFailures: 10,
    tokenLockSeconds: 0,
    userMaxFailures: 0,
    userLockSeconds: 900,
    deviceMaxFailures: 5,
    deviceLockSeconds: 900,
  },
  enrolment: { codeTtlSeconds: 600, maxDevicesPerUser: 10 },
  approvals: { retrievalSeconds: 300, decisionSeconds: 600, displaySeconds: 600 },
  push: { enabled: true, title: 'Countersign', body: 'There is something to approve' },
  callbacks: { allowedOrigins: [] },
  retention: { approvalDays: 90, auditDays: null, webhookDeliveryDays: 30 },
  ast: {
    userSchemes: ['id', 'external', 'login'],
    defaultLocale: 'en',
    explicitScope: 'tms',
    resultRetentionSeconds: 3600,
    defaultCallbackUrl: null,
    nonceNeedsVerification: true,
  },
  keyless: {
    pendingOperationTtlSeconds: 86_400,
    allowSpontaneousOperations: true,
    jwtLifetimeSeconds: 300,
    telemetryWindowSeconds: 600,
  },
  okm: { auditDestinationUrl: null },
})

export type SettingsSection = keyof Settings

/** Some members of some sections; the values fit the contract already. */
export type SettingsPatch = {
  readonly [Section in SettingsSection]?: Partial<Settings[Section]> | undefined
}

/** A member that a patch sets. */
export interface SettingsChange {
  readonly section: SettingsSection
  readonly member: string
  readonly value: unknown
}

const sections = Object.keys(defaultSettings) as SettingsSection[]

/** The members of a patch that settings have, one by one. */
export function changesOf(patch: SettingsPatch): SettingsChange[] {
  return sections.flatMap((section) =>
    Object.entries(patch[section] ?? {})
      .filter(([member, value]) => value !== undefined && member in defaultSettings[section])
      .map(([member, value]) => ({ section, member, value })),
  )
}

/** Merges member by member; lists are replaced. Members that settings do not have are left out. */
export function mergeSettings(settings: Settings, patch: SettingsPatch): Settings {
  const merged: Record<string, Record<string, unknown>> = {}
  for (const section of sections) merged[section] = { ...settings[section] }
  for (const { section, member, value } of changesOf(patch)) {
    const target = merged[section]
    if (target !== undefined) target[member] = value
  }
  return merged as unknown as Settings
}

/** The stored form: only what differs from the defaults. */
export function writeSettings(settings: Settings): string {
  const stored: Record<string, Record<string, unknown>> = {}
  for (const { section, member, value } of changesOf(settings)) {
    const standard = (defaultSettings[section] as Record<string, unknown>)[member]
    if (JSON.stringify(value) === JSON.stringify(standard)) continue
    stored[section] ??= {}
    stored[section][member] = value
  }
  return JSON.stringify(stored)
}

/** @param json as {@link writeSettings} wrote it, possibly by another release. */
export function readSettings(json: string): Settings {
  return mergeSettings(defaultSettings, JSON.parse(json) as SettingsPatch)
}
