import { createPublicKey, hash, verify as verifyBytes } from 'node:crypto'
import { jwkFromSpki } from '@countersign/protocol/certificate/public-key.ts'
import { DerError } from '@countersign/protocol/der/der-reader.ts'
import { sameBytes } from '@countersign/protocol/der/der-writer.ts'
import { decodeBase64, decodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { type JsonMembers, readJsonObject } from '@countersign/protocol/encoding/json.ts'
import { type DecisionClaims, readDeviceJws } from '@countersign/protocol/message/device-jws.ts'
import {
  importEcPublicJwk,
  jwkThumbprint,
  verifyEs256,
} from '@countersign/protocol/message/es256.ts'
import {
  isSignatureValid,
  parseSignedData,
  type SignedData,
} from '@countersign/protocol/message/signed-data.ts'
import type { JWK } from 'jose'
import { EcdsaVerifier } from '#custody/key-custody.ts'
import { secretsEqual } from '#custody/secrets.ts'
import type { DeviceSignature, EvidenceDocument, ServerSignature } from './evidence-file.ts'
import type { Findings } from './findings.ts'

const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer')
const hash64 = (value: string | Uint8Array): string => hash('sha256', value, 'base64url')
const { verify } = new EcdsaVerifier()
const amrOf = { PIN: 'pin', BIOMETRIC: 'bio', POSSESSION: undefined } as const
const wireAmrOf = { PIN: 'pin', BIOMETRIC: 'biom', POSSESSION: undefined } as const

/** That the key signed, and that what it signed is this content of this approval. */
export async function checkDeviceSignature(
  findings: Findings,
  name: string,
  evidence: EvidenceDocument,
  signature: DeviceSignature,
): Promise<void> {
  if (signature.format === 'CMS') await checkCms(findings, name, evidence, signature)
  else checkDecision(findings, name, evidence, signature)
}

async function checkCms(
  findings: Findings,
  name: string,
  { content, decision }: EvidenceDocument,
  { signature, signedBytes, publicKey, certificateChain }: DeviceSignature,
): Promise<void> {
  const data = parseCms(signature)
  const [leaf = new Uint8Array()] = certificateChain
  const holds =
    data !== undefined &&
    (await isSignatureValid(data, { sha256, verify })) &&
    sameBytes(data.leaf.der, leaf) &&
    jwkThumbprint(jwkFromSpki(data.leaf.publicKey)) === jwkThumbprint(publicKey)
  findings.check(`${name}.signature`, holds, {
    good: 'The SignedData is in its one form and signed by the key of its certificate.',
    bad: 'The SignedData is malformed, or not signed by this key under this certificate.',
  })
  const isAbout =
    data !== undefined &&
    decision === 'APPROVED' &&
    sameBytes(data.content, content.bytes) &&
    sameBytes(signedBytes, content.bytes)
  findings.check(`${name}.covers`, isAbout, {
    good: 'It was made over exactly these bytes.',
    bad: 'It was made over other bytes.',
  })
}

function parseCms(base64: string): SignedData | undefined {
  const der = decodeBase64(base64)
  if (der === undefined) return undefined
  try {
    return parseSignedData(der)
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

function checkDecision(
  findings: Findings,
  name: string,
  evidence: EvidenceDocument,
  { signature, signedBytes, publicKey }: DeviceSignature,
): void {
  const jws = readDeviceJws('decision', signature)
  const key = importEcPublicJwk(publicKey)
  const holds =
    jws !== undefined &&
    key !== undefined &&
    jws.kid === jwkThumbprint(publicKey) &&
    sameBytes(signedBytes, Buffer.from(jws.signingInput)) &&
    verifyEs256(key, jws.signingInput, jws.signature)
  findings.check(`${name}.signature`, holds, {
    good: 'The decision is signed by this key.',
    bad: 'The decision is malformed, or not signed by this key.',
  })
  if (jws === undefined) return
  findings.check(`${name}.covers`, isAbout(jws.claims, evidence), {
    good: 'It names this approval, user, device, factor and the hash of exactly these bytes.',
    bad: 'It names another approval, user, device, factor, or other bytes.',
  })
  const { transactionData } = evidence
  const tdHash = transactionData === null ? undefined : hash64(transactionData)
  findings.check(`${name}.transaction-data`, secretsEqual(jws.claims.tdHash ?? '', tdHash ?? ''), {
    good:
      tdHash === undefined ? 'There is no transaction data.' : 'It covers the transaction data.',
    bad: 'It was made for other transaction data.',
  })
}

function isAbout(claims: DecisionClaims, evidence: EvidenceDocument): boolean {
  const { approvalId, reference, content, decision } = evidence
  // What an application started by itself has no approval to name: its reference names it.
  const isNamed =
    claims.approvalId === undefined
      ? reference !== null && claims.reference === reference
      : claims.approvalId === approvalId && (claims.reference ?? null) === reference
  return (
    isNamed &&
    claims.iss === evidence.deviceId &&
    claims.sub === evidence.userId &&
    claims.decision === (decision === 'APPROVED' ? 'accept' : 'reject') &&
    claims.amr?.[0] === amrOf[evidence.factor] &&
    secretsEqual(claims.payloadHash ?? '', hash64(content.bytes))
  )
}

/** The server's own word: what the JWT says, and who signed it. */
export function checkServerSignature(
  findings: Findings,
  name: string,
  evidence: EvidenceDocument,
  { signature, signedBytes, publicKey }: ServerSignature,
  customerKeys: readonly JWK[] | undefined,
): void {
  const [header = '', payload = '', mac = '', ...rest] = signature.split('.')
  const bytes = decodeBase64url(mac)
  const input = Buffer.from(`${header}.${payload}`)
  const claims = objectOf(payload)
  const holds =
    rest.length === 0 &&
    bytes !== undefined &&
    claims !== undefined &&
    objectOf(header)?.alg === 'RS256' &&
    sameBytes(signedBytes, input) &&
    isRsaSigned(publicKey, input, bytes)
  findings.check(`${name}.signature`, holds, {
    good: 'The JWT is signed by this key.',
    bad: 'The JWT is malformed, or not signed by this key.',
  })
  const amr = Array.isArray(claims?.amr) ? (claims.amr[0] as unknown) : undefined
  const isAbout =
    claims !== undefined &&
    claims.td === evidence.transactionData &&
    claims.operationId === (evidence.reference ?? evidence.approvalId) &&
    amr === wireAmrOf[evidence.factor]
  findings.check(`${name}.covers`, isAbout, {
    good: 'It attests this transaction data, operation and factor.',
    bad: 'It attests something else.',
  })
  if (customerKeys === undefined) return
  const isKnown = customerKeys.some(({ n, e }) => n === publicKey.n && e === publicKey.e)
  findings.check(`${name}.key`, isKnown, {
    good: 'The key is one of those that were given.',
    bad: 'The key is not one of those that were given.',
  })
}

function isRsaSigned(
  key: ServerSignature['publicKey'],
  input: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return verifyBytes('sha256', input, createPublicKey({ key, format: 'jwk' }), signature)
  } catch {
    return false
  }
}

function objectOf(base64url: string): JsonMembers | undefined {
  const bytes = decodeBase64url(base64url)
  return bytes && readJsonObject(bytes)
}
