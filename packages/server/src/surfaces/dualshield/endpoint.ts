import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { Handler } from '#http/handler.ts'
import type { Operations } from './contract.gen.ts'

/** The core, and where devices reach the server: download links begin with it. */
export interface DualshieldCore extends Core {
  readonly publicUrl: () => string
}

/** An endpoint of this surface, typed by its operation in the contract. */
export type Endpoint<Id extends keyof Operations> = Handler<Operations[Id], DualshieldCore, Caller>

/** Success without a result. */
export const done = { status: 200, body: { error: 0 } } as const
