import type { CabinetUser } from '@countersign/protocol/cabinet/access-list.ts'
import type { Acl } from '#domain/cabinets/acl.ts'
import type { Schemas } from './contract.gen.ts'
import { customerOf } from './customer.ts'
import type { Endpoint } from './endpoint.ts'
import { errorBody } from './errors.ts'
import { pageOf, toPagination } from './pagination.ts'

/** Writes an access list; one that is there is overwritten. */
export const createAcl: Endpoint<'createAcl'> = async ({ core, caller, body }) => {
  const tenantId = customerOf(caller, body.customer)
  const { acl, isNew } = await core.cabinetAcls.put(caller, tenantId, fromAcl(body, body.id))
  const data = { acl: toAcl(acl) }
  return isNew
    ? { status: 201, body: { status: 201, msg: 'Acl created successfully', data } }
    : { status: 200, body: { status: 200, msg: 'Acl updated successfully', data } }
}

/** The customer's access lists in the order of their ids. */
export const listAcls: Endpoint<'listAcls'> = async ({ core, caller, query, request }) => {
  const tenantId = customerOf(caller, query.customer)
  const { items, totalCount } = await core.cabinetAcls.list(caller, tenantId, pageOf(query))
  return {
    status: 200,
    body: {
      status: 200,
      msg: 'Acl fetched successfully',
      data: items.map(toAcl),
      pagination: toPagination(request, query, totalCount),
    },
  }
}

/** One access list, PIN hashes included. */
export const getAcl: Endpoint<'getAcl'> = async ({ core, caller, params, query }) => {
  const acl = await core.cabinetAcls.get(caller, customerOf(caller, query.customer), params.aclId)
  return {
    status: 200,
    body: { status: 200, msg: 'Acl fetched successfully', data: { acl: toAcl(acl) } },
  }
}

/** Replaces an access list that is there. */
export const updateAcl: Endpoint<'updateAcl'> = async ({ core, caller, params, query, body }) => {
  const tenantId = customerOf(caller, query.customer, body.customer)
  if (body.id !== undefined && body.id !== params.aclId) {
    return { status: 400, body: errorBody('ID_MISMATCH', 'ACL id mismatch') }
  }
  const acl = await core.cabinetAcls.replace(caller, tenantId, fromAcl(body, params.aclId))
  return {
    status: 200,
    body: { status: 200, msg: 'Acl updated successfully', data: { acl: toAcl(acl) } },
  }
}

/** Removes an access list and its links. */
export const deleteAcl: Endpoint<'deleteAcl'> = async ({ core, caller, params, query }) => {
  await core.cabinetAcls.delete(caller, customerOf(caller, query.customer), params.aclId)
  return { status: 204 }
}

function fromAcl<Id>({ users, locks, user_data = {} }: Schemas['AclInput'], id: Id) {
  return { id, users: users.map(fromAclUser), locks, userData: user_data }
}

function fromAclUser(user: Schemas['AclUser']): CabinetUser {
  return {
    userId: user.user_id,
    pinHash: user.pin_hash,
    authTimeHours: user.auth_time,
    sounder: user.sounder ?? false,
    sounderDelaySeconds: user.sounder_delay ?? 0,
    sounderDurationSeconds: user.sounder_duration ?? 0,
    sounderVolume: user.sounder_volume ?? 0,
    permissions: user.permissions,
  }
}

function toAcl(acl: Acl): Schemas['Acl'] {
  return {
    id: acl.id,
    customer: acl.tenantId,
    users: acl.users.map(toAclUser),
    locks: acl.locks,
    user_data: acl.userData,
  }
}

/** A user as access lists and cabinets are told of one. */
export function toAclUser(user: CabinetUser): Schemas['AclUser'] {
  return {
    user_id: user.userId,
    pin_hash: user.pinHash,
    auth_time: user.authTimeHours as Schemas['AclUser']['auth_time'],
    sounder: user.sounder,
    sounder_delay: user.sounderDelaySeconds,
    sounder_duration: user.sounderDurationSeconds,
    sounder_volume: user.sounderVolume as 0 | 1 | 2,
    permissions: user.permissions,
  }
}
