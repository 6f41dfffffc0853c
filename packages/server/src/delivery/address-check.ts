import type { AddressGuard, AllowedAddresses } from '#domain/outbox/http-exchange.ts'
import type { OutboundRule } from '#domain/tenants/outbound-rule.ts'
import type { AddressResolver } from './address-resolver.ts'
import { findTarget } from './outbound-target.ts'

/** Where connections may go that are not made here. */
export class AddressCheck implements AddressGuard {
  readonly #way: { readonly rule: OutboundRule; readonly resolver: AddressResolver }

  constructor(way: { rule: OutboundRule; resolver: AddressResolver }) {
    this.#way = way
  }

  async allowedAddresses(url: string, signal: AbortSignal): Promise<AllowedAddresses> {
    const target = await findTarget(url, this.#way, signal)
    return typeof target === 'string' ? target : target.addresses
  }
}
