/** A value that a field is compared with; null only by `=` and `!=`. */
export type ConditionValue = string | number | null

/**
 * What a list is filtered by, whatever language it was written in. Fields that have no value fit `= null` only, and no
 * other comparison, not even `!=` and `not in`.
 */
export type Condition =
  | { readonly op: 'and' | 'or'; readonly conditions: readonly Condition[] }
  | {
      readonly op: '=' | '!=' | '<' | '<=' | '>' | '>='
      readonly field: string
      readonly value: ConditionValue
      readonly ignoresCase?: boolean | undefined
    }
  | {
      readonly op: 'like'
      readonly field: string
      /** `%` any run, `_` one character, backslash makes the next one itself; fits the whole value. */
      readonly pattern: string
      readonly ignoresCase?: boolean | undefined
    }
  | {
      readonly op: 'in' | 'not in'
      readonly field: string
      readonly values: readonly (string | number)[]
      readonly ignoresCase?: boolean | undefined
    }

/** The text that a field is, exactly, wherever the condition holds; undefined when the condition does not say so outright. */
export function requiredText(condition: Condition | undefined, field: string): string | undefined {
  if (condition === undefined) return undefined
  if (condition.op === 'and') {
    for (const part of condition.conditions) {
      const text = requiredText(part, field)
      if (text !== undefined) return text
    }
    return undefined
  }
  const isIt = condition.op === '=' && condition.field === field && condition.ignoresCase !== true
  return isIt && typeof condition.value === 'string' ? condition.value : undefined
}
