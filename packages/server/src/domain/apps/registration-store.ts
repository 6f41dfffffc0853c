import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, nothing, statement } from '#storage/statement.ts'
import type { Registration } from './app-version.ts'

/** A version on an architecture. */
export interface RegistrationPlace {
  readonly tenantId: string
  readonly versionId: string
  readonly architecture: string
}

export interface NewRegistration extends RegistrationPlace {
  readonly integrity: string
  readonly registeredBy: string
  readonly sdkVersion: string
  readonly nowMs: number
}

const insert = statement((db, p: NewRegistration) =>
  db
    .insertInto('app_registration')
    .values({
      tenant_id: p.tenantId,
      version_id: p.versionId,
      architecture: p.architecture,
      integrity: p.integrity,
      registered_by: p.registeredBy,
      sdk_version: p.sdkVersion,
      registered_at: p.nowMs,
    })
    .onConflict((taken) => taken.doNothing()),
)

const find = statement((db, p: RegistrationPlace) =>
  db
    .selectFrom('app_registration')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('version_id', '=', p.versionId)
    .where('architecture', '=', p.architecture),
)

const remove = statement((db, p: RegistrationPlace) =>
  db
    .deleteFrom('app_registration')
    .where('tenant_id', '=', p.tenantId)
    .where('version_id', '=', p.versionId)
    .where('architecture', '=', p.architecture),
)

const removeAll = statement((db, p: { tenantId: string; versionId: string }) =>
  db
    .deleteFrom('app_registration')
    .where('tenant_id', '=', p.tenantId)
    .where('version_id', '=', p.versionId),
)

/** Integrity values that count. */
export class RegistrationStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @returns false when a value is registered already: the primary key decides. */
  async register(registration: NewRegistration): Promise<boolean> {
    return (await this.#queries.run(insert, registration)) === 1
  }

  async find(place: RegistrationPlace): Promise<Registration | undefined> {
    const row = await this.#queries.first(find, place)
    return row && asRegistration(row)
  }

  /** Of each version, in order of the architectures' names. */
  async listOf(
    tenantId: string,
    versionIds: readonly string[],
  ): Promise<ReadonlyMap<string, readonly Registration[]>> {
    const lists = new Map<string, Registration[]>(versionIds.map((id) => [id, []]))
    if (versionIds.length === 0) return lists
    const rows = await this.#queries.all(
      dynamicStatement((db) =>
        db
          .selectFrom('app_registration')
          .selectAll()
          .where('tenant_id', '=', tenantId)
          .where('version_id', 'in', [...versionIds])
          .orderBy('version_id')
          .orderBy('architecture'),
      ),
      nothing,
    )
    for (const row of rows) lists.get(row.version_id)?.push(asRegistration(row))
    return lists
  }

  /** @returns false when nothing is registered. */
  async remove(place: RegistrationPlace): Promise<boolean> {
    return (await this.#queries.run(remove, place)) === 1
  }

  async removeAll(tenantId: string, versionId: string): Promise<void> {
    await this.#queries.run(removeAll, { tenantId, versionId })
  }
}

function asRegistration(row: {
  architecture: string
  integrity: string
  registered_by: string
  sdk_version: string
  registered_at: number
}): Registration {
  return {
    architecture: row.architecture,
    integrity: row.integrity,
    registeredBy: row.registered_by,
    sdkVersion: row.sdk_version,
    registeredAtMs: row.registered_at,
  }
}
