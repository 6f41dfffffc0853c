import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import { firstUlidAt } from '../ulid.ts'
import type { CheckpointService } from './checkpoint-service.ts'
import type { UserRecords } from './user-records.ts'

const dayMs = 86_400_000
const removedAtOnceMax = 500
/** Sealing follows time, but not to the millisecond: what is this much older than the limit is older for certain. */
const disorderMs = 120_000

/**
 * Removes records that are older than a tenant keeps them. A checkpoint of reason RETENTION says up to where; its hash is
 * the `prevHash` of the first record kept, so what is left can still be checked.
 */
export class Retention {
  readonly #storage: Storage
  readonly #checkpoints: CheckpointService
  readonly #userRecords: UserRecords
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    checkpoints: CheckpointService
    userRecords: UserRecords
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#checkpoints = dependencies.checkpoints
    this.#userRecords = dependencies.userRecords
    this.#clock = dependencies.clock
  }

  /**
   * @param auditDays how long records are kept.
   * @returns how many records were removed.
   */
  async apply(tenantId: string, auditDays: number): Promise<number> {
    const { journalReader, userRecords } = this.#storage.read
    const limitMs = this.#clock() - auditDays * dayMs
    const firstKept = await journalReader.findSeqNearId(tenantId, firstUlidAt(limitMs - disorderMs))
    const last = await journalReader.findLast(tenantId)
    const first = await journalReader.findFirst(tenantId)
    if (first === undefined || last === undefined) return 0
    // The newest record always stays: without it nothing would say where the chain stands.
    const oldTo = Math.min(firstKept ?? last.seq, last.seq) - 1
    // A record that is listed after it was removed would stay listed for ever.
    await this.#userRecords.listTo(tenantId, oldTo)
    const listedTo = await userRecords.findListedTo(tenantId)
    const upTo = await journalReader.find(tenantId, Math.min(oldTo, listedTo))
    if (upTo === undefined || upTo.seq < first.seq) return 0
    await this.#checkpoints.create(tenantId, upTo, 'RETENTION')
    return this.#remove(tenantId, first.seq, upTo.seq)
  }

  async #remove(tenantId: string, fromSeq: number, toSeq: number): Promise<number> {
    let removedCount = 0
    for (let start = fromSeq; start <= toSeq; start += removedAtOnceMax) {
      const end = Math.min(start + removedAtOnceMax - 1, toSeq)
      removedCount += await this.#storage.transaction(async ({ chain, userRecords }) => {
        await userRecords.remove(tenantId, { fromSeq: start, toSeq: end })
        return chain.remove(tenantId, start, end)
      })
    }
    return removedCount
  }
}
