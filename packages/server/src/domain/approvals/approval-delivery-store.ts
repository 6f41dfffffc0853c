import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { Content } from './content.ts'

/** What one device was shown, and what its answer must name. */
export interface Delivery extends Content {
  /** Random, 32 bytes in base64url. */
  readonly challenge: string
  readonly retrievedAtMs: number
}

interface Key {
  readonly tenantId: string
  readonly approvalId: string
  readonly deviceId: string
}

const insert = statement(
  (
    db,
    p: Key & {
      challenge: string
      mediaType: string
      bytes: Uint8Array
      locale: string | null
      retrievedAtMs: number
    },
  ) =>
    db
      .insertInto('approval_delivery')
      .values({
        tenant_id: p.tenantId,
        approval_id: p.approvalId,
        device_id: p.deviceId,
        challenge: p.challenge,
        media_type: p.mediaType,
        content: p.bytes,
        locale: p.locale,
        retrieved_at: p.retrievedAtMs,
      })
      .onConflict((frozen) => frozen.doNothing()),
)

const find = statement((db, p: Key) =>
  db
    .selectFrom('approval_delivery')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('approval_id', '=', p.approvalId)
    .where('device_id', '=', p.deviceId),
)

const findAny = statement((db, p: { tenantId: string; approvalId: string }) =>
  db
    .selectFrom('approval_delivery')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('approval_id', '=', p.approvalId)
    .orderBy('retrieved_at')
    .limit(1),
)

type Row = {
  challenge: string
  media_type: string
  content: Uint8Array
  locale: string | null
  retrieved_at: number
}

/** The bytes that devices were shown, frozen at their first retrieval. */
export class ApprovalDeliveryStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @returns false when the device was shown something before; that stays. */
  async freeze(key: Key, { mediaType, ...delivery }: Delivery): Promise<boolean> {
    const { bytes, locale, challenge, retrievedAtMs } = delivery
    const parameters = { ...key, mediaType, bytes, locale, challenge, retrievedAtMs }
    return (await this.#queries.run(insert, parameters)) === 1
  }

  async find(key: Key): Promise<Delivery | undefined> {
    const row = await this.#queries.first(find, key)
    return row && asDelivery(row)
  }

  /** The first one to any device. */
  async findFirst(tenantId: string, approvalId: string): Promise<Delivery | undefined> {
    const row = await this.#queries.first(findAny, { tenantId, approvalId })
    return row && asDelivery(row)
  }
}

function asDelivery(row: Row): Delivery {
  return {
    mediaType: row.media_type as Content['mediaType'],
    bytes: row.content,
    locale: row.locale,
    challenge: row.challenge,
    retrievedAtMs: row.retrieved_at,
  }
}
