import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

interface Held {
  readonly tenantId: string
  readonly deviceId: string
  readonly pushToken: string
}

const drop = statement((db, p: Held) =>
  db
    .updateTable('device')
    .set({ push_token: null })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.deviceId)
    .where('push_token', '=', p.pushToken),
)

const dropElsewhere = statement((db, p: Held) =>
  db
    .updateTable('device')
    .set({ push_token: null })
    .where('tenant_id', '=', p.tenantId)
    .where('push_token', '=', p.pushToken)
    .where('id', '<>', p.deviceId),
)

/** Which device has a push token: at most one of a tenant. */
export class PushTokenStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Takes a token from its device. False when the device has another one by now. */
  async drop(held: Held): Promise<boolean> {
    return (await this.#queries.run(drop, held)) === 1
  }

  /** Takes a token that this device is going to have from whichever other one has it. */
  async dropElsewhere(coming: Held): Promise<void> {
    await this.#queries.run(dropElsewhere, coming)
  }
}
