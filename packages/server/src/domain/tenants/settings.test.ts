import { describe, expect, test } from 'vitest'
import { contractOf } from '#test/support/contract-files.ts'
import {
  changesOf,
  defaultSettings,
  mergeSettings,
  readSettings,
  writeSettings,
} from './settings.ts'

interface Member {
  readonly 'x-default'?: unknown
  readonly writeOnly?: boolean
}

/** `SettingsTotp` → `totp`, with the x-default of each member that can be read. */
function contractDefaults(): Record<string, Record<string, unknown>> {
  const sections = Object.entries(contractOf('platform').schemas).filter(
    ([name]) => name.startsWith('Settings') && name !== 'Settings' && name !== 'SettingsUpdate',
  )
  return Object.fromEntries(
    sections.map(([name, schema]) => [
      name.charAt('Settings'.length).toLowerCase() + name.slice('Settings'.length + 1),
      Object.fromEntries(
        Object.entries((schema as { properties: Record<string, Member> }).properties)
          .filter(([, member]) => member.writeOnly !== true)
          .map(([member, { 'x-default': value }]) => [member, value]),
      ),
    ]),
  )
}

describe('settings', () => {
  test('the defaults are those of the contract, every one of them', () => {
    expect(defaultSettings).toEqual(contractDefaults())
  })

  test('a patch changes what it names, member by member, and replaces lists', () => {
    const once = mergeSettings(defaultSettings, {
      totp: { acceptSteps: 3 },
      callbacks: { allowedOrigins: ['https://a.example', 'https://b.example'] },
    })
    const twice = mergeSettings(once, { callbacks: { allowedOrigins: ['https://c.example'] } })
    expect(twice).toEqual({
      ...defaultSettings,
      totp: { ...defaultSettings.totp, acceptSteps: 3 },
      callbacks: { allowedOrigins: ['https://c.example'] },
    })
  })

  test('merging leaves the settings that it starts from as they are', () => {
    const before = structuredClone(defaultSettings)
    mergeSettings(defaultSettings, { totp: { acceptSteps: 9 }, retention: { auditDays: 30 } })
    expect(defaultSettings).toEqual(before)
  })

  test('null is a value where it is allowed', () => {
    const set = mergeSettings(defaultSettings, { retention: { auditDays: 400 } })
    expect(mergeSettings(set, { retention: { auditDays: null } })).toEqual(defaultSettings)
  })

  test('only what differs from the defaults is stored, and reading gives it back', () => {
    const settings = mergeSettings(defaultSettings, {
      lockout: { tokenMaxFailures: 5, tokenLockSeconds: 0 },
      ast: { userSchemes: ['login'] },
    })
    expect(JSON.parse(writeSettings(settings))).toEqual({
      lockout: { tokenMaxFailures: 5 },
      ast: { userSchemes: ['login'] },
    })
    expect(readSettings(writeSettings(settings))).toEqual(settings)
    expect(writeSettings(defaultSettings)).toBe('{}')
  })

  test('members of another release are left alone', () => {
    const stored = '{"totp":{"acceptSteps":2,"later":1},"much":{"later":1}}'
    expect(readSettings(stored)).toEqual(
      mergeSettings(defaultSettings, { totp: { acceptSteps: 2 } }),
    )
    expect(readSettings('{"__proto__":{"polluted":1},"totp":{"__proto__":1}}')).toEqual(
      defaultSettings,
    )
  })

  test('the changes of a patch leave out what settings do not have', () => {
    const patch = { okm: { auditDestinationUrl: null, callbackSecret: 'whsec_x' } }
    expect(changesOf(patch)).toEqual([
      { section: 'okm', member: 'auditDestinationUrl', value: null },
    ])
  })
})
