import type { OutboundCall } from './delivery-kind.ts'
import type { Attempt, AttemptError } from './outbox-message.ts'

/** What a receiver answered, as far as it is read. */
export interface ExchangeAnswer extends Pick<Attempt, 'statusCode' | 'error'> {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** At most 64 KiB; empty when more came, or not all of it in time. */
  readonly body: Uint8Array
}

/** For features whose receivers say by the body what became of a message; `delivery/` implements it. */
export interface HttpExchange {
  /** POSTs under the rules of everything that leaves the server. Never throws; the signal ends it as TIMEOUT. */
  exchange(call: OutboundCall, signal: AbortSignal): Promise<ExchangeAnswer>
}

/** The addresses to connect to, or why not. */
export type AllowedAddresses = readonly string[] | AttemptError

/** For connections of another kind than HTTP/1.1 under the same rules; `delivery/` implements it. */
export interface AddressGuard {
  /** Resolved now, each of them checked; connect to nothing else. Never throws. */
  allowedAddresses(url: string, signal: AbortSignal): Promise<AllowedAddresses>
}
