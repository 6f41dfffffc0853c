import {
  parseCertificate,
  type Certificate as X509,
} from '@countersign/protocol/certificate/certificate.ts'
import { decodeBase64, encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { encodeHex } from '@countersign/protocol/encoding/hex.ts'
import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import { sha256Hex } from '#custody/secrets.ts'
import type { Caller } from '../callers/caller.ts'
import { rootId } from '../certificates/issuer.ts'
import type { RevocationListService } from '../certificates/revocation-list-service.ts'
import { DomainError } from '../errors.ts'
import { exportLine } from '../journal/journal-record.ts'
import type { Sealer } from '../journal/sealer.ts'
import type { Storage } from '../storage.ts'
import type { Approval, ApprovalDecision } from './approval.ts'
import { requireEvidenceReader, visibleApproval } from './approval-rights.ts'
import { nativeFactor } from './approval-view.ts'
import type { EvidenceSignature, StoredEvidence } from './evidence-store.ts'

/** Everything that is needed to check a decision without the server: `ApprovalEvidence` of the platform contract. */
export interface ApprovalEvidence {
  readonly approvalId: string
  readonly reference: string | null
  readonly tenantId: string
  readonly userId: string
  readonly deviceId: string
  readonly decision: 'APPROVED' | 'REJECTED'
  readonly factor: 'PIN' | 'BIOMETRIC' | 'POSSESSION'
  readonly decidedAt: string
  readonly content: {
    readonly mediaType: string
    readonly bytes: string
    readonly sha256: string
    /** Of a template's text; absent when nothing was rendered. */
    readonly locale?: string
  }
  readonly signatures: readonly EvidenceSignature[]
  readonly transactionData: string | null
  readonly keyStatement: string | null
  /** DER in base64. */
  readonly crls: readonly string[]
  /** Null once the retention of the journal has removed it. */
  readonly auditRecord: { readonly [name: string]: JsonValue } | null
  readonly checkpoint: string | null
}

interface Decided {
  readonly approval: Approval
  readonly decision: ApprovalDecision
  readonly evidence: StoredEvidence
}

/** Hands out evidence: what was stored with the decision, and what has come to it since. */
export class EvidenceService {
  readonly #storage: Storage
  readonly #lists: RevocationListService
  readonly #sealer: Sealer

  constructor(dependencies: {
    storage: Storage
    revocationLists: RevocationListService
    sealer: Sealer
  }) {
    this.#storage = dependencies.storage
    this.#lists = dependencies.revocationLists
    this.#sealer = dependencies.sealer
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `approval_not_found`; `not_signed` while it is open, and for what
   *   ended without a signature.
   */
  async get(caller: Caller, tenantId: string, id: string): Promise<ApprovalEvidence> {
    const { approval, decision, evidence } = await this.#find(caller, tenantId, id)
    const shownTo = { tenantId, approvalId: id, deviceId: evidence.deviceId }
    const locale = (await this.#storage.read.approvals.deliveries.find(shownTo))?.locale ?? null
    const { seq, record } = await this.#recordOf(tenantId, evidence.journalId)
    const checkpoint =
      seq === undefined
        ? undefined
        : await this.#storage.read.checkpoints.listInRange(
            tenantId,
            seq,
            Number.MAX_SAFE_INTEGER,
            1,
          )
    return {
      approvalId: id,
      reference: approval.reference,
      tenantId,
      userId: approval.userId,
      deviceId: evidence.deviceId,
      decision: approval.status === 'APPROVED' ? 'APPROVED' : 'REJECTED',
      factor: nativeFactor(decision.factor),
      decidedAt: new Date(decision.atMs).toISOString(),
      content: {
        mediaType: evidence.mediaType,
        bytes: encodeBase64(evidence.bytes),
        sha256: sha256Hex(evidence.bytes),
        ...(locale === null ? {} : { locale }),
      },
      signatures: evidence.signatures,
      transactionData: evidence.transactionData,
      keyStatement: evidence.keyStatement,
      crls: await this.#listsFor(tenantId, evidence.signatures, decision.atMs),
      auditRecord: record,
      checkpoint: checkpoint?.[0]?.jws ?? null,
    }
  }

  async #find(caller: Caller, tenantId: string, id: string): Promise<Decided> {
    requireEvidenceReader(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const found = await read.approvals.find(tenantId, id)
    const approval = visibleApproval(caller, found, 'audit:read')
    const evidence = await read.approvals.evidence.find({ tenantId, approvalId: id })
    const { decision } = approval
    if (evidence === undefined || decision === null) {
      throw new DomainError('not_signed', 'The approval carries no signature.')
    }
    return { approval, decision, evidence }
  }

  async #recordOf(
    tenantId: string,
    journalId: string,
  ): Promise<{ seq: number | undefined; record: ApprovalEvidence['auditRecord'] }> {
    const { journalReader } = this.#storage.read
    let seq = await journalReader.findSeqOfId(tenantId, journalId)
    if (seq === undefined) {
      // It may wait for its place in the chain.
      await this.#sealer.sealTenant(tenantId)
      seq = await journalReader.findSeqOfId(tenantId, journalId)
    }
    const record = seq === undefined ? undefined : await journalReader.find(tenantId, seq)
    if (record === undefined) return { seq: undefined, record: null }
    return { seq, record: JSON.parse(exportLine(record)) as { [name: string]: JsonValue } }
  }

  /** One list for each issuer in the chains, signed at or after the decision; of an issuer that was revoked the last one. */
  async #listsFor(
    tenantId: string,
    signatures: readonly EvidenceSignature[],
    decidedAtMs: number,
  ): Promise<string[]> {
    const lists = new Map<string, string>()
    for (const { certificateChain } of signatures) {
      // The last one is the root, which nobody could revoke.
      for (const text of certificateChain.slice(0, -1)) {
        const der = decodeBase64(text)
        const issued = der && (await this.#issuerOf(tenantId, parseCertificate(der)))
        if (issued === undefined) continue
        const { issuerId, shard } = issued
        const name = `${issuerId}\n${shard}`
        if (lists.has(name)) continue
        const list = await this.#listOf(tenantId, issuerId, shard, decidedAtMs)
        if (list !== undefined) lists.set(name, encodeBase64(list))
      }
    }
    return [...lists.values()]
  }

  async #issuerOf(
    tenantId: string,
    certificate: X509,
  ): Promise<{ issuerId: string; shard: number } | undefined> {
    const serial = encodeHex(certificate.serial)
    return this.#storage.read.pki.issuance.findIssued(tenantId, serial)
  }

  async #listOf(
    tenantId: string,
    issuerId: string,
    shard: number,
    notBeforeMs: number,
  ): Promise<Uint8Array | undefined> {
    try {
      return await this.#lists.get(tenantId, issuerId, shard, { notBeforeMs })
    } catch (error) {
      const isGone = error instanceof DomainError && error.code === 'signer_not_found'
      if (isGone && issuerId !== rootId) return undefined
      throw error
    }
  }
}
