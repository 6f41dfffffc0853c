import { cabinetScopes, type Scope } from '#domain/callers/scopes.ts'
import type { Schemas } from './contract.gen.ts'

type WireScope = Schemas['Scope']

/** Whoever administers tokens administers the tenant. */
const administration = { wire: 'tokens:admin', core: 'tenant:write' } as const

/** The core's scope of one that the contract names; undefined for a name that nobody knows. */
export function findScope(name: string): Scope | undefined {
  if (name === administration.wire) return administration.core
  return cabinetScopes.find((scope) => scope === name && scope !== administration.core)
}

/** As {@link findScope}, for a name that fits the contract. */
export function fromWireScope(name: WireScope): Scope {
  return name === administration.wire ? administration.core : name
}

/** Those of an account's scopes that this surface has a name for. */
export function toWireScopes(scopes: readonly Scope[]): WireScope[] {
  return scopes
    .filter((scope) => cabinetScopes.includes(scope))
    .map((scope) => (scope === administration.core ? administration.wire : (scope as WireScope)))
}
