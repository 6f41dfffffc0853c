import { DomainError, type Fault } from '../errors.ts'
import { isOriginAllowed, type OutboundRule } from '../tenants/outbound-rule.ts'
import type { SettingsService } from '../tenants/settings-service.ts'

/** Which URLs a tenant may have called for its cabinets; asked when one is written, and again at each call. */
export class CallableUrls {
  readonly #settings: SettingsService
  readonly #outbound: OutboundRule

  constructor(dependencies: { settings: SettingsService; outbound: OutboundRule }) {
    this.#settings = dependencies.settings
    this.#outbound = dependencies.outbound
  }

  /** True for an address that the tenant may have called now. @throws DomainError `tenant_not_found`. */
  async isCallable(tenantId: string, url: string): Promise<boolean> {
    const { allowedOrigins } = (await this.#settings.settingsOf(tenantId)).callbacks
    return this.#permits(url, allowedOrigins)
  }

  /** @throws DomainError `url_not_allowed`; `tenant_not_found`. */
  async check(
    tenantId: string,
    urls: readonly { readonly pointer: string; readonly url: string }[],
  ): Promise<void> {
    if (urls.length === 0) return
    const { allowedOrigins } = (await this.#settings.settingsOf(tenantId)).callbacks
    const faults = urls.flatMap(({ pointer, url }): Fault[] => {
      if (this.#permits(url, allowedOrigins)) return []
      return [{ pointer, code: 'unsupported', message: 'is outside the allow-list' }]
    })
    if (faults.length > 0) {
      throw new DomainError('url_not_allowed', 'The address is outside the allow-list.', { faults })
    }
  }

  #permits(url: string, allowedOrigins: readonly string[]): boolean {
    const isListed = allowedOrigins.length === 0 || isOriginAllowed(url, allowedOrigins)
    return isListed && this.#outbound.permits(url)
  }
}
