import { systemRandomness } from '#custody/randomness.ts'
import { AddressResolver, type AddressSource } from '#delivery/address-resolver.ts'
import { Dispatcher } from '#delivery/dispatcher.ts'
import { OutboundHttp } from '#delivery/outbound-http.ts'
import { AddressRange } from '#domain/address-range.ts'
import type { DeliveryKind } from '#domain/outbox/delivery-kind.ts'
import type { OutboxMessage } from '#domain/outbox/outbox-message.ts'
import { type OutboundAllow, OutboundRule } from '#domain/tenants/outbound-rule.ts'
import type { TestCore } from './core.ts'

/** As COUNTERSIGN_OUTBOUND_ALLOW=127.0.0.0/8. */
export const loopbackAllowed: OutboundAllow = {
  hosts: [],
  ranges: [AddressRange.parse('127.0.0.0/8')].filter((range) => range !== undefined),
}

/** What a dispatcher said of its work. */
export interface Settled {
  readonly kind: string
  readonly outcome: string
}

export interface TestDispatcher extends AsyncDisposable {
  readonly dispatcher: Dispatcher
  readonly settled: readonly Settled[]
  readonly failures: readonly unknown[]
}

/** A running dispatcher over a core's database that may call this machine. */
export function startDispatcher(
  core: Pick<TestCore, 'storage' | 'clock'>,
  kinds: readonly DeliveryKind[],
  options: { addresses?: AddressSource; allow?: OutboundAllow; clock?: () => number } = {},
): TestDispatcher {
  const settled: Settled[] = []
  const failures: unknown[] = []
  const clock = options.clock ?? core.clock
  const dispatcher = new Dispatcher({
    storage: core.storage,
    http: new OutboundHttp({
      rule: new OutboundRule(options.allow ?? loopbackAllowed),
      resolver: new AddressResolver(options.addresses ?? (async () => [])),
      clock,
    }),
    kinds,
    clock,
    randomness: systemRandomness,
    observer: {
      messageSettled: (kind, outcome) => void settled.push({ kind, outcome }),
      deliveryFailed: (work, error) => void failures.push({ work, error }),
    },
  })
  dispatcher.start()
  return {
    dispatcher,
    settled,
    failures,
    [Symbol.asyncDispose]: () => dispatcher.stop(),
  }
}

/** A kind that POSTs the payload to the URL that is the target, with the id as `x-id`. */
export function plainKind(changes: Partial<DeliveryKind> = {}): DeliveryKind {
  return {
    name: 'plain',
    isOrdered: false,
    keepsDelivered: false,
    retry: { delayAfter: () => 5_000 },
    prepare: async ({ target, id, payload, orderKey }: OutboxMessage) => ({
      url: target,
      headers: { 'x-id': id, 'x-key': orderKey },
      body: payload,
    }),
    ...changes,
  }
}

/** Resolves when the condition holds. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const endsAt = performance.now() + timeoutMs
  while (!(await holds())) {
    if (performance.now() > endsAt) throw new Error('It did not come to that.')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
