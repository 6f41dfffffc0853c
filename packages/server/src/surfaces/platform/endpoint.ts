import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { Handler } from '#http/handler.ts'
import type { Operations } from './contract.gen.ts'
import type { ServiceDependencies } from './process-facts.ts'

/** The core, and what the endpoints of tag `service` tell of the process. */
export interface PlatformCore extends Core {
  readonly service: ServiceDependencies
}

/** An endpoint of this surface, typed by its operation in the contract. */
export type Endpoint<Id extends keyof Operations> = Handler<Operations[Id], PlatformCore, Caller>
