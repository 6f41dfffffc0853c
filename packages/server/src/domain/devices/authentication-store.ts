import type { Queries } from '#storage/queries.ts'
import { type Builder, dynamicStatement, nothing } from '#storage/statement.ts'
import { listedRecords } from '../journal/user-record-store.ts'

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

interface Stretch {
  readonly fromSeq: number
  readonly sinceMs: number
  /** Up to which record the journal lists the records of each user. */
  readonly listedTo: number
  readonly limit: number
}

function fromRecords(db: Builder) {
  return db.selectFrom('journal_record as r')
}

function attempts(start: ReturnType<typeof fromRecords>, { sinceMs, limit }: Stretch) {
  return start
    .select(['r.user_id', 'r.at', 'r.body'])
    .where('r.at', '>', sinceMs)
    .where('r.action', 'in', attemptActions)
    .limit(limit)
}

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
    stretch: Stretch,
  ): Promise<AttemptRecord[]> {
    if (userIds.length === 0) return []
    const { fromSeq, listedTo, limit } = stretch
    const found = await this.#queries.all(
      dynamicStatement((db) =>
        attempts(fromRecords(db), stretch)
          .where('r.tenant_id', '=', tenantId)
          .where('r.user_id', 'in', userIds)
          .where('r.seq', '>=', Math.max(fromSeq, listedTo + 1))
          .orderBy('r.seq', 'desc'),
      ),
      nothing,
    )
    const listed = await this.#queries.all(
      dynamicStatement((db) =>
        attempts(listedRecords(db), stretch)
          .where('u.tenant_id' as 'r.tenant_id', '=', tenantId)
          .where('u.user_id' as 'r.user_id', 'in', userIds)
          .where('u.seq' as 'r.seq', '>=', fromSeq)
          .where('u.seq' as 'r.seq', '<=', listedTo)
          .orderBy('u.seq' as 'r.seq', 'desc'),
      ),
      nothing,
    )
    return [...found, ...listed]
      .slice(0, limit)
      .map(({ user_id, at, body }) => ({ userId: user_id, atMs: at, body }))
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
