import type { KeyCustody } from '#custody/key-custody.ts'
import { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import { lastShardOf } from './certificate.ts'
import type { Issuer } from './issuer.ts'
import type { RevocationListService } from './revocation-list-service.ts'

const signersAtOnce = 20

/**
 * Ends revoked signers: each signs the last lists of what it issued, and then its key is destroyed. Evidence of decisions
 * from before needs lists that are younger than they are, and nobody else could sign them. It waits until no transaction is
 * under way that began before the revocation, since a decision in it would be younger than the list.
 */
export class SignerClosing {
  readonly #storage: Storage
  readonly #lists: RevocationListService
  readonly #custody: KeyCustody
  readonly #clock: Clock
  readonly #lateCommitMs: number

  constructor(dependencies: {
    storage: Storage
    revocationLists: RevocationListService
    custody: KeyCustody
    clock: Clock
    lateCommitMs: number
  }) {
    this.#storage = dependencies.storage
    this.#lists = dependencies.revocationLists
    this.#custody = dependencies.custody
    this.#clock = dependencies.clock
    this.#lateCommitMs = dependencies.lateCommitMs
  }

  /** To be called by one timer of the installation. What fails is tried again, and holds up no other signer. */
  async closeDue(): Promise<void> {
    const untilMs = this.#clock() - this.#lateCommitMs
    const failures: unknown[] = []
    for (let last: Issuer | undefined; ; ) {
      const revoked = await this.#storage.read.pki.issuers.listClosing({
        untilMs,
        afterMs: last?.updatedAtMs ?? 0,
        afterId: last?.id ?? '',
        limit: signersAtOnce,
      })
      for (const signer of revoked) {
        await this.#close(signer).catch((error: unknown) => failures.push(error))
      }
      last = revoked.at(-1)
      if (revoked.length < signersAtOnce) break
    }
    if (failures.length > 0) {
      throw new AggregateError(failures, 'The last lists of a revoked signer were not signed.')
    }
  }

  async #close(signer: Issuer): Promise<void> {
    const { tenantId, id, name, generation, kid, issuedCount, updatedAtMs } = signer
    if (kid === undefined) return
    if ((await this.#storage.read.signingKeys.find(tenantId, kid)) !== undefined) {
      // Younger than any list from before the revocation.
      const notBeforeMs = updatedAtMs + this.#lateCommitMs + 1
      for (let shard = 0; shard <= lastShardOf(issuedCount); shard++) {
        await this.#lists.get(tenantId, id, shard, { notBeforeMs })
      }
    }
    await this.#storage.transaction(async ({ pki, signingKeys, journal }) => {
      if (!(await pki.issuers.forgetKey(signer, kid))) return
      await signingKeys.remove(tenantId, kid)
      await journal.append(Caller.system(), tenantId, {
        action: 'signer.key-destroyed',
        target: { type: 'signer', id },
        detail: { name, generation },
      })
    })
    this.#custody.forget(tenantId, kid)
  }
}
