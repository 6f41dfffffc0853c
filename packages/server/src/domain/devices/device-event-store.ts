import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

/** Something a device is told; approvals and messages that wait are told from their own rows. */
export interface DeviceEvent {
  readonly id: string
  /** Null: for whoever uses the device. */
  readonly userId: string | null
  readonly type: string
  readonly data: Readonly<Record<string, string | number>>
  readonly createdAtMs: number
}

export interface EventPlace {
  readonly tenantId: string
  readonly deviceId: string
}

const insert = statement(
  (
    db,
    p: EventPlace & {
      id: string
      userId: string | null
      type: string
      data: string
      createdAtMs: number
    },
  ) =>
    db.insertInto('device_event').values({
      tenant_id: p.tenantId,
      device_id: p.deviceId,
      id: p.id,
      user_id: p.userId,
      type: p.type,
      data: p.data,
      created_at: p.createdAtMs,
    }),
)

/** Without the newest `kept`; where there are not so many, nothing is compared. */
const trim = statement((db, p: EventPlace & { kept: number }) =>
  db
    .deleteFrom('device_event')
    .where('tenant_id', '=', p.tenantId)
    .where('device_id', '=', p.deviceId)
    .where('id', '<=', ({ selectFrom }) =>
      selectFrom('device_event as kept')
        .select('kept.id')
        .where('kept.tenant_id', '=', p.tenantId)
        .where('kept.device_id', '=', p.deviceId)
        .orderBy('kept.id', 'desc')
        .limit(1)
        .offset(p.kept),
    ),
)

const listAfter = statement((db, p: EventPlace & { afterId: string; limit: number }) =>
  db
    .selectFrom('device_event')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('device_id', '=', p.deviceId)
    .where('id', '>', p.afterId)
    .orderBy('id')
    .limit(p.limit),
)

const find = statement((db, p: EventPlace & { id: string }) =>
  db
    .selectFrom('device_event')
    .select('id')
    .where('tenant_id', '=', p.tenantId)
    .where('device_id', '=', p.deviceId)
    .where('id', '=', p.id),
)

const removeBefore = statement((db, p: { beforeMs: number; limit: number }) =>
  db
    .deleteFrom('device_event')
    .where(({ eb, refTuple }) =>
      eb(
        refTuple('tenant_id', 'device_id', 'id'),
        'in',
        eb
          .selectFrom('device_event')
          .select(['tenant_id', 'device_id', 'id'])
          .where('created_at', '<', p.beforeMs)
          .orderBy('created_at')
          .limit(p.limit)
          .$asTuple('tenant_id', 'device_id', 'id'),
      ),
    ),
)

/** `eventsPerDeviceMax` of the contract. */
export const eventsPerDeviceMax = 1_000

/** What devices are told, kept for a day, and no more than the newest of each. */
export class DeviceEventStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** The oldest go where there are too many. */
  async append({ tenantId, deviceId }: EventPlace, event: DeviceEvent): Promise<void> {
    const { data, ...rest } = event
    await this.#queries.run(insert, { tenantId, deviceId, ...rest, data: JSON.stringify(data) })
    await this.#queries.run(trim, { tenantId, deviceId, kept: eventsPerDeviceMax })
  }

  /** Oldest first; `afterId` empty for all that are kept. */
  async listAfter(
    { tenantId, deviceId }: EventPlace,
    afterId: string,
    limit: number,
  ): Promise<DeviceEvent[]> {
    const rows = await this.#queries.all(listAfter, { tenantId, deviceId, afterId, limit })
    return rows.map((row) => ({
      id: row.id,
      userId: row.user_id,
      type: row.type,
      data: JSON.parse(row.data) as DeviceEvent['data'],
      createdAtMs: row.created_at,
    }))
  }

  async exists(place: EventPlace, id: string): Promise<boolean> {
    return (await this.#queries.first(find, { ...place, id })) !== undefined
  }

  /** Of all tenants. @returns how many went. */
  async removeBefore(beforeMs: number, limit: number): Promise<number> {
    return this.#queries.run(removeBefore, { beforeMs, limit })
  }
}
