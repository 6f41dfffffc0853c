import { normaliseCode } from '@countersign/protocol/otp/code.ts'
import { digitsMin } from '@countersign/protocol/otp/hotp.ts'
import type { Evaluation, TokenTrial, Trial } from './evaluation.ts'
import type { VerificationRequest } from './verification.ts'

/** The one PIN that was computed: against which hash, and whether it fits. */
export interface PinVerdict {
  readonly pinHash: string | undefined
  readonly pin: string
  readonly fits: boolean
}

/** The PIN or its hash changed between looking and deciding: look again. */
export const lookAgain = Symbol('look again')

/** Codes alone are told by their length before anything is read. */
export function mayCarryPin({ pin, pinMayLead, code }: VerificationRequest): boolean {
  if (pin !== undefined) return true
  return pinMayLead === true && (normaliseCode(code)?.length ?? 0) > digitsMin
}

/** The candidate whose PIN matters: the one that matches, else the one that would after synchronisation. */
export function pinTarget(evaluation: Evaluation): TokenTrial | undefined {
  if (evaluation.kind === 'matched') {
    return evaluation.trial.kind === 'token' ? evaluation.trial : undefined
  }
  if (evaluation.kind !== 'unmatched') return undefined
  return tokenTrials(evaluation.tried).find(({ finding }) => finding.kind === 'hint')
}

export function anyLeadingPin(evaluation: Evaluation): string | undefined {
  if (evaluation.kind !== 'unmatched' && evaluation.kind !== 'matched') return undefined
  return tokenTrials(evaluation.tried).find(({ typed }) => typed.pin !== undefined)?.typed.pin
}

/** Printed lists have no PIN. */
function tokenTrials(tried: readonly Trial[]): TokenTrial[] {
  return tried.filter((trial) => trial.kind === 'token')
}

export function pinState(
  target: TokenTrial | undefined,
  verdict: PinVerdict | undefined,
): 'fits' | 'wrong' | typeof lookAgain {
  if (target === undefined || target.candidate.pinHash === null) return 'fits'
  if (target.typed.pin === undefined) return 'wrong'
  if (
    verdict === undefined ||
    verdict.pinHash !== target.candidate.pinHash ||
    verdict.pin !== target.typed.pin
  ) {
    return lookAgain
  }
  return verdict.fits ? 'fits' : 'wrong'
}
