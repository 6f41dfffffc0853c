import type { PushCredentialReader, PushCredentials } from '../apps/app-push-credentials.ts'
import type { Storage } from '../storage.ts'

const keptMax = 1_000

/**
 * Credentials of apps, opened and read once for each revision: many messages in a moment would spend their time on keys.
 * Whether they are still the right ones is asked every time.
 */
export class KeptCredentials implements PushCredentialReader {
  readonly #storage: Storage
  readonly #apps: PushCredentialReader
  readonly #kept = new Map<string, PushCredentials>()

  constructor({ storage, apps }: { storage: Storage; apps: PushCredentialReader }) {
    this.#storage = storage
    this.#apps = apps
  }

  async pushCredentials(tenantId: string, appName: string): Promise<PushCredentials | undefined> {
    const name = `${tenantId} ${appName}`
    const facts = await this.#storage.read.apps.findPushFacts(tenantId, appName)
    const kept = this.#kept.get(name)
    if (facts !== undefined && kept?.revision === facts.revision) return kept
    this.#kept.delete(name)
    const read = facts && (await this.#apps.pushCredentials(tenantId, appName))
    if (read === undefined) return undefined
    if (this.#kept.size >= keptMax) this.#kept.clear()
    this.#kept.set(name, read)
    return read
  }
}
