import { findCounter } from '@countersign/protocol/otp/hotp.ts'
import { totpStep } from '@countersign/protocol/otp/totp.ts'
import type { VerificationPolicy } from './policy.ts'

const decoySecret = new Uint8Array(20)

/** The work of a default token, so that nobody learns by the clock whether a user exists or holds one. */
export function computeDecoy({ totp }: VerificationPolicy, nowMs: number): void {
  const step = totpStep(nowMs, 30)
  const reach = Math.max(totp.acceptSteps, totp.resyncHintSteps)
  findCounter({
    secret: decoySecret,
    algorithm: 'SHA1',
    digits: 6,
    code: '000000',
    from: step - reach,
    to: step + reach,
  })
}
