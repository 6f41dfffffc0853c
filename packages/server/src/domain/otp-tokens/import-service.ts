import { setImmediate as nextTurn } from 'node:timers/promises'
import { sha256Hex } from '#custody/secrets.ts'
import type { Vault } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Storage, Stores } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import {
  alreadyStored,
  type Duplicates,
  isVerdict,
  namedProduct,
  newToken,
  type PlannedToken,
  planEntry,
  refusedEntries,
} from './import-plan.ts'
import {
  type ImportReport,
  type ImportVerdict,
  importRejected,
  importReport,
} from './import-report.ts'
import { secretPlace } from './otp-token.ts'
import type { NewToken } from './otp-token-store.ts'
import type { Product } from './product.ts'
import { codesOf } from './product-service.ts'
import { parseSeedFile, type SeedFileInput } from './seed-files/parse-seed-file.ts'
import type { SeedEntry, SeedFormat } from './seed-files/seed-file.ts'
import { batchSize } from './token-import-store.ts'
import { findProduct, findRepository, type ProductReference } from './token-references.ts'
import { requireTokenAdmin } from './token-rights.ts'

export interface ImportRequest {
  readonly file: SeedFileInput
  /** Absent: the file names it. */
  readonly product?: ProductReference | undefined
  /** Absent: the default repository. */
  readonly repositoryId?: string | undefined
  readonly duplicates: Duplicates
  /** True: nothing is stored. */
  readonly dryRun: boolean
}

export interface StreamRequest {
  readonly product: ProductReference
  readonly repositoryId?: string | undefined
  readonly duplicates: Duplicates
}

/** Entries dealt with so far. */
export interface ImportProgress {
  readonly imported: number
  readonly skipped: number
}

/** Where the tokens of an import go, and what the journal says about it. */
interface Destination {
  readonly caller: Caller
  readonly tenantId: string
  readonly product: Product
  readonly repositoryId: string | null
  readonly format: SeedFormat
  readonly duplicates: Duplicates
}

/** Entries of a stream that are stored together. */
const streamBatchSize = 500

/** The transaction is given up: these serials were taken while it ran. */
class SerialsTaken extends Error {
  override readonly name = 'SerialsTaken'
  readonly serials: ReadonlySet<string>

  constructor(serials: ReadonlySet<string>) {
    super('Serials were taken meanwhile.')
    this.serials = serials
  }
}

/** Brings hardware tokens in, with the secrets that their makers gave them. */
export class ImportService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: { storage: Storage; vault: Vault; clock: Clock; nextId: IdSource }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * Imports a seed file of at most 10,000 entries: all of them or, when the report names failed ones, none.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `product_not_found`, `repository_not_found`; `invalid_request`
   *   when neither file nor request names a product, or they disagree; and as `parseSeedFile` for the file as a whole.
   */
  async importFile(
    caller: Caller,
    tenantId: string,
    request: ImportRequest,
  ): Promise<ImportReport> {
    requireTokenAdmin(caller, tenantId)
    const { duplicates, dryRun } = request
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const wanted = request.product && (await findProduct(read, tenantId, request.product))
    const repositoryId = await findRepository(read, tenantId, request.repositoryId)
    const file = await parseSeedFile(request.file)
    const { format } = file
    const refused = refusedEntries(file, duplicates)
    const total = file.entries.length + refused.length
    if (file.entries.length === 0) {
      return importReport({ dryRun, format, total }, refused)
    }
    const product = wanted ?? (await findProduct(read, tenantId, namedProduct(file, undefined)))
    if (wanted !== undefined) namedProduct(file, wanted)

    const destination = { caller, tenantId, product, repositoryId, format, duplicates }
    const { planned, verdicts } = await this.#plan(destination, file.entries)
    const known = [...refused, ...verdicts]
    if (dryRun) {
      return importReport({ dryRun, format, total }, [...known, ...planned.map(imported)])
    }
    if (known.some(({ result }) => result === 'FAILED')) {
      return importReport({ dryRun, format, total }, known)
    }
    const tokens = await this.#seal(destination, planned)
    const passedOver = known.length
    const stored = await this.#store(destination, { planned, tokens, passedOver })
    return importReport({ dryRun, format, total }, [...known, ...stored])
  }

  /**
   * Imports a file of any length in little memory: 500 entries at a time, each batch whole or not at all, with a journal
   * record of its own. After an error the batches before it stay; with `SKIP` the import can be run again.
   *
   * @throws DomainError as `importFile`; `import_rejected` for a bad entry; whatever `entries` throws.
   */
  async importStream(
    caller: Caller,
    tenantId: string,
    entries: AsyncIterable<SeedEntry>,
    request: StreamRequest,
    onProgress: (progress: ImportProgress) => void = () => {},
  ): Promise<ImportProgress> {
    requireTokenAdmin(caller, tenantId)
    const { duplicates } = request
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const product = await findProduct(read, tenantId, request.product)
    const repositoryId = await findRepository(read, tenantId, request.repositoryId)
    const destination: Destination = {
      caller,
      tenantId,
      product,
      repositoryId,
      format: 'PSKC',
      duplicates,
    }
    let progress: ImportProgress = { imported: 0, skipped: 0 }
    for await (const batch of batches(entries)) {
      const { planned, verdicts } = await this.#plan(destination, batch)
      const failedEntries = verdicts.filter(({ result }) => result === 'FAILED')
      if (failedEntries.length > 0) throw importRejected(failedEntries)
      const tokens = await this.#seal(destination, planned)
      const passedOver = verdicts.length
      const stored = await this.#store(destination, { planned, tokens, passedOver })
      const failedLate = stored.filter(({ result }) => result === 'FAILED')
      if (failedLate.length > 0) throw importRejected(failedLate)
      const importedCount = stored.filter(({ result }) => result === 'IMPORTED').length
      progress = {
        imported: progress.imported + importedCount,
        skipped: progress.skipped + batch.length - importedCount,
      }
      onProgress(progress)
    }
    return progress
  }

  /** Everything that can be said about entries without storing them. */
  async #plan(
    { tenantId, product, duplicates }: Destination,
    entries: readonly SeedEntry[],
  ): Promise<{ planned: PlannedToken[]; verdicts: ImportVerdict[] }> {
    const verdicts: ImportVerdict[] = []
    const fitting: PlannedToken[] = []
    for (const entry of entries) {
      const made = planEntry(product, entry)
      if (isVerdict(made)) verdicts.push(made)
      else fitting.push(made)
    }
    const taken = await this.#storage.read.tokenImports.listTaken(
      tenantId,
      product.id,
      fitting.map(({ serial }) => serial),
    )
    const planned: PlannedToken[] = []
    for (const token of fitting) {
      if (taken.has(token.serial)) verdicts.push(alreadyStored(token, duplicates))
      else planned.push(token)
    }
    return { planned, verdicts }
  }

  /** Before the transaction, so that nobody waits for the cipher; other requests get their turn in between. */
  async #seal(
    { tenantId, product, repositoryId }: Destination,
    planned: readonly PlannedToken[],
  ): Promise<NewToken[]> {
    const common = { tenantId, productId: product.id, repositoryId, createdAtMs: this.#clock() }
    const tokens: NewToken[] = []
    for (const token of planned) {
      const id = this.#nextId()
      const sealedSecret = await this.#vault.seal(secretPlace(tenantId, id), token.secret)
      tokens.push(newToken(token, common, { id, sealedSecret }))
      if (tokens.length % batchSize === 0) await nextTurn()
    }
    return tokens
  }

  /** Stores all tokens and the record of it, in one transaction. */
  async #store(
    destination: Destination,
    file: { planned: readonly PlannedToken[]; tokens: readonly NewToken[]; passedOver: number },
  ): Promise<ImportVerdict[]> {
    const { planned, tokens, passedOver } = file
    const { duplicates } = destination
    try {
      const storedIds = await this.#storage.transaction(async (stores) => {
        const stored = await insertAll(stores, tokens, duplicates)
        const fresh = tokens.filter(({ id }) => stored.has(id))
        const skippedCount = passedOver + tokens.length - fresh.length
        await recordImport(stores, destination, fresh, skippedCount)
        return stored
      })
      return planned.map((token, index) => {
        const id = tokens[index]?.id ?? ''
        return storedIds.has(id)
          ? { ...imported(token), tokenId: id }
          : alreadyStored(token, duplicates)
      })
    } catch (error) {
      if (!(error instanceof SerialsTaken)) throw error
      return planned
        .filter(({ serial }) => error.serials.has(serial))
        .map((token) => alreadyStored(token, duplicates))
    }
  }
}

/**
 * The event loop gets a turn after every batch: on SQLite statements answer at once, so that a long transaction would
 * hold up every reader. Writers wait for it to end.
 *
 * @throws SerialsTaken when a serial was taken meanwhile and duplicates are not skipped.
 */
async function insertAll(
  { tokenImports }: Stores,
  tokens: readonly NewToken[],
  duplicates: Duplicates,
): Promise<Set<string>> {
  const stored = new Set<string>()
  for (let start = 0; start < tokens.length; start += batchSize) {
    const batch = tokens.slice(start, start + batchSize)
    const inserted = await tokenImports.insert(batch)
    if (inserted.size < batch.length && duplicates === 'REJECT') {
      const taken = batch.filter(({ id }) => !inserted.has(id))
      throw new SerialsTaken(new Set(taken.map(({ serial }) => serial)))
    }
    for (const id of inserted) stored.add(id)
    await nextTurn()
  }
  return stored
}

/**
 * One record for all tokens of an import: ten thousand would say the same ten thousand times. Which tokens they were can
 * be proven from the file: the hash is SHA-256 over their serials in the file's order, each followed by a line feed.
 */
async function recordImport(
  { journal }: Stores,
  { caller, tenantId, product, format }: Destination,
  tokens: readonly NewToken[],
  skippedCount: number,
): Promise<void> {
  if (tokens.length === 0) return
  await journal.append(caller, tenantId, {
    action: 'otp-token.imported',
    target: { type: 'otp-product', id: product.id },
    detail: {
      ...codesOf(product),
      format,
      count: tokens.length,
      skippedCount,
      firstSerial: tokens[0]?.serial ?? '',
      lastSerial: tokens.at(-1)?.serial ?? '',
      serialsHash: sha256Hex(tokens.map(({ serial }) => `${serial}\n`).join('')),
    },
  })
}

function imported({ index, serial }: PlannedToken): ImportVerdict {
  return { index, serial, result: 'IMPORTED' }
}

async function* batches(entries: AsyncIterable<SeedEntry>): AsyncGenerator<SeedEntry[]> {
  let batch: SeedEntry[] = []
  for await (const entry of entries) {
    batch.push(entry)
    if (batch.length === streamBatchSize) {
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}
