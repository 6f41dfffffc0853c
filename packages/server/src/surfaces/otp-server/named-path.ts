import type { Contract } from '#http/contract.ts'

/** What a URL of this surface names: `/otp-server/{method-name}/{entity-type}/{entity-id}`. */
export interface NamedPath {
  /** Empty where there is nothing, and for what cannot be decoded. */
  readonly methodName: string
  readonly entityType: string
  readonly entityId: string
}

/** @param url as it was sent, with or without query. */
export function namedPathOf(url: string): NamedPath {
  const [path = ''] = url.split('?')
  const [, , methodName = '', entityType = '', entityId = ''] = path.split('/').map(decoded)
  return { methodName, entityType, entityId }
}

/** Identifiers that begin with an underscore are kept by the API for itself. */
export function isReserved({ entityId }: NamedPath): boolean {
  return entityId.startsWith('_')
}

/** The reserved identifiers that the contract gives a meaning, each with its entity. */
export class ReservedNames {
  readonly #meant: ReadonlySet<string>

  constructor({ operations }: Contract) {
    const paths = operations.map(({ path }) => namedPathOf(`/otp-server${path}`))
    this.#meant = new Set(paths.filter(isReserved).map(keyOf))
  }

  /** True for a reserved identifier that means nothing, such as `_all`: it is unknown to every HTTP method. */
  isMeaningless(path: NamedPath): boolean {
    return isReserved(path) && !this.#meant.has(keyOf(path))
  }
}

function keyOf({ entityType, entityId }: NamedPath): string {
  return `${entityType}/${entityId}`
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return ''
  }
}
