import type { DecisionClaims, EcPublicJwk } from '@countersign/protocol/message/device-jws.ts'
import { readDeviceJws } from '@countersign/protocol/message/device-jws.ts'
import type { Device, DeviceLink, Factor } from '../devices/device.ts'
import { isSignedBy, requireCloseTime } from '../devices/signed-by-device.ts'

/** What a decision must say of whom it comes from, and what it is about. */
export interface ExpectedDecision {
  readonly audience: string
  readonly userId: string
  readonly decision: 'accept' | 'reject'
  /** The factor that it claims; undefined for a rejection. */
  readonly factor: Factor | undefined
}

/** A decision that one of the device's keys signed; what it is about is not compared yet. */
export interface SignedDecision {
  readonly claims: DecisionClaims
  readonly compact: string
  readonly signingInput: string
  readonly signer: 'DEVICE_KEY' | 'USER_KEY'
  readonly publicKey: EcPublicJwk
  readonly thumbprint: string
}

/**
 * Reads a decision assertion (docs/contracts/device.md, section 7): the biometric key signs for `bio`, the device key for
 * everything else.
 *
 * @returns undefined when it is none, or another key signed it.
 * @throws DeviceRefusal `clock_skew`.
 */
export async function readDecision(
  compact: string,
  { device, link }: { readonly device: Device; readonly link: DeviceLink },
  expected: ExpectedDecision,
  nowMs: number,
): Promise<SignedDecision | undefined> {
  const assertion = readDeviceJws('decision', compact)
  if (assertion === undefined) return undefined
  const { claims, kid, signingInput } = assertion
  const isBio = expected.factor === 'bio'
  const publicKey = isBio ? link.bioKey : device.publicKey
  const thumbprint = isBio ? link.bioThumbprint : device.keyThumbprint
  if (publicKey === null || thumbprint === null) return undefined
  const fits =
    kid === thumbprint &&
    claims.iss === device.id &&
    claims.sub === expected.userId &&
    claims.aud === expected.audience &&
    claims.decision === expected.decision &&
    claims.amr?.[0] === expected.factor &&
    (await isSignedBy(assertion, publicKey))
  if (!fits) return undefined
  requireCloseTime(claims.iat, nowMs)
  const signer = isBio ? 'USER_KEY' : 'DEVICE_KEY'
  return { claims, compact, signingInput, signer, publicKey, thumbprint }
}
