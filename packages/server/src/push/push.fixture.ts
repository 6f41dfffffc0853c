import { AddressCheck } from '#delivery/address-check.ts'
import { AddressResolver } from '#delivery/address-resolver.ts'
import { OutboundHttp } from '#delivery/outbound-http.ts'
import type { PushNote } from '#domain/push/push-note.ts'
import { type OutboundAllow, OutboundRule } from '#domain/tenants/outbound-rule.ts'
import { loopbackAllowed } from '#test/support/delivery.ts'
import type { WaysOut } from './push-senders.ts'

export const startMs: number = Date.parse('2026-11-21T10:00:00Z')

export const note: PushNote = {
  tenantId: 'acme',
  userId: '01KS4ZMJ800000000000VSER01',
  messageId: '01KS51BGHM00000000000000P1',
  title: { text: 'Acme Bank' },
  body: { text: 'Überweisung prüfen' },
  expiresAtMs: startMs + 299_500,
}

/** Ways out that may call this machine. @param names where all names lead. */
export function openWays(
  clock: () => number,
  allow: OutboundAllow = loopbackAllowed,
  names: readonly string[] = [],
): WaysOut & Disposable {
  const rule = new OutboundRule(allow)
  const resolver = new AddressResolver(async () => names)
  const http = new OutboundHttp({ rule, resolver, clock })
  return {
    providers: { http, guard: new AddressCheck({ rule, resolver }) },
    browsers: http,
    [Symbol.dispose]: () => http.close(),
  }
}

export function inTime(ms = 5_000): AbortSignal {
  return AbortSignal.timeout(ms)
}
