import type { Randomness } from '#custody/randomness.ts'
import { AddressCheck } from '#delivery/address-check.ts'
import type { AddressResolver } from '#delivery/address-resolver.ts'
import { OutboundHttp } from '#delivery/outbound-http.ts'
import type { Clock } from '#domain/clock.ts'
import type { DeliveryKind } from '#domain/outbox/delivery-kind.ts'
import { pushDeliveryKinds } from '#domain/push/compose-push.ts'
import { OutboundRule } from '#domain/tenants/outbound-rule.ts'
import { pushEndpointNames, pushEndpoints } from '#push/endpoints.ts'
import { createPushSenders } from '#push/push-senders.ts'
import type { ComposedCore } from './compose-core.ts'
import type { Config } from './config.ts'

/** Push messages on their way out. */
export interface PushWayOut {
  readonly kinds: readonly DeliveryKind[]
  /** Ends the connections to providers; to be called once, when nothing is sent any more. */
  close(): void
}

/** Builds the senders, and what feeds them. */
export function openPushWayOut(parts: {
  readonly composed: ComposedCore
  readonly config: Pick<Config, 'outboundAllow' | 'pushAllow' | 'pushEndpoints'>
  readonly resolver: AddressResolver
  readonly clock: Clock
  readonly randomness: Randomness
}): PushWayOut {
  const { composed, config, resolver, clock, randomness } = parts
  const endpoints = config.pushEndpoints
  const way = { rule: providerRule(config), resolver }
  const providers = new OutboundHttp({ ...way, clock })
  // A device may name any host: what the operator opened for tenants' webhooks is not open to it.
  const browsers = new OutboundHttp({ rule: new OutboundRule(config.pushAllow), resolver, clock })
  const senders = createPushSenders({
    ways: { providers: { http: providers, guard: new AddressCheck(way) }, browsers },
    endpoints,
    clock,
  })
  const { storage, core } = composed
  const { settings, apps, templateTexts } = core
  return {
    kinds: pushDeliveryKinds({
      storage,
      settings,
      apps,
      templateTexts,
      senders,
      clock,
      randomness,
    }),
    close() {
      senders.close()
      providers.close()
      browsers.close()
    },
  }
}

/** Where the operator himself sent the calls to providers, they may go. */
function providerRule({
  outboundAllow,
  pushEndpoints: endpoints,
}: Pick<Config, 'outboundAllow' | 'pushEndpoints'>): OutboundRule {
  const { hosts, ranges } = outboundAllow
  const named = pushEndpointNames
    .filter((name) => endpoints[name] !== pushEndpoints[name])
    .map((name) => new URL(endpoints[name]).hostname.replace(/^\[(.*)\]$/, '$1'))
  return new OutboundRule({ hosts: [...hosts, ...named], ranges })
}
