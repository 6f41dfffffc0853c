import type {
  ListRefusal,
  ListVerification,
} from '#domain/verification/list-verification-service.ts'
import { writeXml, type XmlElement } from '#http/xml.ts'
import type { Schemas } from './contract.gen.ts'
import { userElement } from './elements.ts'
import { type Endpoint, tenantOf } from './endpoint.ts'
import { type NamedUser, namedUser } from './parameters.ts'
import { fromUuid, noStore, toTimestamp, toUuid } from './wire.ts'

/** Looks up the lists of a user. Who has none does not exist for this API. */
export const queryUserInfo: Endpoint<'queryUserInfo'> = async ({ core, caller, params, query }) => {
  const named = namedUser(query)
  const wanted = { method: params['method-name'], user: named.reference }
  const info = await core.otpLists.userInfo(caller, tenantOf(caller), wanted)
  if (info === undefined) return { status: 204, headers: noStore }
  return { status: 200, headers: noStore, body: writeXml(userElement(info, named)) }
}

/** Checks an OTP of a user and spends it. Every decision is an answer. */
export const verifyOtp: Endpoint<'verifyOtp'> = async ({ core, caller, params, body }) => {
  const named = namedUser(body)
  const listId = body['list-id']
  const outcome = await core.listVerification.verify(caller, tenantOf(caller), {
    method: params['method-name'],
    user: named.reference,
    code: body.otp,
    list: { id: listId === undefined ? undefined : fromUuid(listId), index: body.index },
  })
  const { retryAfterSeconds } = outcome
  return {
    status: 200,
    headers: {
      ...noStore,
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    },
    body: writeXml(verifyResponse(outcome, named)),
  }
}

const reasons = {
  mismatch: 'mismatch',
  replayed: 'replayed',
  exhausted: 'exhausted',
  no_list: 'no-list',
  locked: 'locked',
} as const satisfies Record<ListRefusal, Schemas['VerifyResponse']['reason']>

function verifyResponse(outcome: ListVerification, named: NamedUser): XmlElement {
  const { refusal, matched, attemptsLeft, lockedUntilMs, renew } = outcome
  const attributes = {
    result: refusal === undefined ? 'accepted' : 'rejected',
    reason: refusal && reasons[refusal],
    'list-id': matched && toUuid(matched.listId),
    index: matched?.index,
    'attempts-left': attemptsLeft,
    'locked-until': lockedUntilMs === undefined ? undefined : toTimestamp(lockedUntilMs),
    renew,
  }
  return { name: 'verify-response', attributes, content: [userElement(outcome, named)] }
}
