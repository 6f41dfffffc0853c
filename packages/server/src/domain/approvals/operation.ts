import type { Approval } from './approval.ts'

/** An approval as Keyless knows it: one text, one name, one user with a Keyless id. */
export interface Operation {
  readonly approval: Approval
  readonly operationId: string
  /** Unique in the tenant, rising with the time of creation. */
  readonly number: number
  /** Upper-case hex. */
  readonly keylessUserId: string
}

/** What can name an operation: visible ASCII. */
const operationIdPattern = /^[\x21-\x7E]{1,255}$/

/**
 * Whether an operation can say all that the user is asked: messages, templates and structured data have no place in it.
 * Conditions on devices and logins are not shown, but hold.
 */
export function isOperation({ kind, templateKey, data, reference }: Approval): boolean {
  return (
    kind === 'TRANSACTION' &&
    templateKey === null &&
    data === null &&
    (reference === null || operationIdPattern.test(reference))
  )
}

/** The reference; of an approval without one its id. */
export function operationIdOf({ reference, id }: Pick<Approval, 'reference' | 'id'>): string {
  return reference ?? id
}
