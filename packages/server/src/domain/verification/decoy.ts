import { createSecretKey } from 'node:crypto'
import { findCounter } from '@countersign/protocol/otp/hotp.ts'
import { totpStep } from '@countersign/protocol/otp/totp.ts'
import { codeTag, listKeyBytes } from '../otp-lists/code-tags.ts'
import { defaultSettings } from '../otp-lists/otp-list-method.ts'
import type { VerificationPolicy } from './policy.ts'

const decoySecret = new Uint8Array(20)

const decoyKey = createSecretKey(new Uint8Array(listKeyBytes))

/** The work of a default token, so that nobody learns by the clock whether a user exists or holds one. */
function computeTokenDecoy({ totp }: VerificationPolicy, nowMs: number): void {
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

/** The same of a default list, which takes all of its codes. */
function computeListDecoy(): void {
  for (let position = 1; position <= defaultSettings.listSize; position++) {
    codeTag(decoyKey, '', position, '000000')
  }
}

/** The work of what a request asks for first, where there is nothing to try: a default token, or a default list. */
export function computeDecoy(
  methods: readonly string[] | undefined,
  policy: VerificationPolicy,
  nowMs: number,
): void {
  if (methods === undefined || methods.includes('token')) computeTokenDecoy(policy, nowMs)
  else computeListDecoy()
}
