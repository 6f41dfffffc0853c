import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

/** Which request: its principal's tenant (`_platform` for the platform's own), and the hash over all that names it. */
export interface RequestKey {
  readonly tenantId: string
  /** SHA-256 as hex. */
  readonly requestKey: string
}

/** The right to run a request, and until when; no two claims of one request end at the same moment. */
export interface Claim extends RequestKey {
  readonly endsAtMs: number
}

export interface KeptReply {
  readonly status: number
  /** A JSON object of texts. */
  readonly headers: string
  /** Null for a reply without body. */
  readonly sealedBody: Uint8Array | null
}

/** What is known of a request that was made before; without a reply, it still runs. */
export interface KnownRequest {
  readonly bodyHash: string
  readonly reply: KeptReply | undefined
}

const claim = statement(
  (
    db,
    p: {
      tenantId: string
      requestKey: string
      bodyHash: string
      nowMs: number
      endsAtMs: number
    },
  ) =>
    db
      .insertInto('idempotent_reply')
      .values({
        tenant_id: p.tenantId,
        request_key: p.requestKey,
        body_hash: p.bodyHash,
        state: 'RUNNING',
        status: null,
        headers: null,
        sealed_body: null,
        expires_at: p.endsAtMs,
      })
      .onConflict((conflict) =>
        conflict
          .columns(['tenant_id', 'request_key'])
          .doUpdateSet({
            body_hash: p.bodyHash,
            state: 'RUNNING',
            status: null,
            headers: null,
            sealed_body: null,
            expires_at: p.endsAtMs,
          })
          .where('idempotent_reply.expires_at', '<=', p.nowMs),
      ),
)

const find = statement((db, p: { tenantId: string; requestKey: string }) =>
  db
    .selectFrom('idempotent_reply')
    .select(['body_hash', 'state', 'status', 'headers', 'sealed_body'])
    .where('tenant_id', '=', p.tenantId)
    .where('request_key', '=', p.requestKey),
)

const keep = statement(
  (
    db,
    p: {
      tenantId: string
      requestKey: string
      endsAtMs: number
      status: number
      headers: string
      sealedBody: Uint8Array | null
      expiresAtMs: number
    },
  ) =>
    db
      .updateTable('idempotent_reply')
      .set({
        state: 'DONE',
        status: p.status,
        headers: p.headers,
        sealed_body: p.sealedBody,
        expires_at: p.expiresAtMs,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('request_key', '=', p.requestKey)
      .where('state', '=', 'RUNNING')
      .where('expires_at', '=', p.endsAtMs),
)

const free = statement((db, p: { tenantId: string; requestKey: string; endsAtMs: number }) =>
  db
    .deleteFrom('idempotent_reply')
    .where('tenant_id', '=', p.tenantId)
    .where('request_key', '=', p.requestKey)
    .where('state', '=', 'RUNNING')
    .where('expires_at', '=', p.endsAtMs),
)

const removeExpired = statement((db, p: { nowMs: number; limit: number }) =>
  db
    .deleteFrom('idempotent_reply')
    .where(({ eb, refTuple }) =>
      eb(
        refTuple('tenant_id', 'request_key'),
        'in',
        db
          .selectFrom('idempotent_reply')
          .select(['tenant_id', 'request_key'])
          .where('expires_at', '<=', p.nowMs)
          .orderBy('expires_at')
          .limit(p.limit)
          .$asTuple('tenant_id', 'request_key'),
      ),
    )
    // Said twice: the row may have been claimed again after it was picked.
    .where('expires_at', '<=', p.nowMs),
)

/** Requests with an `Idempotency-Key`: which of them run, and the replies of those that succeeded. */
export class IdempotencyStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * Takes the right to run a request unless it runs already or its reply is kept; what has expired counts as not there.
   * That only one of many equal requests runs rests on this being one statement.
   */
  async claim(request: Claim & { bodyHash: string; nowMs: number }): Promise<boolean> {
    return (await this.#queries.run(claim, request)) === 1
  }

  async find(request: RequestKey): Promise<KnownRequest | undefined> {
    const row = await this.#queries.first(find, request)
    if (row === undefined) return undefined
    const { body_hash: bodyHash, state, status, headers, sealed_body: sealedBody } = row
    if (state !== 'DONE' || status === null || headers === null) {
      return { bodyHash, reply: undefined }
    }
    return { bodyHash, reply: { status, headers, sealedBody } }
  }

  /** Puts the reply in the claim's place; false when the claim has ended and is not there any more. */
  async keep(claimed: Claim, reply: KeptReply & { expiresAtMs: number }): Promise<boolean> {
    return (await this.#queries.run(keep, { ...claimed, ...reply })) === 1
  }

  /** Gives the claim back; another one's claim stays. */
  async free(claimed: Claim): Promise<void> {
    await this.#queries.run(free, claimed)
  }

  /** @returns how many rows of all tenants were removed, at most `limit`. */
  async removeExpired(page: { nowMs: number; limit: number }): Promise<number> {
    return this.#queries.run(removeExpired, page)
  }
}
