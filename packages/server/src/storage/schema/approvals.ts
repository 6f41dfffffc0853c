/** Approvals, what each device was shown, and the evidence. */
export interface ApprovalTables {
  approval: ApprovalTable
  approval_reference: ApprovalReferenceTable
  approval_delivery: ApprovalDeliveryTable
  approval_evidence: ApprovalEvidenceTable
}

export interface ApprovalTable {
  tenant_id: string
  id: string
  /** Unique in the tenant, rising with the time of creation; what Keyless calls the id. */
  number: number | null
  reference: string | null
  /** TRANSACTION, MESSAGE. */
  kind: string
  /** What proves the decision: CMS (AST), FACTOR (Keyless, native), NONE (messages). */
  evidence: string
  user_id: string
  /** PENDING, RETRIEVED, APPROVED, REJECTED, EXPIRED, CANCELLED. */
  status: string
  /** Of a template what was first delivered, null before; null also for a Keyless operation without payload. */
  text: string | null
  template_key: string | null
  /** JSON. */
  data: string | null
  retrieval_seconds: number | null
  decision_seconds: number | null
  total_seconds: number | null
  /** pin, bio; null: any. */
  factor: string | null
  /** The scope that the answering token must carry; null: none. */
  explicit_scope: string | null
  max_age_seconds: number | null
  /** JSON. */
  device_filter: string | null
  /** JSON: what a push message is to say; null: as the settings say. */
  push: string | null
  external_user_id: string | null
  surface: string
  created_by: string
  created_at: number
  /** First retrieval by any device. */
  retrieved_at: number | null
  /** The next deadline; null when final or without limit. */
  expires_at: number | null
  completed_at: number | null
  /** When the approval and its evidence are erased; its reference stays taken. */
  erase_at: number | null
  /** Who decided, and with what. */
  device_id: string | null
  decided_factor: string | null
  failure_reason: string | null
  failure_message: string | null
}

/** References are used once in a tenant, for ever: also those of approvals that are erased. */
export interface ApprovalReferenceTable {
  tenant_id: string
  reference: string
  approval_id: string
}

/** The exact bytes that one device was shown, frozen at its first retrieval. */
export interface ApprovalDeliveryTable {
  tenant_id: string
  approval_id: string
  device_id: string
  /** Random, 32 bytes in base64url. */
  challenge: string
  media_type: string
  content: Uint8Array
  locale: string | null
  retrieved_at: number
}

/** What proves a decision, as it was when it was made. */
export interface ApprovalEvidenceTable {
  tenant_id: string
  approval_id: string
  device_id: string
  media_type: string
  content: Uint8Array
  /** JSON: signer, format, signedBytes, signature, publicKey, certificateChain of each. */
  signatures: string
  transaction_data: string | null
  key_statement: string | null
  /** The record of the decision. */
  journal_id: string
  created_at: number
}
