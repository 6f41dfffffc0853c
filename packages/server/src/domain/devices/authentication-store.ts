import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, nothing } from '#storage/statement.ts'

/** A record of the journal that tells of an attempt to prove a user on a device. */
export interface AttemptRecord {
  readonly userId: string | null
  readonly atMs: number
  /** The record as canonical JSON. */
  readonly body: string
}

/** Actions that are, or can be, such attempts. */
const attemptActions = [
  'approval.approved',
  'approval.decided',
  'device.authenticated',
  'device.logged-in',
]

/** Attempts as the journal has them. */
export class AuthenticationStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * Newest first. Reads the records of these users from `fromSeq` on: a stretch of time, and so a bounded number.
   */
  async list(
    tenantId: string,
    userIds: readonly string[],
    { fromSeq, sinceMs, limit }: { fromSeq: number; sinceMs: number; limit: number },
  ): Promise<AttemptRecord[]> {
    if (userIds.length === 0) return []
    const rows = await this.#queries.all(
      dynamicStatement((db) =>
        db
          .selectFrom('journal_record')
          .select(['user_id', 'at', 'body'])
          .where('tenant_id', '=', tenantId)
          .where('user_id', 'in', userIds)
          .where('seq', '>=', fromSeq)
          .where('at', '>', sinceMs)
          .where('action', 'in', attemptActions)
          .orderBy('seq', 'desc')
          .limit(limit),
      ),
      nothing,
    )
    return rows.map(({ user_id, at, body }) => ({ userId: user_id, atMs: at, body }))
  }

  /** RFC 7638 thumbprints of device keys, by device. */
  async thumbprintsOf(
    tenantId: string,
    deviceIds: readonly string[],
  ): Promise<ReadonlyMap<string, string>> {
    if (deviceIds.length === 0) return new Map()
    const rows = await this.#queries.all(
      dynamicStatement((db) =>
        db
          .selectFrom('device')
          .select(['id', 'key_thumbprint'])
          .where('tenant_id', '=', tenantId)
          .where('id', 'in', deviceIds),
      ),
      nothing,
    )
    return new Map(rows.map(({ id, key_thumbprint }) => [id, key_thumbprint]))
  }
}
