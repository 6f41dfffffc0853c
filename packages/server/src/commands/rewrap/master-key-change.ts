import { timingSafeEqual } from 'node:crypto'
import type { MasterKey } from '#custody/master-key.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { wrapPlace } from '#custody/vault.ts'
import { Caller, platformTenantId } from '#domain/callers/caller.ts'
import type { Storage } from '#domain/storage.ts'
import type { Database, Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import { countRows, insertMissing, type Row, rowsOf } from '#storage/table-rows.ts'
import { listTables, type Table } from '#storage/tables.ts'
import { CommandError, exitCodes } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { holdTenant } from './tenant-guard.ts'

/** Which master key the installation is on its way to. */
const targetKey = { tenantId: platformTenantId, name: 'master-key-change' } as const
const tenantsAtOnce = 64

/** All wraps of one version of a tenant's data key. */
interface WrappedVersion {
  readonly tenantId: string
  readonly version: number
  readonly rows: readonly Row[]
}

const removeWrap = statement((db, p: { tenantId: string; version: number; masterKeyId: string }) =>
  db
    .deleteFrom('tenant_key')
    .where('tenant_id', '=', p.tenantId)
    .where('version', '=', p.version)
    .where('master_key_id', '=', p.masterKeyId),
)

/** True while an installation has two master keys. */
export async function isMasterKeyChanging(storage: Storage): Promise<boolean> {
  return (await storage.read.platformValues.find(targetKey)) !== undefined
}

/**
 * A change of the master key: first every data key gets a second wrap, so that servers with either key work; when all
 * servers have the new one, the old wraps are removed. Data is never touched.
 */
export class MasterKeyChange {
  readonly #database: Database
  readonly #storage: Storage
  readonly #terminal: Terminal
  readonly #table: Table

  constructor(dependencies: { database: Database; storage: Storage; terminal: Terminal }) {
    this.#database = dependencies.database
    this.#storage = dependencies.storage
    this.#terminal = dependencies.terminal
    const table = listTables().find(({ name }) => name === 'tenant_key')
    if (table === undefined) throw new Error('There is no table of data keys.')
    this.#table = table
  }

  /** Wraps by `to` whatever only `from` opens, and the other way round for tenants that were made meanwhile. */
  async addWraps({ from, to }: { from: MasterKey; to: MasterKey }): Promise<void> {
    if (from.id === to.id) {
      throw new CommandError(exitCodes.usage, 'The new master key is the one that is in use.')
    }
    await this.#begin(from, to)
    let added = 0
    const unopened: string[] = []
    await this.#eachVersion('wrapping', async (wrapped) => {
      const missing = this.#missingWraps(wrapped, from, to)
      if (missing === undefined) {
        unopened.push(nameOf(wrapped))
        return
      }
      const count = await this.#insert(wrapped, missing)
      added += count
    })
    requireNone(unopened, 'neither key opens')
    this.#terminal.result({ from: from.id, to: to.id, added }, [
      `${added} wraps were added; every data key now opens with ${from.id} and with ${to.id}.`,
      'Give the new key to all servers, then run "countersign rewrap --finish" with it.',
    ])
  }

  /** Removes all wraps but those by `kept`, once each data key has one. */
  async finish(kept: MasterKey): Promise<void> {
    await this.#requireTarget(kept)
    const lacking: string[] = []
    await this.#eachVersion('checking', async (wrapped) => {
      if (openWith(kept, wrapped) === undefined) lacking.push(nameOf(wrapped))
    })
    requireNone(
      lacking,
      `${kept.id} does not open yet; run "countersign rewrap --new-key-file" again`,
    )

    let removed = 0
    await this.#eachVersion('removing', async (wrapped) => {
      if (openWith(kept, wrapped) === undefined) {
        lacking.push(nameOf(wrapped))
        return
      }
      const count = await this.#removeOthers(wrapped, kept)
      removed += count
    })
    requireNone(lacking, `came meanwhile; run "countersign rewrap --new-key-file" again`)
    await this.#end(kept, removed)
    this.#terminal.result({ masterKeyId: kept.id, removed }, [
      `${removed} wraps by other keys were removed; only ${kept.id} opens the database now.`,
      'Keep the former key as long as there are backups that were made with it.',
    ])
  }

  async #begin(from: MasterKey, to: MasterKey): Promise<void> {
    await this.#storage.transaction(async ({ platformValues, journal }) => {
      if ((await platformValues.find(targetKey)) === to.id) return
      await platformValues.put(targetKey, to.id)
      await journal.append(Caller.system(), platformTenantId, {
        action: 'master-key.change-begun',
        detail: { from: from.id, to: to.id },
      })
    })
  }

  async #requireTarget(kept: MasterKey): Promise<void> {
    const target = await this.#storage.read.platformValues.find(targetKey)
    if (target === kept.id) return
    throw new CommandError(
      exitCodes.failure,
      target === undefined
        ? 'No change of the master key is under way.'
        : `The change under way is to the master key ${target}; this one is ${kept.id}.`,
    )
  }

  async #end(kept: MasterKey, removed: number): Promise<void> {
    await this.#storage.transaction(async ({ platformValues, journal }) => {
      if ((await platformValues.find(targetKey)) !== kept.id) return
      await platformValues.remove(targetKey)
      await journal.append(Caller.system(), platformTenantId, {
        action: 'master-key.change-finished',
        detail: { masterKeyId: kept.id, removed },
      })
    })
  }

  /** Undefined when neither key opens the version. */
  #missingWraps(wrapped: WrappedVersion, from: MasterKey, to: MasterKey): Row[] | undefined {
    const keys = [from, to]
    const opened = keys.map((key) => openWith(key, wrapped))
    const dataKey = opened[0] ?? opened[1]
    if (dataKey === undefined) return undefined
    const [one, other] = opened
    if (one && other && !timingSafeEqual(one, other)) return undefined
    return keys
      .filter((_key, index) => opened[index] === undefined)
      .map((key) => ({
        ...(wrapped.rows[0] as Row),
        master_key_id: key.id,
        wrapped: key.wrap(dataKey, wrapPlace(wrapped.tenantId, wrapped.version), systemRandomness),
      }))
  }

  #insert({ tenantId }: WrappedVersion, rows: readonly Row[]): Promise<number> {
    if (rows.length === 0) return Promise.resolve(0)
    return this.#database.transaction(async (queries) =>
      (await holdTenant(queries, tenantId)) ? insertMissing(queries, this.#table, rows) : 0,
    )
  }

  #removeOthers({ tenantId, version, rows }: WrappedVersion, kept: MasterKey): Promise<number> {
    const others = rows.map((row) => String(row.master_key_id)).filter((id) => id !== kept.id)
    if (others.length === 0) return Promise.resolve(0)
    return this.#database.transaction(async (queries: Queries) => {
      let removed = 0
      for (const masterKeyId of others) {
        removed += await queries.run(removeWrap, { tenantId, version, masterKeyId })
      }
      return removed
    })
  }

  /** Some versions at a time, so that their transactions share a commit. */
  async #eachVersion(
    label: string,
    work: (wrapped: WrappedVersion) => Promise<void>,
  ): Promise<void> {
    using progress = this.#terminal.progress(
      label,
      await countRows(this.#database.reader, this.#table),
    )
    let waiting: WrappedVersion[] = []
    const runWaiting = async (): Promise<void> => {
      this.#terminal.signal.throwIfAborted()
      await Promise.all(waiting.map(work))
      for (const { rows } of waiting) progress.add(rows.length)
      waiting = []
    }
    for await (const wrapped of this.#versions()) {
      waiting.push(wrapped)
      if (waiting.length >= tenantsAtOnce) await runWaiting()
    }
    await runWaiting()
  }

  async *#versions(): AsyncGenerator<WrappedVersion> {
    let rows: Row[] = []
    for await (const page of rowsOf(this.#database.reader, this.#table)) {
      for (const row of page) {
        const isNext = rows[0]?.tenant_id !== row.tenant_id || rows[0]?.version !== row.version
        if (isNext && rows.length > 0) yield versionOf(rows)
        rows = isNext ? [row] : [...rows, row]
      }
    }
    if (rows.length > 0) yield versionOf(rows)
  }
}

function versionOf(rows: readonly Row[]): WrappedVersion {
  return { tenantId: String(rows[0]?.tenant_id), version: Number(rows[0]?.version), rows }
}

function openWith(
  key: MasterKey,
  { tenantId, version, rows }: WrappedVersion,
): Uint8Array | undefined {
  const row = rows.find(({ master_key_id: id }) => id === key.id)
  return row && key.unwrap(row.wrapped as Uint8Array, wrapPlace(tenantId, version))
}

function nameOf({ tenantId, version }: WrappedVersion): string {
  return `${tenantId} version ${version}`
}

function requireNone(names: readonly string[], problem: string): void {
  if (names.length === 0) return
  throw new CommandError(
    exitCodes.failure,
    `${names.length} data keys that ${problem}: ${names.slice(0, 20).join(', ')}`,
    { detail: { dataKeys: names.slice(0, 100) } },
  )
}
