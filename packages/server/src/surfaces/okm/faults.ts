import type { Fault } from '#domain/errors.ts'
import type { Operation } from '#http/contract.ts'
import type { Schemas } from './contract.gen.ts'

export type FieldProblem = NonNullable<Schemas['Error']['errors']>[number]

/** Parameters that the published texts call otherwise than the paths of the contract do. */
const fieldNames: ReadonlyMap<string, string> = new Map([
  ['aclOkmId', 'id'],
  ['action', 'status'],
])

/** Faults in the notation of this surface: `users[0].permissions` and a few words. */
export function toFieldProblems(
  faults: readonly Fault[],
  operation: Operation | undefined,
): FieldProblem[] {
  return faults.map((fault) => {
    const field = fieldOf(fault.pointer)
    return { field: fieldNames.get(field) ?? field, reason: reasonOf(fault, field, operation) }
  })
}

/** `/users/0/permissions` → `users[0].permissions`; `query:page` → `page`; the whole body → `body`. */
function fieldOf(pointer: string): string {
  const colon = /^(query|header):/.exec(pointer)
  if (colon !== null) return pointer.slice(colon[0].length) || 'query'
  const [, ...names] = pointer.startsWith('/') ? pointer.split('/') : ['', pointer]
  let field = ''
  for (const name of names) {
    const plain = name.replaceAll('~1', '/').replaceAll('~0', '~')
    field += /^\d+$/.test(plain) ? `[${plain}]` : `${field === '' ? '' : '.'}${plain}`
  }
  return field || 'body'
}

function reasonOf({ message }: Fault, field: string, operation: Operation | undefined): string {
  if (message === 'is required') return 'required'
  if (/^scopes\[\d+\]$/.test(field) && operation?.id === 'issueToken') return 'unknown scope'
  if (field === 'page') return 'must be a positive integer'
  const [, choices] = /^must be one of (.+)$/.exec(message) ?? []
  if (choices !== undefined) return `must be ${choices.replace(/, ([^,]*)$/, ' or $1')}`
  return message.replace(/^must be (-?\d+) to (-?\d+)$/, 'must be between $1 and $2')
}
