import type { Clock } from '#domain/clock.ts'
import type { AddressGuard, HttpExchange } from '#domain/outbox/http-exchange.ts'
import type { PushSenders } from '#domain/push/push-sender.ts'
import { ApnsSender } from './apns-sender.ts'
import type { PushEndpoints } from './endpoints.ts'
import { FcmSender } from './fcm-sender.ts'
import { HmsSender } from './hms-sender.ts'
import { Http2Connections } from './http2-connections.ts'
import { WebPushSender } from './web-push-sender.ts'

/** Ways out of the server. */
export interface WaysOut {
  /** To addresses that the operator configured. */
  readonly providers: { readonly http: HttpExchange; readonly guard: AddressGuard }
  /** To addresses that devices told us. */
  readonly browsers: HttpExchange
}

/** All senders, and their end. */
export interface OpenPushSenders extends PushSenders {
  close(): void
}

export function createPushSenders({
  ways,
  endpoints,
  clock,
}: {
  ways: WaysOut
  endpoints: PushEndpoints
  clock: Clock
}): OpenPushSenders {
  const { http, guard } = ways.providers
  const connections = new Http2Connections(guard)
  return {
    fcm: new FcmSender({ http, endpoints, clock }),
    apns: new ApnsSender({ connections, endpoints, clock }),
    hms: new HmsSender({ http, endpoints, clock }),
    web: new WebPushSender({ http: ways.browsers, clock }),
    close: () => connections.close(),
  }
}
