import type { Randomness } from '#custody/randomness.ts'
import type { Place, Vault, WrappedKey } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError, type Fault } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import { isOriginAllowed, type OutboundRule } from './outbound-rule.ts'
import {
  changesOf,
  mergeSettings,
  readSettings,
  type Settings,
  type SettingsChange,
  type SettingsPatch,
  writeSettings,
} from './settings.ts'

const keptTenantsMax = 10_000
const attemptsMax = 5
const callbackSecretBytes = 32
const callbackSecretName = 'okm-callback-secret'

export interface SettingsView {
  readonly settings: Settings
  readonly updatedAtMs: number
}

/** A change of settings; `callbackSecret` can be written and never read back. */
export interface SettingsUpdate {
  readonly patch: SettingsPatch
  /** `whsec_` and base64, as the contract's WebhookSecret. */
  readonly callbackSecret?: string | undefined
}

interface KeptSettings {
  readonly version: number
  readonly settings: Settings
}

/** Tenants' settings: read by every verification, changed by administrators. */
export class SettingsService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #outbound: OutboundRule
  readonly #clock: Clock
  readonly #kept = new Map<string, KeptSettings>()

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    outbound: OutboundRule
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#outbound = dependencies.outbound
    this.#clock = dependencies.clock
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`. */
  async get(caller: Caller, tenantId: string): Promise<SettingsView> {
    caller.requireIn(tenantId, 'tenant:read')
    return readView(this.#storage.read, tenantId)
  }

  /**
   * Merges the patch into the settings; it holds from the next request on.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `url_not_allowed` for an address that the server may not call.
   */
  async update(caller: Caller, tenantId: string, update: SettingsUpdate): Promise<SettingsView> {
    caller.requireIn(tenantId, 'tenant:write')
    const { patch, callbackSecret } = update
    const changes = changesOf(patch)
    const sealed =
      callbackSecret === undefined ? undefined : await this.#sealSecret(tenantId, callbackSecret)
    return this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      const settings = await this.#merge(stores, tenantId, patch, nowMs)
      if (sealed !== undefined) await putCallbackSecret(stores, tenantId, sealed)
      await stores.journal.append(caller, tenantId, {
        action: 'settings.updated',
        target: { type: 'settings', id: tenantId },
        detail: describe(changes, sealed !== undefined),
      })
      return { settings, updatedAtMs: nowMs }
    })
  }

  /**
   * The settings that hold for a request. For a caller of the tenant they are usually at hand: its authentication has
   * read the version that counts.
   *
   * @throws DomainError `tenant_not_found`.
   */
  async settingsFor(
    caller: Pick<Caller, 'tenantId' | 'settingsVersion'>,
    tenantId: string,
  ): Promise<Settings> {
    const kept = this.#kept.get(tenantId)
    const isCurrent = caller.tenantId === tenantId && kept?.version === caller.settingsVersion
    return isCurrent && kept !== undefined ? kept.settings : this.settingsOf(tenantId)
  }

  /**
   * The settings that hold now.
   *
   * @throws DomainError `tenant_not_found`.
   */
  async settingsOf(tenantId: string): Promise<Settings> {
    const stored = await this.#storage.read.tenants.findSettings(tenantId)
    if (stored === undefined) throw new DomainError('tenant_not_found', 'No such tenant.')
    const kept = this.#kept.get(tenantId)
    if (kept?.version === stored.version) return kept.settings
    const settings = readSettings(stored.json)
    if (this.#kept.size >= keptTenantsMax) this.#kept.clear()
    this.#kept.set(tenantId, { version: stored.version, settings })
    return settings
  }

  /**
   * The key with which calls to the tenant's OKM subscribers are signed, as `whsec_` and base64.
   *
   * @throws DomainError `tenant_not_found`.
   */
  async callbackSecretOf(tenantId: string): Promise<string> {
    const key = { tenantId, name: callbackSecretName }
    const stored = await this.#storage.read.platformValues.find(key)
    if (stored === undefined) throw new DomainError('tenant_not_found', 'No such tenant.')
    const secret = await this.#vault.open(
      callbackSecretPlace(tenantId),
      Buffer.from(stored, 'base64'),
    )
    return Buffer.from(secret).toString('utf8')
  }

  async #merge(
    stores: Stores,
    tenantId: string,
    patch: SettingsPatch,
    nowMs: number,
  ): Promise<Settings> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const stored = await stores.tenants.findSettings(tenantId)
      if (stored === undefined) throw new DomainError('tenant_not_found', 'No such tenant.')
      const settings = mergeSettings(readSettings(stored.json), patch)
      this.#requireCallable(settings, patch)
      const json = writeSettings(settings)
      const change = { json, seenVersion: stored.version, nowMs }
      if (await stores.tenants.replaceSettings(tenantId, change)) return settings
    }
    throw new DomainError('unavailable', 'The settings are being changed.', {
      retryAfterSeconds: 1,
    })
  }

  /** Only what the patch sets is looked at: an older address is checked again whenever it is called. */
  #requireCallable(settings: Settings, { ast, okm }: SettingsPatch): void {
    const { allowedOrigins } = settings.callbacks
    const faults: Fault[] = []
    const check = (pointer: string, url: string | null | undefined, needsEntry: boolean): void => {
      if (url === null || url === undefined) return
      const isListed =
        isOriginAllowed(url, allowedOrigins) || (!needsEntry && allowedOrigins.length === 0)
      if (isListed && this.#outbound.permits(url)) return
      faults.push({ pointer, code: 'unsupported', message: 'is outside the allow-list' })
    }
    check('/ast/defaultCallbackUrl', ast?.defaultCallbackUrl, true)
    check('/okm/auditDestinationUrl', okm?.auditDestinationUrl, false)
    if (faults.length > 0) {
      throw new DomainError('url_not_allowed', 'The address is outside the allow-list.', { faults })
    }
  }

  async #sealSecret(tenantId: string, secret: string): Promise<Uint8Array> {
    await this.#storage.read.tenants.get(tenantId)
    return this.#vault.seal(callbackSecretPlace(tenantId), Buffer.from(secret))
  }
}

/** A new tenant's callback secret, sealed with the key that is made with the tenant. */
export function newCallbackSecret(
  tenantId: string,
  key: WrappedKey,
  { vault, randomness }: { vault: Vault; randomness: Randomness },
): Uint8Array {
  const secret = `whsec_${Buffer.from(randomness(callbackSecretBytes)).toString('base64')}`
  return vault.sealWithNewKey(key, callbackSecretPlace(tenantId), Buffer.from(secret))
}

/** Stores what {@link newCallbackSecret} made. */
export async function putCallbackSecret(
  stores: Stores,
  tenantId: string,
  sealed: Uint8Array,
): Promise<void> {
  const value = Buffer.from(sealed).toString('base64')
  await stores.platformValues.put({ tenantId, name: callbackSecretName }, value)
}

function callbackSecretPlace(tenantId: string): Place {
  return { tenantId, table: 'platform_value', row: callbackSecretName, column: 'value' }
}

async function readView(stores: Stores, tenantId: string): Promise<SettingsView> {
  const stored = await stores.tenants.findSettings(tenantId)
  if (stored === undefined) throw new DomainError('tenant_not_found', 'No such tenant.')
  return { settings: readSettings(stored.json), updatedAtMs: stored.updatedAtMs }
}

/** Numbers and switches by value; texts by name only, because users may be shown them. */
function describe(
  changes: readonly SettingsChange[],
  secretChanged: boolean,
): { [name: string]: string[] | { [member: string]: number | boolean | null } } {
  const members = changes.map(({ section, member }) => `${section}.${member}`)
  if (secretChanged) members.push('okm.callbackSecret')
  const values: { [member: string]: number | boolean | null } = {}
  for (const { section, member, value } of changes) {
    if (value === null || typeof value === 'number' || typeof value === 'boolean') {
      values[`${section}.${member}`] = value
    }
  }
  return { members, values }
}
