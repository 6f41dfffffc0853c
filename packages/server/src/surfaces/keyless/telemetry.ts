import type { Authentication } from '#domain/devices/authentication-service.ts'
import type { Schemas } from './contract.gen.ts'
import { customerOf, type Endpoint } from './endpoint.ts'
import { noStore, toLocalDateTime, wireFactor } from './wire.ts'

/** Contract, `Error`: numbers of the SDK. */
const failureCodes = { WRONG_FACTOR: 30008, FACTOR_LOCKED: 30007 } as const

/** One page with one element: the user, or the external user. */
const onlyPage = { number: 1, totalElements: 1, totalPages: 1, size: 1 } as const

/** Lists the latest authentications of a user. */
export const listUserAuthentications: Endpoint<'listUserAuthentications'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const { userId } = params
  const asked = { keylessUserId: userId, operationId: query.operationId }
  const found = await core.authentications.ofUser(caller, customerOf(caller), asked)
  const content = [{ userId, authentications: found.map(toAuthentication) }]
  return { status: 200, headers: noStore, body: { page: onlyPage, content } }
}

/** The same over all users with an external user id. */
export const listExternalUserAuthentications: Endpoint<'listExternalUserAuthentications'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const { externalUserId } = params
  const asked = { externalUserId, operationId: query.operationId }
  const found = await core.authentications.ofExternalUser(caller, customerOf(caller), asked)
  const content = [{ externalUserId, authentications: found.map(toAuthentication) }]
  return { status: 200, headers: noStore, body: { page: onlyPage, content } }
}

function toAuthentication(one: Authentication): Schemas['Authentication'] {
  const { failure, operationId } = one
  return {
    createdAt: toLocalDateTime(one.atMs),
    result: failure === undefined ? 'APPROVED' : 'REJECTED',
    ...(failure === undefined ? {} : { errorCode: failureCodes[failure] }),
    ...(operationId === undefined ? {} : { operationId }),
    deviceId: one.deviceKeyThumbprint,
    authType: wireFactor[one.factor],
  }
}
