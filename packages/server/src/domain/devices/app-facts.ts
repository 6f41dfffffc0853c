import type { AppFacts } from './device.ts'

interface Rule {
  readonly isOptional?: true
  readonly fits: (value: string) => boolean
}

const lengths = (min: number, max: number) => (value: string) =>
  value.length >= min && value.length <= max && value.isWellFormed() && !value.includes('\0')

/** `AppFacts` of the device contract; a claim is not seen by the contract's own validation. */
const rules: Readonly<Record<keyof AppFacts, Rule>> = {
  name: { fits: lengths(1, 255) },
  platform: { fits: lengths(1, 100) },
  architecture: { fits: lengths(3, 10) },
  versionStr: {
    fits: (value) => /^(0|[1-9][0-9]{0,6})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,9})$/.test(value),
  },
  sdkVersion: { fits: lengths(1, 100) },
  integrity: { isOptional: true, fits: (value) => /^([0-9a-f]{2}){16,64}$/.test(value) },
  risks: { isOptional: true, fits: lengths(0, 4096) },
}

/** @returns undefined for facts that break the contract. */
export function parseAppFacts(given: Readonly<Record<string, string>>): AppFacts | undefined {
  const names = Object.keys(rules) as (keyof AppFacts)[]
  if (Object.keys(given).some((name) => !Object.hasOwn(rules, name))) return undefined
  for (const name of names) {
    const value = given[name]
    if (value === undefined ? rules[name].isOptional !== true : !rules[name].fits(value)) {
      return undefined
    }
  }
  return given as unknown as AppFacts
}
