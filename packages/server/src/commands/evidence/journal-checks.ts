import { canonicalJson, type JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import {
  isJsonObject,
  type JsonMembers,
  readJsonObject,
} from '@countersign/protocol/encoding/json.ts'
import { recordHash } from '@countersign/protocol/journal/chain.ts'
import { ChainVerifier, parseExportLine } from '@countersign/protocol/journal/chain-verifier.ts'
import type { JWK } from 'jose'
import { secretsEqual } from '#custody/secrets.ts'
import { checkpointTyp, JwsVerifier } from '#custody/signer.ts'
import { linesOf } from '../lines.ts'
import type { EvidenceDocument } from './evidence-file.ts'
import type { Findings } from './findings.ts'

/** What belongs to one moment may be written down a little later. */
const distanceMsMax = 10_000

interface Place {
  readonly seq: number
  readonly hash: string
}

/** The record of the decision, and the signed checkpoint that holds it in place. */
export async function checkJournal(
  findings: Findings,
  evidence: EvidenceDocument,
  given: { readonly keys: readonly JWK[] | undefined; readonly exportPath: string | undefined },
): Promise<void> {
  const { auditRecord } = evidence
  if (auditRecord === null) {
    findings.miss('audit-record', 'The record is not there any more.')
    return
  }
  const { hash, ...rest } = auditRecord
  const isWhole = typeof hash === 'string' && recordHash(canonicalJson(rest)) === hash
  findings.check('audit-record.hash', isWhole, {
    good: 'The record has the hash that it is chained by.',
    bad: 'The record was changed: its hash is another one.',
  })
  findings.check('audit-record.covers', isOf(evidence, auditRecord), {
    good: 'The record tells of this decision over these bytes.',
    bad: 'The record tells of something else.',
  })
  if (given.keys === undefined) return
  const { seq } = auditRecord
  if (!isWhole || typeof seq !== 'number') return
  await checkCheckpoint(findings, evidence, { seq, hash }, given.keys, given.exportPath)
}

function isOf(evidence: EvidenceDocument, record: Readonly<Record<string, JsonValue>>): boolean {
  const { approvalId, tenantId, userId, deviceId, content, decision, decidedAt } = evidence
  const target = membersOf(record.target)
  const detail = membersOf(record.detail)
  const atMs = typeof record.at === 'string' ? Date.parse(record.at) : Number.NaN
  return (
    record.action === `approval.${decision.toLowerCase()}` &&
    record.outcome === 'SUCCESS' &&
    record.tenantId === tenantId &&
    record.userId === userId &&
    target.type === 'approval' &&
    target.id === approvalId &&
    detail.deviceId === deviceId &&
    detail.factor === evidence.factor &&
    detail.contentSha256 === content.sha256 &&
    Math.abs(atMs - decidedAt) <= distanceMsMax
  )
}

async function checkCheckpoint(
  findings: Findings,
  { checkpoint, tenantId }: EvidenceDocument,
  record: Place,
  keys: readonly JWK[],
  exportPath: string | undefined,
): Promise<void> {
  if (checkpoint === null) {
    findings.miss('checkpoint', 'There was no checkpoint yet: fetch the evidence again later.')
    return
  }
  const verified = await new JwsVerifier().verify(checkpoint, checkpointTyp, keys)
  const statement = verified && readJsonObject(verified.payload)
  const isTheirs = statement?.tenantId === tenantId && Number(statement.seq) >= record.seq
  findings.check('checkpoint.signature', isTheirs, {
    good: 'The checkpoint is signed by a key that was given.',
    bad: 'The checkpoint is not signed by a key that was given, or is of another chain.',
  })
  if (statement === undefined || !isTheirs) return
  const held = { seq: Number(statement.seq), hash: String(statement.hash) }
  if (held.seq === record.seq) {
    findings.check('checkpoint.covers', secretsEqual(held.hash, record.hash), {
      good: 'It holds this very record.',
      bad: 'It holds another record in this place.',
    })
  } else if (exportPath === undefined) {
    findings.miss(
      'checkpoint.covers',
      `It holds record ${held.seq}; --export with records ${record.seq} to ${held.seq} leads there.`,
    )
  } else {
    findings.check('checkpoint.covers', await leadsTo(exportPath, tenantId, record, held), {
      good: `The export leads from the record to record ${held.seq}, which it holds.`,
      bad: 'The export does not lead from the record to what the checkpoint holds.',
    })
  }
}

/** Whether the export has both records, and an unbroken chain between them. */
async function leadsTo(path: string, tenantId: string, from: Place, to: Place): Promise<boolean> {
  const verifier = new ChainVerifier()
  for await (const { text } of linesOf(path)) {
    const record = parseExportLine(text)
    if (record?.tenantId !== tenantId) return false
    if (record.seq < from.seq || record.seq > to.seq) continue
    verifier.add(record)
    if (record.seq === from.seq && !secretsEqual(record.hash, from.hash)) return false
  }
  return (
    verifier.faults.length === 0 &&
    verifier.firstSeq === from.seq &&
    verifier.lastSeq === to.seq &&
    secretsEqual(verifier.lastHash ?? '', to.hash)
  )
}

function membersOf(value: JsonValue | undefined): JsonMembers {
  return isJsonObject(value) ? value : {}
}
