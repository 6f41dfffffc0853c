import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import { type CabinetConfig, foldSerial, type JsonObject } from './cabinet.ts'
import type { CabinetKey } from './cabinet-store.ts'
import type { SettingName } from './poll.ts'
import type { ListDigests } from './rights-store.ts'

/** What an earlier poll was answered. */
export interface Told {
  readonly answered: SettingName | null
  /** The digests of lists that were put in front of everything else. */
  readonly locks: string | null
  readonly users: string | null
  readonly pinMode: boolean | null
  readonly auditEnabled: boolean | null
}

/** Everything that a poll is answered from; `config` is meaningless while nobody has registered the cabinet. */
export interface PolledCabinet {
  readonly key: CabinetKey
  /** As registered. */
  readonly serial: string
  readonly tenantStatus: string | null
  readonly config: CabinetConfig
  readonly subscribeUrls: JsonObject
  readonly firmwareVersion: string | null
  readonly told: Told
  /** Undefined when they are to be computed. */
  readonly digests: ListDigests | undefined
}

const findBySerial = statement((db, p: { foldedSerial: string }) =>
  db
    .selectFrom('cabinet')
    .leftJoin('tenant', 'tenant.tenant_id', 'cabinet.tenant_id')
    .leftJoin('cabinet_contact as contact', (join) =>
      join
        .onRef('contact.tenant_id', '=', 'cabinet.tenant_id')
        .onRef('contact.cabinet_id', '=', 'cabinet.id'),
    )
    .leftJoin('cabinet_rights as rights', (join) =>
      join
        .onRef('rights.tenant_id', '=', 'cabinet.tenant_id')
        .onRef('rights.cabinet_id', '=', 'cabinet.id'),
    )
    .select([
      'cabinet.tenant_id',
      'cabinet.id',
      'cabinet.serial',
      'cabinet.config',
      'cabinet.subscribe_urls',
      'tenant.status',
      'contact.firmware_version',
      'contact.answered',
      'contact.told_locks',
      'contact.told_users',
      'contact.told_pin_mode',
      'contact.told_audit_enabled',
      'rights.version',
      'rights.digest_version',
      'rights.lock_digest',
      'rights.user_digest_mac',
    ])
    .where('cabinet.folded_serial', '=', p.foldedSerial),
)

const putTold = statement(
  (
    db,
    p: {
      tenantId: string
      id: string
      answered: string | null
      locks: string | null
      users: string | null
      pinMode: number | null
      auditEnabled: number | null
    },
  ) =>
    db
      .updateTable('cabinet_contact')
      .set({
        answered: p.answered,
        told_locks: p.locks,
        told_users: p.users,
        told_pin_mode: p.pinMode,
        told_audit_enabled: p.auditEnabled,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('cabinet_id', '=', p.id),
)

/** What polls read and write. */
export class PollStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** Over all tenants: the serial says which one it is. */
  async findBySerial(serial: string): Promise<PolledCabinet | undefined> {
    const row = await this.#queries.first(findBySerial, { foldedSerial: foldSerial(serial) })
    if (row === undefined) return undefined
    const { lock_digest: lockDigest, user_digest_mac: userDigestMac } = row
    const isCurrent = lockDigest !== null && row.version === row.digest_version
    return {
      key: { tenantId: row.tenant_id, id: row.id },
      serial: row.serial,
      tenantStatus: row.status,
      config: configOf(row.config),
      subscribeUrls: objectOf(row.subscribe_urls),
      firmwareVersion: row.firmware_version,
      told: {
        answered: row.answered as SettingName | null,
        locks: row.told_locks,
        users: row.told_users,
        pinMode: asFlag(row.told_pin_mode),
        auditEnabled: asFlag(row.told_audit_enabled),
      },
      digests: isCurrent && userDigestMac !== null ? { lockDigest, userDigestMac } : undefined,
    }
  }

  async putTold({ tenantId, id }: CabinetKey, told: Told): Promise<void> {
    await this.#queries.run(putTold, {
      tenantId,
      id,
      answered: told.answered,
      locks: told.locks,
      users: told.users,
      pinMode: told.pinMode === null ? null : Number(told.pinMode),
      auditEnabled: told.auditEnabled === null ? null : Number(told.auditEnabled),
    })
  }
}

function asFlag(value: number | null): boolean | null {
  return value === null ? null : value === 1
}

const noUrls: JsonObject = Object.freeze({})

function objectOf(json: string): JsonObject {
  return json === '{}' ? noUrls : (JSON.parse(json) as JsonObject)
}

const keptConfigsMax = 1_000
const keptConfigs = new Map<string, CabinetConfig>()

/** Most cabinets are set up alike: a text is read once. */
function configOf(json: string): CabinetConfig {
  const kept = keptConfigs.get(json)
  if (kept !== undefined) return kept
  const config = Object.freeze(JSON.parse(json) as CabinetConfig)
  if (keptConfigs.size >= keptConfigsMax) keptConfigs.clear()
  keptConfigs.set(json, config)
  return config
}
