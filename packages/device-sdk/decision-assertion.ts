import type { DeviceMemory } from './device-memory.ts'
import type { Factor } from './login.ts'
import { type SigningKey, signJws } from './signing-key.ts'
import { newJti, textHash } from './web-crypto.ts'

/** `FactorProof` of the contract. */
export interface FactorProof {
  readonly type: 'pin' | 'bio'
  readonly pin?: string
  readonly assertion: string
}

/** What a decision is about. */
interface Subject {
  /** The approval's challenge; without an approval a server nonce. */
  readonly nonce: string
  readonly approvalId?: string | undefined
  readonly reference?: string | undefined
  readonly payloadHash?: string | undefined
}

/** An acceptance: with a PIN signed by the device key, else by the biometric key. */
export async function factorProof(
  memory: DeviceMemory,
  userId: string,
  factor: Factor,
  { transactionData, ...subject }: Subject & { readonly transactionData?: string | undefined },
): Promise<FactorProof> {
  const key = factor.type === 'pin' ? memory.deviceKey : await memory.bioKey(userId)
  const assertion = await decisionAssertion(memory, userId, key, {
    ...subject,
    amr: factor.type,
    decision: 'accept',
    tdHash: transactionData === undefined ? undefined : await textHash(transactionData),
  })
  return factor.type === 'pin'
    ? { type: 'pin', pin: factor.pin.normalize('NFC'), assertion }
    : { type: 'bio', assertion }
}

/** DecisionClaims of the contract, signed. */
export async function decisionAssertion(
  { link, deviceId }: DeviceMemory,
  userId: string,
  key: SigningKey,
  decided: Subject & {
    readonly amr?: 'pin' | 'bio'
    readonly decision: 'accept' | 'reject'
    readonly tdHash?: string | undefined
  },
): Promise<string> {
  const { nonce, amr, decision, approvalId, reference, payloadHash, tdHash } = decided
  return signJws('decision', key, {
    iss: deviceId,
    sub: userId,
    aud: link.issuer,
    iat: link.nowSeconds,
    jti: newJti(),
    nonce,
    amr: amr && [amr],
    decision,
    approvalId,
    reference,
    payloadHash,
    tdHash,
  })
}
