import type { ExternalUser } from '#domain/users/external-user-service.ts'
import type { Schemas } from './contract.gen.ts'
import { customerOf, type Endpoint } from './endpoint.ts'
import { noStore, success, toLocalDateTime } from './wire.ts'

/** Gives a user an external user id. */
export const createExternalUser: Endpoint<'createExternalUser'> = async (input) => {
  const { core, caller, params, body } = input
  const change = { keylessUserId: params.userId, externalId: body.externalUserId }
  const customer = customerOf(caller)
  const made = await core.externalUsers.create(caller, customer, change)
  const number = await core.tenants.numberOf(caller, customer)
  return { status: 201, headers: noStore, body: toExternalUser(made, number) }
}

/** Gives a user another external user id. */
export const updateExternalUser: Endpoint<'updateExternalUser'> = async (input) => {
  const { core, caller, params, body } = input
  const change = { keylessUserId: params.userId, externalId: body.externalUserId }
  const customer = customerOf(caller)
  const now = await core.externalUsers.change(caller, customer, change)
  const number = await core.tenants.numberOf(caller, customer)
  return { status: 200, headers: noStore, body: toExternalUser(now, number) }
}

/** Takes an external user id from all who have it. */
export const deleteExternalUser: Endpoint<'deleteExternalUser'> = async ({
  core,
  caller,
  params,
}) => {
  await core.externalUsers.remove(caller, customerOf(caller), params.externalUserId)
  return { status: 200, headers: noStore, body: success }
}

/** Lists who has an external user id. */
export const listExternalUserUsers: Endpoint<'listExternalUserUsers'> = async ({
  core,
  caller,
  params,
}) => {
  const customer = customerOf(caller)
  const users = await core.externalUsers.listHolders(caller, customer, params.externalUserId)
  const number = await core.tenants.numberOf(caller, customer)
  return { status: 200, headers: noStore, body: users.map((user) => toExternalUser(user, number)) }
}

function toExternalUser(user: ExternalUser, sdkCustomerId: number): Schemas['ExternalUser'] {
  return {
    sdkCustomerId,
    userId: user.keylessUserId,
    externalUserId: user.externalId,
    createdAt: toLocalDateTime(user.createdAtMs),
    updatedAt: toLocalDateTime(user.updatedAtMs),
  }
}
