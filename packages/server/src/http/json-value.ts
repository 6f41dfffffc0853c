/** Whether all items differ as JSON values, in time that grows with their size only. */
export function areUnique(items: readonly unknown[]): boolean {
  return items.length < 2 || new Set(items.map(canonicalText)).size === items.length
}

/** One text per JSON value: members in order of their names. */
function canonicalText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonicalText).join()}]`
  const members = value as Record<string, unknown>
  const names = Object.keys(members).sort()
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalText(members[name])}`).join()}}`
}
