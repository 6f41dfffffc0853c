import type { Queries } from '#storage/queries.ts'
import type { CabinetContactTable } from '#storage/schema/cabinets.ts'
import { statement } from '#storage/statement.ts'
import type { CabinetKey } from './cabinet-store.ts'

/** What calls of a cabinet tell about it. */
export interface Contact {
  readonly lastSyncAtMs: number | null
  readonly lastAddress: string | null
  readonly firmwareVersion: string | null
  readonly installCode: string | null
}

/** A call that came in; what it did not tell is null and stays as it is. */
export interface ContactNote extends Contact {
  readonly lastSyncAtMs: number
}

type ContactRow = Pick<
  CabinetContactTable,
  'tenant_id' | 'cabinet_id' | 'last_sync_at' | 'last_ip' | 'firmware_version' | 'install_code'
>

const insert = statement((db, row: ContactRow) =>
  db.insertInto('cabinet_contact').values({
    tenant_id: row.tenant_id,
    cabinet_id: row.cabinet_id,
    last_sync_at: row.last_sync_at,
    last_ip: row.last_ip,
    firmware_version: row.firmware_version,
    install_code: row.install_code,
  }),
)

const note = statement(
  (
    db,
    p: {
      tenantId: string
      id: string
      lastSyncAtMs: number
      lastAddress: string | null
      firmwareVersion: string | null
      installCode: string | null
    },
  ) =>
    db
      .updateTable('cabinet_contact')
      .set((eb) => ({
        last_sync_at: p.lastSyncAtMs,
        last_ip: eb.fn.coalesce(eb.val(p.lastAddress), 'last_ip'),
        firmware_version: eb.fn.coalesce(eb.val(p.firmwareVersion), 'firmware_version'),
        install_code: eb.fn.coalesce(eb.val(p.installCode), 'install_code'),
      }))
      .where('tenant_id', '=', p.tenantId)
      .where('cabinet_id', '=', p.id)
      .where((eb) =>
        eb.or([eb('last_sync_at', 'is', null), eb('last_sync_at', '<=', p.lastSyncAtMs)]),
      ),
)

const find = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('cabinet_contact')
    .select(['last_sync_at', 'last_ip', 'firmware_version', 'install_code'])
    .where('tenant_id', '=', p.tenantId)
    .where('cabinet_id', '=', p.id),
)

const remove = statement((db, p: { tenantId: string; id: string }) =>
  db
    .deleteFrom('cabinet_contact')
    .where('tenant_id', '=', p.tenantId)
    .where('cabinet_id', '=', p.id),
)

/** When and from where cabinets called. */
export class ContactStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async insert({ tenantId, id }: CabinetKey, contact: Contact): Promise<void> {
    await this.#queries.run(insert, {
      tenant_id: tenantId,
      cabinet_id: id,
      last_sync_at: contact.lastSyncAtMs,
      last_ip: contact.lastAddress,
      firmware_version: contact.firmwareVersion,
      install_code: contact.installCode,
    })
  }

  /** An older call than the one that is noted changes nothing. */
  async note({ tenantId, id }: CabinetKey, contact: ContactNote): Promise<void> {
    await this.#queries.run(note, { tenantId, id, ...contact })
  }

  async find(key: CabinetKey): Promise<Contact | undefined> {
    const row = await this.#queries.first(find, key)
    return (
      row && {
        lastSyncAtMs: row.last_sync_at,
        lastAddress: row.last_ip,
        firmwareVersion: row.firmware_version,
        installCode: row.install_code,
      }
    )
  }

  async remove(key: CabinetKey): Promise<void> {
    await this.#queries.run(remove, key)
  }
}
