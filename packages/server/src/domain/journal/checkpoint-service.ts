import { canonicalJson } from '@countersign/protocol/encoding/jcs.ts'
import type { JWK } from 'jose'
import type { Signer } from '#custody/signer.ts'
import { checkpointTyp, type JwsVerifier } from '#custody/signer.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import type { Storage } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import type { ChainHead } from './chain-store.ts'
import type { Checkpoint, CheckpointReason } from './checkpoint-store.ts'

const recordsBetweenMax = 1_000
const hourMs = 3_600_000

/** What a checkpoint's signature covers. */
export interface CheckpointStatement {
  readonly tenantId: string
  readonly seq: number
  readonly hash: string
}

/** Signs where a chain stands, so that whoever keeps a checkpoint notices a shortened or rewritten journal (R15). */
export class CheckpointService {
  readonly #storage: Storage
  readonly #signer: Signer
  readonly #verifier: JwsVerifier
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    signer: Signer
    verifier: JwsVerifier
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#signer = dependencies.signer
    this.#verifier = dependencies.verifier
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /** Makes the checkpoints that are due after sealing: every 1000 records, and every hour in which records came. */
  async afterSealing(tenantId: string, head: ChainHead): Promise<void> {
    const { read } = this.#storage
    let latest = await read.checkpoints.findLatest(tenantId)
    // Many records may have come at once.
    while (latest !== undefined && head.seq - latest.seq > recordsBetweenMax) {
      const record = await read.journalReader.find(tenantId, latest.seq + recordsBetweenMax)
      const key = await read.signingKeys.findActive(tenantId, 'audit')
      if (record === undefined || key === undefined) break
      latest = await this.create(tenantId, record, 'SCHEDULED')
    }
    const recordCount = head.seq - (latest?.seq ?? 0)
    const isHourOver = latest === undefined || this.#clock() - latest.atMs >= hourMs
    const isDue = recordCount >= recordsBetweenMax || (recordCount > 0 && isHourOver)
    if (!isDue) return
    const key = await this.#storage.read.signingKeys.findActive(tenantId, 'audit')
    // A tenant that was deleted has no key and needs no checkpoint any more.
    if (key !== undefined) await this.create(tenantId, head, 'SCHEDULED')
  }

  /** Signs for every chain that got records more than an hour ago and none since. */
  async createHourly(tenantIds: AsyncIterable<string>): Promise<void> {
    for await (const tenantId of tenantIds) {
      const head = await this.#storage.read.chain.findHead(tenantId)
      if (head !== undefined) await this.afterSealing(tenantId, head)
    }
  }

  /** A checkpoint over the record at the head; the one that exists for it, if there is one. */
  async create(tenantId: string, head: ChainHead, reason: CheckpointReason): Promise<Checkpoint> {
    const { read } = this.#storage
    const existing = await read.checkpoints.findAtSeq(tenantId, head.seq)
    if (existing !== undefined && reason !== 'RETENTION') return existing
    const key = await read.signingKeys.findActive(tenantId, 'audit')
    if (key === undefined) throw new DomainError('tenant_not_found', 'No such tenant.')
    const first = await read.journalReader.findFirst(tenantId)
    const previous = (await read.checkpoints.findLatest(tenantId))?.id ?? null
    const atMs = this.#clock()
    // After retention the first record kept is the one behind the checkpoint.
    const firstSeq = reason === 'RETENTION' ? head.seq + 1 : (first?.seq ?? head.seq)
    const payload = canonicalJson({
      v: 1,
      tenantId,
      seq: head.seq,
      hash: head.hash,
      firstSeq,
      at: new Date(atMs).toISOString(),
      reason,
      previous,
    })
    const jws = await this.#signer.signCompact(tenantId, key, checkpointTyp, Buffer.from(payload))
    const checkpoint: Checkpoint = {
      id: this.#nextId(),
      seq: head.seq,
      hash: head.hash,
      firstSeq,
      atMs,
      reason,
      previous,
      jws,
    }
    const inserted = await this.#storage.transaction(async ({ checkpoints, events }) => {
      const isNew = await checkpoints.insert(tenantId, checkpoint)
      const data = { checkpoint: checkpointDocument(checkpoint) }
      if (isNew) await events.append(tenantId, { type: 'audit.checkpoint-created', data })
      return isNew
    })
    return inserted
      ? checkpoint
      : ((await read.checkpoints.findAtSeq(tenantId, head.seq)) ?? checkpoint)
  }

  /**
   * In order of creation.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`.
   */
  async list(
    caller: Caller,
    tenantId: string,
    { limit, cursor }: PageRequest,
  ): Promise<Page<Checkpoint>> {
    caller.requireIn(tenantId, 'audit:read')
    const scope = { list: 'checkpoints', tenantId, nowMs: this.#clock() }
    const after = decodeCursor(cursor, ['text'], scope)
    const rows = await this.#storage.read.checkpoints.listAfter(tenantId, after?.[0], limit + 1)
    return pageOf(
      rows,
      limit,
      scope,
      ({ id }) => [id],
      (row) => row,
    )
  }

  /** What a checkpoint says, if it was signed by this tenant; undefined otherwise. */
  async read(tenantId: string, jws: string): Promise<CheckpointStatement | undefined> {
    const verified = await this.#verifier.verify(
      jws,
      checkpointTyp,
      await this.publicKeys(tenantId),
    )
    if (verified === undefined) return undefined
    const statement: unknown = JSON.parse(Buffer.from(verified.payload).toString('utf8'))
    return isStatement(statement) && statement.tenantId === tenantId ? statement : undefined
  }

  /**
   * The keys that sign, or signed, this tenant's checkpoints. Public: whoever has a checkpoint may check it.
   *
   * @throws DomainError `tenant_not_found`.
   */
  async publicKeys(tenantId: string): Promise<JWK[]> {
    const keys = await this.#storage.read.signingKeys.list(tenantId, 'audit')
    if (keys.length === 0) throw new DomainError('tenant_not_found', 'No such tenant.')
    return keys.map(({ publicJwk }) => publicJwk)
  }
}

/** A checkpoint as the platform API shows one, in replies and in events: `AuditCheckpoint` of its contract. */
export function checkpointDocument({ atMs, ...checkpoint }: Checkpoint) {
  return { ...checkpoint, at: new Date(atMs).toISOString() }
}

function isStatement(value: unknown): value is CheckpointStatement {
  if (typeof value !== 'object' || value === null) return false
  const { tenantId, seq, hash } = value as Readonly<Record<string, unknown>>
  return typeof tenantId === 'string' && Number.isSafeInteger(seq) && typeof hash === 'string'
}
