import { hash, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { decodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { encodeHex } from '@countersign/protocol/encoding/hex.ts'
import type { JWK } from 'jose'
import { secretsEqual } from '#custody/secrets.ts'
import { readJwks } from '../checkpoints-file.ts'
import { CommandError, exitCodes } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { type EvidenceDocument, readEvidence } from './evidence-file.ts'
import { type Check, Findings } from './findings.ts'
import { checkIdentity, type TrustedFacts } from './identity-checks.ts'
import { checkJournal } from './journal-checks.ts'
import { checkDeviceSignature, checkServerSignature } from './signature-checks.ts'

export interface EvidenceVerifyOptions {
  readonly anchor?: string
  readonly deviceKey?: string
  readonly jwks?: string
  readonly customerJwks?: string
  readonly export?: string
}

/** PROVEN: everything held. REFUTED: something did not. INCOMPLETE: nothing failed, but something could not be looked at. */
export type Verdict = 'PROVEN' | 'REFUTED' | 'INCOMPLETE'

const anchorBytesMax = 65_536
const exitCodeOf = {
  PROVEN: exitCodes.ok,
  REFUTED: exitCodes.badData,
  INCOMPLETE: exitCodes.failure,
}

/** What was found in a file of evidence. */
export interface Examination {
  readonly evidence: EvidenceDocument
  readonly checks: readonly Check[]
  readonly verdict: Verdict
}

/**
 * Checks the evidence of a decision from the file alone; what the verifier knows otherwise comes by options. Ends with 0
 * only when everything held that the evidence and the options let it look at, the signer's identity included.
 */
export async function evidenceVerify(
  terminal: Terminal,
  file: string,
  options: EvidenceVerifyOptions,
): Promise<void> {
  report(terminal, await examineEvidence(file, options))
}

/** @throws CommandError for files that are not what they should be. */
export async function examineEvidence(
  file: string,
  options: EvidenceVerifyOptions,
): Promise<Examination> {
  if (options.export !== undefined && options.jwks === undefined) {
    throw new CommandError(exitCodes.usage, '--export leads to a checkpoint, which --jwks checks.')
  }
  const evidence = readEvidence(file)
  const trusted: TrustedFacts = {
    anchorHash: options.anchor === undefined ? undefined : anchorHashOf(options.anchor),
    deviceKey: options.deviceKey,
  }
  const findings = new Findings()
  checkContent(findings, evidence)
  const customerKeys =
    options.customerJwks === undefined ? undefined : readJwks(options.customerJwks)
  await checkSignatures(findings, evidence, trusted, customerKeys)
  await checkJournal(findings, evidence, {
    keys: options.jwks === undefined ? undefined : readJwks(options.jwks),
    exportPath: options.export,
  })
  const { checks } = findings
  return { evidence, checks, verdict: verdictOf(checks) }
}

function checkContent(findings: Findings, { content, approvalId }: EvidenceDocument): void {
  findings.check(
    'content.sha256',
    secretsEqual(hash('sha256', content.bytes, 'hex'), content.sha256),
    {
      good: 'The bytes have the hash that is said of them.',
      bad: 'The bytes have another hash.',
    },
  )
  // A Keyless payload is its text alone; its signature names the approval.
  if (content.mediaType !== 'application/json') return
  const start = `{"id":${JSON.stringify(approvalId)},`
  const isThis = Buffer.from(content.bytes).toString('utf8').startsWith(start)
  findings.check('content.approval', isThis, {
    good: 'The bytes begin with the id of this approval.',
    bad: 'The bytes are those of another approval.',
  })
}

async function checkSignatures(
  findings: Findings,
  evidence: EvidenceDocument,
  trusted: TrustedFacts,
  customerKeys: readonly JWK[] | undefined,
): Promise<void> {
  let deviceCount = 0
  for (const [index, signature] of evidence.signatures.entries()) {
    const name = `signature.${index + 1}`
    if (signature.signer === 'SERVER_KEY') {
      checkServerSignature(findings, name, evidence, signature, customerKeys)
      continue
    }
    deviceCount += 1
    await checkDeviceSignature(findings, name, evidence, signature)
    await checkIdentity(findings, name, evidence, signature, trusted)
  }
  if (deviceCount === 0) findings.fail('signature', 'No device has signed.')
}

function report(terminal: Terminal, { evidence, checks, verdict }: Examination): void {
  const { approvalId, tenantId, userId, deviceId, decision, factor, content } = evidence
  const decidedAt = new Date(evidence.decidedAt).toISOString()
  const text = Buffer.from(content.bytes).toString('utf8')
  const said = { approvalId, tenantId, userId, deviceId, decision, factor, decidedAt }
  const marks = { passed: 'ok     ', failed: 'FAILED ', missing: 'missing' } as const
  terminal.result({ verdict, ...said, content: text, checks }, [
    ...checks.map(({ name, result, detail }) => `${marks[result]} ${name}: ${detail}`),
    '',
    ...Object.entries(said).map(([name, value]) => `${name}: ${value}`),
    `content: ${JSON.stringify(text)}`,
    '',
    verdict,
  ])
  process.exitCode = exitCodeOf[verdict]
}

function verdictOf(checks: readonly Check[]): Verdict {
  if (checks.some(({ result }) => result === 'failed')) return 'REFUTED'
  return checks.some(({ result }) => result === 'missing') ? 'INCOMPLETE' : 'PROVEN'
}

/** The hash of the trust anchor: a certificate in PEM or DER, or its SHA-256 in hex or, as QR codes have it, base64url. */
function anchorHashOf(given: string): string {
  const hex = given.replaceAll(':', '').toLowerCase()
  if (/^[0-9a-f]{64}$/.test(hex)) return hex
  const bytes = given.length === 43 ? decodeBase64url(given) : undefined
  if (bytes?.length === 32) return encodeHex(bytes)
  if (statSync(given).size > anchorBytesMax) throw noAnchor(given)
  try {
    return hash('sha256', new X509Certificate(readFileSync(given)).raw, 'hex')
  } catch {
    throw noAnchor(given)
  }
}

function noAnchor(given: string): CommandError {
  return new CommandError(
    exitCodes.badData,
    `${given} is neither a certificate in PEM or DER nor the SHA-256 of one.`,
  )
}
