import type { EcPublicJwk } from '@countersign/protocol/message/device-jws.ts'
import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

/** A signature of the evidence; shapes as `EvidenceSignature` of the contract, bytes in base64. */
export interface EvidenceSignature {
  readonly signer: 'DEVICE_KEY' | 'USER_KEY' | 'SERVER_KEY'
  readonly format: 'CMS' | 'JWS'
  readonly signedBytes: string
  /** CMS: DER in base64. JWS: compact. */
  readonly signature: string
  readonly publicKey: EcPublicJwk | { readonly kty: 'RSA'; readonly n: string; readonly e: string }
  /** DER in base64, leaf first, root last; empty when there is none. */
  readonly certificateChain: readonly string[]
}

/** What proves a decision, as it was when the decision was made. */
export interface StoredEvidence {
  readonly deviceId: string
  readonly mediaType: string
  readonly bytes: Uint8Array
  readonly signatures: readonly EvidenceSignature[]
  readonly transactionData: string | null
  /** Ties a biometric key to its device key. */
  readonly keyStatement: string | null
  /** The record of the decision. */
  readonly journalId: string
}

interface Key {
  readonly tenantId: string
  readonly approvalId: string
}

const insert = statement(
  (
    db,
    p: Key & {
      deviceId: string
      mediaType: string
      bytes: Uint8Array
      signatures: string
      transactionData: string | null
      keyStatement: string | null
      journalId: string
      nowMs: number
    },
  ) =>
    db.insertInto('approval_evidence').values({
      tenant_id: p.tenantId,
      approval_id: p.approvalId,
      device_id: p.deviceId,
      media_type: p.mediaType,
      content: p.bytes,
      signatures: p.signatures,
      transaction_data: p.transactionData,
      key_statement: p.keyStatement,
      journal_id: p.journalId,
      created_at: p.nowMs,
    }),
)

const find = statement((db, p: Key) =>
  db
    .selectFrom('approval_evidence')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('approval_id', '=', p.approvalId),
)

/** Evidence, stored with the decision and never changed. */
export class EvidenceStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async insert(key: Key, evidence: StoredEvidence, nowMs: number): Promise<void> {
    const signatures = JSON.stringify(evidence.signatures)
    await this.#queries.run(insert, { ...key, ...evidence, signatures, nowMs })
  }

  async find(key: Key): Promise<StoredEvidence | undefined> {
    const row = await this.#queries.first(find, key)
    return (
      row && {
        deviceId: row.device_id,
        mediaType: row.media_type,
        bytes: row.content,
        signatures: JSON.parse(row.signatures) as EvidenceSignature[],
        transactionData: row.transaction_data,
        keyStatement: row.key_statement,
        journalId: row.journal_id,
      }
    )
  }
}
