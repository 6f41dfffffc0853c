import { hash } from 'node:crypto'
import { decodeBase64, encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { jwkThumbprint } from '@countersign/protocol/message/es256.ts'
import { secretsEqual } from '#custody/secrets.ts'
import type { Device, DeviceLink, Factor } from '../devices/device.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'
import type { FactorCheck } from '../devices/factor-check.ts'
import { saysTheSame } from '../devices/signed-by-device.ts'
import type { Stores } from '../storage.ts'
import type { Approval } from './approval.ts'
import type { Delivery } from './approval-delivery-store.ts'
import { contentHash } from './content.ts'
import { readDecision, type SignedDecision } from './decision-assertion.ts'
import type { EvidenceSignature } from './evidence-store.ts'
import type { CheckedSignature, SignatureJudge, SignerIdentity } from './signature-judge.ts'

/** A proof of the user for one decision. */
export interface FactorProof {
  readonly type: Factor
  readonly pin?: string | undefined
  /** Decision assertion, compact JWS. */
  readonly assertion: string
}

/** What a decision is about and by whom it must be. */
export interface DecisionContext {
  readonly approval: Approval
  readonly delivery: Delivery
  readonly device: Device
  readonly link: DeviceLink
  readonly audience: string
  readonly nowMs: number
}

/** Proof of a decision that holds, ready to be stored. */
export interface Proof {
  /** Null: the key alone. */
  readonly factor: Factor | null
  /** Of a PIN: what it was compared with. */
  readonly pinHash?: string | undefined
  readonly signatures: readonly EvidenceSignature[]
  readonly keyStatement: string | null
  /** What must still hold in the transaction of the decision. */
  readonly recheck: (stores: Stores) => Promise<void>
}

/** The assertion or the factor behind it does not hold; whether that counts is the caller's to say. */
export class FactorFailed extends Error {
  override readonly name = 'FactorFailed'
}

const nothingToRecheck = async () => {}

/** Checks a CMS signature over the delivered bytes. @throws DeviceRefusal */
export async function proveBySignature(
  judge: SignatureJudge,
  signedData64: string,
  context: DecisionContext,
): Promise<Proof> {
  const signedData = decodeBase64(signedData64)
  if (signedData === undefined) throw new DeviceRefusal('signature_invalid')
  const { delivery, device, link } = context
  const identity = identityOf(context)
  const checked = await judge.check(signedData, {
    ...identity,
    content: delivery.bytes,
    retrievedAtMs: delivery.retrievedAtMs,
  })
  const isBio = jwkThumbprint(checked.publicKey) === link.bioThumbprint
  const wanted = context.approval.authentication.factor
  if (wanted !== null && !(wanted === 'bio' && isBio)) {
    throw new DeviceRefusal('factor_not_allowed')
  }
  return {
    factor: isBio ? 'bio' : null,
    signatures: [asSignature(checked, isBio)],
    keyStatement: isBio ? link.keyStatement : null,
    recheck: (stores) => judge.requireUsable(stores, device.tenantId, checked),
  }
}

/**
 * Checks a factor and its assertion over what the device was shown.
 *
 * @throws FactorFailed for an assertion of another key or challenge, and for a wrong PIN; DeviceRefusal `clock_skew`,
 *   `content_mismatch`. DomainError `too_many_requests`.
 */
export async function proveByFactor(
  { judge, factors }: { readonly judge: SignatureJudge; readonly factors: FactorCheck },
  { type, pin, assertion }: FactorProof,
  transactionData: string | undefined,
  context: DecisionContext,
): Promise<Proof> {
  const { approval } = context
  const signed = await requireAssertion(assertion, context, { decision: 'accept', factor: type })
  if (!saysTheSame(signed.claims.tdHash, hashOf(transactionData)))
    throw new DeviceRefusal('content_mismatch')
  const pinHash =
    type === 'pin' ? await factors.matchPin(identityOf(context), pin ?? '') : undefined
  if (type === 'pin' && pinHash === undefined) {
    throw new FactorFailed(`wrong PIN for ${approval.id}`)
  }
  return { ...(await proofOf(judge, signed, context, type)), pinHash }
}

/** A rejection that its device signed, which makes it provable. @throws FactorFailed; DeviceRefusal. */
export async function proveRejection(
  judge: SignatureJudge,
  assertion: string,
  context: DecisionContext,
): Promise<Proof> {
  const signed = await requireAssertion(assertion, context, {
    decision: 'reject',
    factor: undefined,
  })
  return proofOf(judge, signed, context, null)
}

export async function proofOf(
  judge: SignatureJudge,
  signed: SignedDecision,
  { device, link }: Pick<DecisionContext, 'device' | 'link'>,
  factor: Factor | null,
): Promise<Proof> {
  const identity = { tenantId: device.tenantId, deviceId: device.id, userId: link.userId }
  const isBio = signed.signer === 'USER_KEY'
  return {
    factor,
    signatures: [
      {
        signer: signed.signer,
        format: 'JWS',
        signedBytes: encodeBase64(Buffer.from(signed.signingInput)),
        signature: signed.compact,
        publicKey: signed.publicKey,
        certificateChain: await judge.chainOfDeviceKey(identity),
      },
    ],
    keyStatement: isBio ? link.keyStatement : null,
    recheck: nothingToRecheck,
  }
}

async function requireAssertion(
  assertion: string,
  { approval, delivery, device, link, audience, nowMs }: DecisionContext,
  claimed: { readonly decision: 'accept' | 'reject'; readonly factor: Factor | undefined },
): Promise<SignedDecision> {
  const expected = { audience, userId: link.userId, ...claimed }
  const signed = await readDecision(assertion, { device, link }, expected, nowMs)
  if (signed === undefined) throw new FactorFailed('no assertion of this device and user')
  const { claims } = signed
  if (!secretsEqual(claims.nonce, delivery.challenge)) {
    throw new FactorFailed('another challenge')
  }
  const isAbout =
    claims.approvalId === approval.id &&
    (claims.reference ?? null) === approval.reference &&
    saysTheSame(claims.payloadHash, contentHash(delivery.bytes))
  if (!isAbout) throw new DeviceRefusal('content_mismatch')
  return signed
}

/** SHA-256 of a text in UTF-8, base64url; undefined for none. */
export function hashOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : hash('sha256', text, 'base64url')
}

function identityOf({ device, link }: DecisionContext): SignerIdentity {
  return { tenantId: device.tenantId, deviceId: device.id, userId: link.userId }
}

function asSignature(checked: CheckedSignature, isBio: boolean): EvidenceSignature {
  return {
    signer: isBio ? 'USER_KEY' : 'DEVICE_KEY',
    format: 'CMS',
    signedBytes: checked.signedBytes,
    signature: checked.signature,
    publicKey: checked.publicKey,
    certificateChain: checked.certificateChain,
  }
}
