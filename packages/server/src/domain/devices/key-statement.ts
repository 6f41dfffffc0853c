import type { EcPublicJwk, KeyStatementClaims } from '@countersign/protocol/message/device-jws.ts'
import { DeviceRefusal } from './device-refusal.ts'
import { readSelfSigned, saysTheSame } from './signed-by-device.ts'

/** Keys that a device has proven: which they are, and the statement that ties them together. */
export interface ProvenKeys {
  readonly claims: KeyStatementClaims
  readonly device: { readonly jwk: EcPublicJwk; readonly thumbprint: string }
  /** The statement as the device key signed it. */
  readonly statement: string
  readonly bio: {
    readonly jwk: EcPublicJwk
    readonly thumbprint: string
    readonly statement: string
  } | null
}

/** What a statement has to say beside its keys; a member that is undefined must not be there. */
export interface ExpectedStatement {
  readonly aud: string
  readonly codeHash: string | undefined
  readonly iss: string | undefined
  readonly sub: string | undefined
}

/**
 * Checks the two proofs of a key statement (docs/contracts/device.md, section 2): the same bytes, signed by each of the
 * keys that they name. The time is for the caller to check.
 *
 * @throws DeviceRefusal `proof_invalid`.
 */
export async function checkKeyStatement(
  { proof, bioProof }: { readonly proof: string; readonly bioProof?: string | undefined },
  expected: ExpectedStatement,
): Promise<ProvenKeys> {
  const device = await readSelfSigned('keys', proof)
  if (device === undefined) throw proofInvalid()
  const { claims, payload } = device.jws
  const fits =
    claims.aud === expected.aud &&
    saysTheSame(claims.codeHash, expected.codeHash) &&
    claims.iss === expected.iss &&
    claims.sub === expected.sub &&
    claims.deviceJkt === device.thumbprint &&
    (claims.bioJkt !== undefined) === (bioProof !== undefined)
  if (!fits) throw proofInvalid()
  const proven = { claims, device, statement: proof }
  if (bioProof === undefined) return { ...proven, bio: null }

  const bio = await readSelfSigned('keys', bioProof)
  const bioFits =
    bio !== undefined &&
    bio.thumbprint === claims.bioJkt &&
    bio.thumbprint !== device.thumbprint &&
    Buffer.from(bio.jws.payload).equals(payload)
  if (!bioFits) throw proofInvalid()
  const { jwk, thumbprint } = bio
  return { ...proven, bio: { jwk, thumbprint, statement: bioProof } }
}

function proofInvalid(): DeviceRefusal {
  return new DeviceRefusal('proof_invalid')
}
