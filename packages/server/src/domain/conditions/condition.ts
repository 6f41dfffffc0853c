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
