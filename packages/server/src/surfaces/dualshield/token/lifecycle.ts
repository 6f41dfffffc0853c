import { single } from '../body.ts'
import type { Schemas } from '../contract.gen.ts'
import { done, type Endpoint } from '../endpoint.ts'
import { decisions, refusal } from '../errors.ts'
import { returnOfCreate, showById } from '../objects.ts'
import {
  findProduct,
  findRepository,
  findToken,
  findUser,
  idOrReference,
  tenantOf,
} from '../references.ts'
import { invalid, missing } from '../refusals.ts'

/** Makes a software token, with its owner if one is named. */
export const tokenCreate: Endpoint<'tokenCreate'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const attrs = single<Schemas['TokenCreateAttrs']>(body.attrs)
  const { product, user, repository, pin } = attrs
  const wanted = returnOfCreate('token', body.return)
  if (product === undefined) throw missing('attrs.product')
  if (pin !== undefined && user === undefined) throw invalid('attrs.pin')

  const holder = user === undefined ? undefined : await findUser(agent, 'attrs.user', user)
  const productId = await findProduct(agent, 'attrs.product', product)
  const repositoryId =
    repository === undefined
      ? undefined
      : await findRepository(agent, 'attrs.repository', repository)
  const { token } = await core.enrolment.enrol(caller, tenantOf(caller), {
    product: { id: productId },
    user: holder && { id: holder.key },
    repositoryId,
    pin,
    serial: attrs.serial,
    identifier: attrs.identifier,
    status: attrs.status,
    description: attrs.description,
  })
  return {
    status: 200,
    body: { error: 0, result: await showById(agent, 'token', token.id, wanted) },
  }
}

/** Deletes a token; with a user named, only takes it from that user. */
export const tokenDelete: Endpoint<'tokenDelete'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const tokenId = await findToken(agent, 'token', idOrReference(body.id, body.token, 'token'))
  if (body.user === undefined) {
    await core.otpTokens.delete(caller, tenantOf(caller), tokenId)
    return done
  }
  const { key: userId } = await findUser(agent, 'user', body.user)
  await core.assignments.unassign(caller, tenantOf(caller), { tokenId, userId })
  return done
}

/** Sets counter or drift back, and forgets failures. */
export const tokenReset: Endpoint<'tokenReset'> = async ({ core, caller, body }) => {
  const { counter } = single<Schemas['TokenResetAttrs']>(body.attrs ?? {})
  const tokenId = await findToken({ core, caller }, 'token', body.token)
  await core.otpTokens.reset(caller, tenantOf(caller), tokenId, { counter })
  return done
}

/** Bars the download of the credential. */
export const tokenConfine: Endpoint<'tokenConfine'> = async ({ core, caller, body }) => {
  const tokenId = await findToken({ core, caller }, 'token', body.token)
  await core.otpTokens.confine(caller, tenantOf(caller), tokenId)
  return done
}

/** Allows the download of the credential again. */
export const tokenRelease: Endpoint<'tokenRelease'> = async ({ core, caller, body }) => {
  const tokenId = await findToken({ core, caller }, 'token', body.token)
  await core.otpTokens.release(caller, tenantOf(caller), tokenId)
  return done
}

/** Brings server and device together again by two codes. */
export const tokenSyncToken: Endpoint<'tokenSyncToken'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const [first = '', second = ''] = body.credential.split(',').map((code) => code.trim())
  const tokenId = await findToken(agent, 'token', body.token)
  const user = body.user === undefined ? undefined : await findUser(agent, 'user', body.user)
  const { result } = await core.resync.resync(caller, tenantOf(caller), {
    tokenId,
    codes: [first, second],
    ...(user === undefined ? {} : { user: { id: user.key } }),
  })
  return result === 'SYNCHRONISED' ? done : refusal(decisions.syncFailed)
}

/** Changes status, description or repository. */
export const tokenSet: Endpoint<'tokenSet'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const attrs = single<Schemas['TokenSetAttrs']>(body.attrs)
  const { status, description, repository } = attrs
  const tokenId = await findToken(agent, 'token', idOrReference(body.id, body.token, 'token'))
  const repositoryId =
    repository === undefined
      ? undefined
      : await findRepository(agent, 'attrs.repository', repository)
  await core.otpTokens.update(caller, tenantOf(caller), tokenId, {
    status,
    description,
    repositoryId,
  })
  return done
}
