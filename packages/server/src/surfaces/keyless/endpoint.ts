import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { Handler } from '#http/handler.ts'
import type { Operations } from './contract.gen.ts'

/** An endpoint of this surface, typed by its operation in the contract. */
export type Endpoint<Id extends keyof Operations> = Handler<Operations[Id], KeylessCore, Caller>

/** The core, and the name by which this process goes. */
export type KeylessCore = Core & { readonly nodeId: string }

/** The customer whose things a caller reaches: accounts without one are refused before any endpoint. */
export function customerOf({ tenantId }: Caller): string {
  if (tenantId === null) throw new Error('A caller without a customer has reached an endpoint.')
  return tenantId
}
