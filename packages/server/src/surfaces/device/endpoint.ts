import type { Core } from '#domain/core.ts'
import type { DeviceSession } from '#domain/devices/device-gate.ts'
import type { Handler } from '#http/handler.ts'
import type { Operations } from './contract.gen.ts'

/** The core, and what the protocol says of this server. */
export interface DeviceCore extends Core {
  /** Origin, without a path. */
  readonly publicUrl: () => string
}

/** An endpoint for devices with a token, typed by its operation in the contract. */
export type Endpoint<Id extends keyof Operations> = Handler<
  Operations[Id],
  DeviceCore,
  DeviceSession
>

/** An endpoint that needs no token, and cannot look at one. */
export type PublicEndpoint<Id extends keyof Operations> = Handler<
  Operations[Id],
  DeviceCore,
  unknown
>
