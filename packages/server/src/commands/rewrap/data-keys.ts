import { setTimeout as sleep } from 'node:timers/promises'
import type { MasterKey } from '#custody/master-key.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { SealError, Vault } from '#custody/vault.ts'
import { Caller, platformTenantId } from '#domain/callers/caller.ts'
import type { Storage } from '#domain/storage.ts'
import type { Database } from '#storage/queries.ts'
import { dynamicStatement, nothing, statement } from '#storage/statement.ts'
import { CommandError, exitCodes } from '../failure.ts'
import { storesOf } from '../installation.ts'
import type { Terminal } from '../terminal.ts'
import { isMasterKeyChanging } from './master-key-change.ts'
import { allSealedPlaces, type SealedPlaces, type SealedValue } from './sealed-columns.ts'
import { holdTenant } from './tenant-guard.ts'

const batchValues = 100
const tenantsPerPage = 200
/** A server that seals with an old key again and again is not one of ours, or its clock stands still. */
const passesMax = 10
const rotationName = 'data-key-rotation'

export interface Rotation {
  readonly database: Database
  readonly storage: Storage
  readonly masterKey: MasterKey
  /** Undefined: all tenants and the platform. */
  readonly tenantId: string | undefined
  readonly settleMs: number
}

const removeOlder = statement((db, p: { tenantId: string; version: number }) =>
  db.deleteFrom('tenant_key').where('tenant_id', '=', p.tenantId).where('version', '<', p.version),
)

/**
 * Gives tenants new data keys and seals every secret again. The new version of each tenant is written down first, so
 * that a repeated run goes on with it; the old one is removed when nothing is sealed with it any more.
 */
export async function rotateDataKeys(terminal: Terminal, rotation: Rotation): Promise<void> {
  const { storage, settleMs } = rotation
  if (await isMasterKeyChanging(storage)) {
    throw new CommandError(
      exitCodes.failure,
      'A change of the master key is under way; finish it first.',
    )
  }
  const tenantIds = await listTenantIds(rotation)
  const rotator = new DataKeyRotator(terminal, rotation)
  const versions = new Map<string, number>()
  for (const tenantId of tenantIds) {
    terminal.signal.throwIfAborted()
    const version = await rotator.begin(tenantId)
    if (version !== undefined) versions.set(tenantId, version)
  }
  if (settleMs > 0) {
    terminal.note(`Waiting ${settleMs / 1000} s until every server seals with the new keys.`)
    await sleep(settleMs, undefined, { signal: terminal.signal })
  }
  let resealed = 0
  {
    using progress = terminal.progress('sealing again', versions.size)
    for (const [tenantId, version] of versions) {
      resealed += await rotator.resealAll(tenantId, version)
      await rotator.end(tenantId, version)
      progress.add(1)
    }
  }
  terminal.result({ tenants: versions.size, resealed }, [
    `${versions.size} tenants have new data keys; ${resealed} values were sealed again.`,
  ])
}

class DataKeyRotator {
  readonly #terminal: Terminal
  readonly #database: Database
  readonly #vault: Vault

  constructor(terminal: Terminal, { database, storage, masterKey }: Rotation) {
    this.#terminal = terminal
    this.#database = database
    this.#vault = new Vault(masterKey, storage.read.tenantKeys, systemRandomness)
  }

  /** Makes the new version, or finds the one that an interrupted run made; undefined when the tenant is gone. */
  async begin(tenantId: string): Promise<number | undefined> {
    const mark = { tenantId, name: rotationName }
    const version = await this.#database.transaction(async (queries) => {
      const { platformValues, tenantKeys } = storesOf(queries)
      if (!(await holdTenant(queries, tenantId))) return undefined
      const begun = await platformValues.find(mark)
      if (begun !== undefined) return Number(begun)
      const wraps = await tenantKeys.listWrappedKeys(tenantId)
      const next = Math.max(0, ...wraps.map((wrap) => wrap.version)) + 1
      await tenantKeys.insert(tenantId, this.#vault.createWrappedKey(tenantId, next), Date.now())
      await platformValues.insert(mark, String(next))
      return next
    })
    this.#vault.forget(tenantId)
    return version
  }

  /** Passes over everything until a whole pass finds nothing old. @returns how many values were sealed again. */
  async resealAll(tenantId: string, version: number): Promise<number> {
    let total = 0
    for (let pass = 1; pass <= passesMax; pass++) {
      let found = 0
      for (const places of allSealedPlaces) {
        found += await this.#resealPlaces(places, tenantId, version)
      }
      if (found === 0) return total
      total += found
    }
    throw new CommandError(
      exitCodes.failure,
      `Values of ${tenantId} are sealed with an old key again and again; is a server of an old release running?`,
    )
  }

  /** Removes the versions that nothing uses, and records it. */
  async end(tenantId: string, version: number): Promise<void> {
    await this.#database.transaction(async (queries) => {
      const { platformValues, journal } = storesOf(queries)
      const mark = { tenantId, name: rotationName }
      const isOurs = (await platformValues.find(mark)) === String(version)
      if (!isOurs || !(await holdTenant(queries, tenantId))) return
      await queries.run(removeOlder, { tenantId, version })
      await platformValues.remove(mark)
      await journal.append(Caller.system(), tenantId, {
        action: 'data-key.rotated',
        detail: { version },
      })
    })
  }

  async #resealPlaces(places: SealedPlaces, tenantId: string, version: number): Promise<number> {
    let count = 0
    let afterRow = ''
    for (;;) {
      this.#terminal.signal.throwIfAborted()
      const { values, lastRow } = await places.list(
        this.#database.reader,
        tenantId,
        afterRow,
        batchValues,
      )
      if (lastRow === undefined) return count
      afterRow = lastRow
      const old = values.filter(({ sealed }) => this.#vault.keyVersion(sealed) !== version)
      const resealed = await Promise.all(
        old.map(async (value) => ({ value, sealed: await this.#resealed(value) })),
      )
      if (resealed.length === 0) continue
      await this.#database.transaction(async (queries) => {
        for (const { value, sealed } of resealed) await places.replace(queries, value, sealed)
      })
      count += resealed.length
    }
  }

  async #resealed({ place, sealed }: SealedValue): Promise<Uint8Array> {
    try {
      return await this.#vault.seal(place, await this.#vault.open(place, sealed))
    } catch (error) {
      if (!(error instanceof SealError)) throw error
      const name = `${place.table}.${place.column} of ${place.tenantId}, ${place.row}`
      throw new CommandError(exitCodes.badData, `${name}: ${error.message}`, { cause: error })
    }
  }
}

async function listTenantIds({ database, storage, tenantId }: Rotation): Promise<string[]> {
  if (tenantId !== undefined) {
    if (tenantId !== platformTenantId) await storage.read.tenants.get(tenantId)
    return [tenantId]
  }
  const ids: string[] = []
  let after = ''
  for (;;) {
    const rows = await database.reader.all(
      dynamicStatement((db) =>
        db
          .selectFrom('tenant_key')
          .select('tenant_id')
          .distinct()
          .where('tenant_id', '>', after)
          .orderBy('tenant_id')
          .limit(tenantsPerPage),
      ),
      nothing,
    )
    ids.push(...rows.map(({ tenant_id }) => tenant_id))
    const last = rows.at(-1)
    if (last === undefined) return ids
    after = last.tenant_id
  }
}
