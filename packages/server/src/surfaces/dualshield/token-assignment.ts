import type { AssignmentChanges } from '#domain/otp-tokens/assignment.ts'
import { single } from './body.ts'
import type { Schemas } from './contract.gen.ts'
import { noStore } from './credential.ts'
import { done, type Endpoint } from './endpoint.ts'
import { getObject, returnOfCreate, searchObjects, showById } from './objects.ts'
import { type Agent, findOne, findToken, findUser, tenantOf } from './references.ts'
import { invalid, missing } from './refusals.ts'
import { readId, readTime } from './wire.ts'

/** Assigns a token to a user. */
export const tokenAssignmentCreate: Endpoint<'tokenAssignmentCreate'> = async ({
  core,
  caller,
  body,
}) => {
  const agent = { core, caller }
  const attrs = single<Schemas['TokenAssignmentCreateAttrs']>(body.attrs)
  const { token, user, isOwner, status, pin } = attrs
  const wanted = returnOfCreate('tokenAssignment', body.return)
  if (token === undefined) throw missing('attrs.token')
  if (user === undefined) throw missing('attrs.user')
  const terms = termsOf(attrs)
  const tokenId = await findToken(agent, 'attrs.token', token)
  const { key } = await findUser(agent, 'attrs.user', user)
  const { id } = await core.assignments.create(caller, tenantOf(caller), tokenId, {
    ...terms,
    user: { id: key },
    shared: isOwner === false,
    status,
    pin,
  })
  const result = await showById(agent, 'tokenAssignment', id, wanted)
  return { status: 200, body: { error: 0, result } }
}

/** One assignment. */
export const tokenAssignmentGet: Endpoint<'tokenAssignmentGet'> = async ({
  core,
  caller,
  body,
}) => ({
  status: 200,
  body: { error: 0, result: await getObject({ core, caller }, 'tokenAssignment', body) },
})

/** Changes status, PIN, validity, usage limit or priority. */
export const tokenAssignmentSet: Endpoint<'tokenAssignmentSet'> = async ({
  core,
  caller,
  body,
}) => {
  const attrs = single<Schemas['TokenAssignmentSetAttrs']>(body.attrs)
  const { status, pin } = attrs
  const changes: AssignmentChanges = {
    ...termsOf(attrs),
    status,
    // An empty PIN takes the PIN away.
    pin: pin === '' ? null : pin,
  }
  const held = await findHeld({ core, caller }, body)
  await core.assignments.update(caller, tenantOf(caller), held, changes)
  return done
}

/** One page of the assignments that match. */
export const tokenAssignmentSearch: Endpoint<'tokenAssignmentSearch'> = async ({
  core,
  caller,
  body,
}) => ({
  status: 200,
  body: { error: 0, result: await searchObjects({ core, caller }, 'tokenAssignment', body) },
})

/** Draws the credential as a QR code: a PNG in base64. */
export const tokenAssignmentGetTokenQRCode: Endpoint<'tokenAssignmentGetTokenQRCode'> = async ({
  core,
  caller,
  body,
}) => {
  const held = await findHeld({ core, caller }, body)
  const png = await core.credentials.drawQr(caller, tenantOf(caller), held)
  return {
    status: 200,
    headers: noStore,
    body: { error: 0, message: 'Succeeded', result: Buffer.from(png).toString('base64') },
  }
}

/** Times without a zone, or that do not exist, are refused. */
function termsOf({
  starts,
  expires,
  usageLimit,
  priority,
}: Schemas['TokenAssignmentSetAttrs']): Pick<
  AssignmentChanges,
  'startsAtMs' | 'expiresAtMs' | 'usageLimit' | 'priority'
> {
  return {
    startsAtMs: timeOf(starts, 'attrs.starts'),
    expiresAtMs: timeOf(expires, 'attrs.expires'),
    usageLimit,
    priority,
  }
}

function timeOf(timestamp: string | null | undefined, path: string): number | null | undefined {
  if (timestamp === null || timestamp === undefined) return timestamp
  const timeMs = readTime(timestamp)
  if (timeMs === undefined) throw invalid(path)
  return timeMs
}

/**
 * The assignment that `id` names, or `user` and `token` together, or all of them.
 *
 * @throws DomainError `assignment_not_found`, and as `findToken` and `findUser`.
 */
async function findHeld(
  agent: Agent,
  { id, token, user }: Schemas['TokenAssignmentTargetRequest'],
): Promise<{ tokenId: string; userId: string }> {
  const tokenId = token === undefined ? undefined : await findToken(agent, 'token', token)
  const found = user === undefined ? undefined : await findUser(agent, 'user', user)
  const ulid = id === undefined ? undefined : readId(id)
  const conditions = [
    ...(tokenId === undefined ? [] : [equals(['token', 'id'], tokenId)]),
    ...(found === undefined ? [] : [equals(['user', 'id'], found.id)]),
    ...(ulid === undefined ? [] : [equals(['id'], ulid)]),
    ...(id !== undefined && ulid === undefined ? [{ path: [], op: 'never' } as const] : []),
  ]
  const row = await findOne(agent, 'tokenAssignment', 'id', conditions, {
    fields: [],
    relations: {
      token: { fields: [], relations: {} },
      user: { fields: ['key'], relations: {} },
    },
  })
  return {
    tokenId: row.one.token?.id ?? '',
    userId: String(row.one.user?.fields.key ?? ''),
  }
}

function equals(path: readonly string[], value: string) {
  return { path, op: '=', value } as const
}
