import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import type { NonceTms } from '#domain/nonces/nonce.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { maxAgeOf, retrievalSecondsDefault, tmsSecondsDefault, toMessage } from './message-sign.ts'
import { noStore } from './wire.ts'

/** Makes a nonce that a portal shows; whoever redeems it is told to the portal. */
export const createNonce: Endpoint<'createNonce'> = async ({
  core,
  caller,
  params,
  query,
  body,
}) => {
  const { portalSessionId, callbackUrl, tms } = body.payload
  const { shown, nonce } = await core.nonces.create(caller, params.tenantId, {
    form: query.type ?? 'default',
    action: body.action,
    portalSessionId,
    callbackUrl,
    tms: tms && toNonceTms(tms),
  })
  return {
    status: 201,
    headers: noStore,
    body: { nonce: shown, type: nonce.action, expiresAt: nonce.expiresAtMs },
  }
}

function toNonceTms(tms: Schemas['NonceTms']): NonceTms {
  return {
    message: toMessage(tms.tmsData),
    retrievalSeconds: tms.retrievalTimeout ?? retrievalSecondsDefault,
    decisionSeconds: tms.tmsTimeout ?? tmsSecondsDefault,
    isExplicit: tms.requireExplicitAuthentication ?? false,
    maxAgeSeconds: maxAgeOf(tms.requireFreshnessOfAuthentication),
    auditMessage: tms.auditMessage as JsonValue | undefined,
  }
}
