import type { Caller } from '#domain/callers/caller.ts'
import type { MatchedCredential, Verification } from '#domain/verification/verification.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { noStore } from './wire.ts'

/** Checks a code and spends it. */
export const verifyCode: Endpoint<'verifyCode'> = async ({ core, caller, params, body }) => {
  const outcome = await core.verification.verify(caller, params.tenantId, body)
  return {
    status: 200,
    headers: noStore,
    body: visibleTo(caller, outcome),
  }
}

/** What of a decision a caller may know (platform.md, section 4, rule 8). */
function visibleTo(caller: Caller, outcome: Verification): Schemas['VerifyResult'] {
  const { auditId, credential, retryAfterSeconds, userId } = outcome
  const told = {
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(credential === undefined
      ? {}
      : {
          credential: credentialOf(credential),
        }),
    auditId,
  }
  if (caller.has('tenant:read')) {
    const { result, reason, attemptsLeft } = outcome
    return {
      result,
      ...(userId === undefined ? {} : { userId }),
      ...(reason === undefined ? {} : { reason }),
      ...(attemptsLeft === undefined ? {} : { attemptsLeft }),
      ...told,
    }
  }
  const result = outcome.result === 'NO_CREDENTIAL' ? 'REJECTED' : outcome.result
  return { result, ...(result === 'ACCEPTED' && userId !== undefined ? { userId } : {}), ...told }
}

function credentialOf(credential: MatchedCredential): Schemas['MatchedCredential'] {
  if (credential.kind === 'TOKEN') {
    return { kind: 'TOKEN', id: credential.tokenId, serial: credential.serial }
  }
  const { listId: id, method, index, remaining, renew } = credential
  return { kind: 'LIST', id, method, index, remaining, renew }
}
