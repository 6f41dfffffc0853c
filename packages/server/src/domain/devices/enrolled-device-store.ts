import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { Device } from './device.ts'
import { asDevice } from './device-row-store.ts'

/** A device that a user has, or once had. */
export interface EnrolledDevice {
  readonly device: Device
  readonly linkedAtMs: number
  /** Null while the device is the user's. */
  readonly endedAtMs: number | null
}

const listOfUser = statement((db, p: { tenantId: string; userId: string; limit: number }) =>
  db
    .selectFrom('device_link as link')
    .crossJoin('device')
    .selectAll('device')
    .select(['link.linked_at', 'link.ended_at'])
    .where('link.tenant_id', '=', p.tenantId)
    .where('link.user_id', '=', p.userId)
    .where('device.tenant_id', '=', p.tenantId)
    .whereRef('device.id', '=', 'link.device_id')
    .orderBy('link.device_id', 'desc')
    .limit(p.limit),
)

/** Devices with the time for which they were a user's. */
export class EnrolledDeviceStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Deleted ones too, the last to enrol first. */
  async listOfUser(tenantId: string, userId: string, limit: number): Promise<EnrolledDevice[]> {
    const rows = await this.#queries.all(listOfUser, { tenantId, userId, limit })
    return rows.map((row) => ({
      device: asDevice(row),
      linkedAtMs: row.linked_at,
      endedAtMs: row.ended_at ?? row.deleted_at,
    }))
  }
}
