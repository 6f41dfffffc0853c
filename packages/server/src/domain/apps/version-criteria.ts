import type { Condition } from '../conditions/condition.ts'

/** What versions are looked for by; all that is given must fit. */
export interface VersionCriteria {
  readonly appName?: string | undefined
  readonly platform?: string | undefined
  readonly versionStr?: string | undefined
  readonly isLocked?: boolean | undefined
  readonly checksIntegrity?: boolean | undefined
}

/** The names of a version that are text. */
export type VersionText = 'appName' | 'platform' | 'versionStr'

const texts: readonly VersionText[] = ['appName', 'platform', 'versionStr']

/** Texts as they are written. */
export function exactly(criteria: VersionCriteria): Condition {
  return all([
    ...texts.flatMap((field) => {
      const value = criteria[field]
      return value === undefined ? [] : [{ op: '=', field, value } as const]
    }),
    ...flagsOf(criteria),
  ])
}

/** Texts with `%` for any run of characters fit whatever their case; others are compared as they are written. */
export function byPatterns(criteria: VersionCriteria): Condition {
  return all([
    ...texts.flatMap((field) => {
      const value = criteria[field]
      if (value === undefined) return []
      if (!value.includes('%')) return [{ op: '=', field, value } as const]
      return [like(field, literally(value, /[\\_]/g))]
    }),
    ...flagsOf(criteria),
  ])
}

/** One of the texts contains it, whatever its case. */
export function containing(text: string, fields: readonly string[] = texts): Condition {
  const pattern = `%${literally(text, /[\\_%]/g)}%`
  return any(fields.map((field) => like(field, pattern)))
}

export function all(conditions: readonly Condition[]): Condition {
  return { op: 'and', conditions }
}

export function any(conditions: readonly Condition[]): Condition {
  return { op: 'or', conditions }
}

function flagsOf({ isLocked, checksIntegrity }: VersionCriteria): Condition[] {
  const flags = { isLocked, checksIntegrity }
  return Object.entries(flags).flatMap(([field, value]) =>
    value === undefined ? [] : [{ op: '=', field, value: Number(value) } as const],
  )
}

function like(field: string, pattern: string): Condition {
  return { op: 'like', field, pattern, ignoresCase: true }
}

function literally(text: string, special: RegExp): string {
  return text.replaceAll(special, (one) => `\\${one}`)
}
