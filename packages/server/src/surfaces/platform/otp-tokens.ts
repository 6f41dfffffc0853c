import { Readable } from 'node:stream'
import { importRejected } from '#domain/otp-tokens/import-report.ts'
import type { Endpoint } from './endpoint.ts'
import { toAssignment, toOtpToken } from './otp-token-wire.ts'
import { fromInstant, noStore, pathOf } from './wire.ts'

/** Enrols a software token; the secret is in the reply and never again. */
export const createOtpToken: Endpoint<'createOtpToken'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { period, ...draft } = body
  const enrolment = { ...draft, periodSeconds: period }
  const { token, provisioning } = await core.enrolment.enrol(caller, params.tenantId, enrolment)
  const { secretBase32, otpauthUri, qrSvg, qrPng } = provisioning
  return {
    status: 201,
    headers: {
      location: pathOf('tenants', params.tenantId, 'otp-tokens', token.id),
      ...noStore,
    },
    body: {
      token: toOtpToken(token),
      provisioning: {
        secretBase32,
        otpauthUri,
        qrSvg,
        qrPng: Buffer.from(qrPng).toString('base64'),
      },
    },
  }
}

/** Tokens in order of creation, all or those that fit every filter. */
export const listOtpTokens: Endpoint<'listOtpTokens'> = async ({ core, caller, params, query }) => {
  const { limit, cursor, ...filters } = query
  const page = await core.otpTokens.list(caller, params.tenantId, { filters, limit, cursor })
  return { status: 200, body: { ...page, items: page.items.map(toOtpToken) } }
}

/** Imports a seed file whole, or says what is wrong with it. */
export const importOtpTokens: Endpoint<'importOtpTokens'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { data: text, format = 'AUTO', encoding = 'BASE32', key, password, product } = body
  const { duplicates = 'REJECT', dryRun = false } = body
  const file = { text, format, encoding, key, password }
  const request = { file, product, duplicates, dryRun }
  const report = await core.imports.importFile(caller, params.tenantId, request)
  if (report.failed > 0 && !dryRun) throw importRejected(report.entries)
  return { status: 200, body: { ...report, entries: [...report.entries] } }
}

/** Tokens with their secrets, encrypted, as a PSKC file. */
export const exportOtpTokens: Endpoint<'exportOtpTokens'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { file, omittedCount } = await core.exports.export(caller, params.tenantId, body)
  return {
    status: 200,
    headers: { ...noStore, 'countersign-omitted': String(omittedCount) },
    body: Readable.from(file),
  }
}

/** One token. */
export const getOtpToken: Endpoint<'getOtpToken'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toOtpToken(await core.otpTokens.get(caller, params.tenantId, params.tokenId)),
})

/** Changes status or description. */
export const updateOtpToken: Endpoint<'updateOtpToken'> = async ({
  core,
  caller,
  params,
  body,
}) => ({
  status: 200,
  body: toOtpToken(await core.otpTokens.update(caller, params.tenantId, params.tokenId, body)),
})

/** Deletes a token with its secret and assignments. */
export const deleteOtpToken: Endpoint<'deleteOtpToken'> = async ({ core, caller, params }) => {
  await core.otpTokens.delete(caller, params.tenantId, params.tokenId)
  return { status: 204 }
}

/** Synchronises by two codes; a pair that does not fit is an answer. */
export const resyncOtpToken: Endpoint<'resyncOtpToken'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId, tokenId } = params
  const { result } = await core.resync.resync(caller, tenantId, {
    tokenId,
    codes: pairOf(body.codes),
    ...(body.user === undefined ? {} : { user: body.user }),
  })
  return {
    status: 200,
    body: { result, token: toOtpToken(await core.otpTokens.get(caller, tenantId, tokenId)) },
  }
}

/** Resets counter or drift, and failures. */
export const resetOtpToken: Endpoint<'resetOtpToken'> = async ({ core, caller, params, body }) => ({
  status: 200,
  body: toOtpToken(await core.otpTokens.reset(caller, params.tenantId, params.tokenId, body)),
})

/** Gives a token to a user. */
export const assignOtpToken: Endpoint<'assignOtpToken'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId, tokenId } = params
  const assignment = await core.assignments.create(caller, tenantId, tokenId, withMoments(body))
  const { userId } = assignment
  const location = pathOf('tenants', tenantId, 'otp-tokens', tokenId, 'assignments', userId)
  return { status: 201, headers: { location }, body: toAssignment(assignment) }
}

/** Changes status, validity, usage limit or priority for one user. */
export const updateOtpTokenAssignment: Endpoint<'updateOtpTokenAssignment'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const changes = withMoments(body)
  const assignment = await core.assignments.update(caller, params.tenantId, params, changes)
  return { status: 200, body: toAssignment(assignment) }
}

/** Takes a token from a user. */
export const unassignOtpToken: Endpoint<'unassignOtpToken'> = async ({ core, caller, params }) => {
  await core.assignments.delete(caller, params.tenantId, params)
  return { status: 204 }
}

/** Sets the PIN. */
export const setOtpTokenPin: Endpoint<'setOtpTokenPin'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  await core.assignments.setPin(caller, params.tenantId, params, body.pin)
  return { status: 204 }
}

/** Takes the PIN away. */
export const clearOtpTokenPin: Endpoint<'clearOtpTokenPin'> = async ({ core, caller, params }) => {
  await core.assignments.clearPin(caller, params.tenantId, params)
  return { status: 204 }
}

/** Locks the token for one user, until it is unlocked. */
export const lockOtpTokenAssignment: Endpoint<'lockOtpTokenAssignment'> = async ({
  core,
  caller,
  params,
  body,
}) => ({
  status: 200,
  body: toAssignment(await core.assignments.lock(caller, params.tenantId, params, body)),
})

/** Unlocks the token for one user, and forgets the failures. */
export const unlockOtpTokenAssignment: Endpoint<'unlockOtpTokenAssignment'> = async ({
  core,
  caller,
  params,
}) => ({
  status: 200,
  body: toAssignment(await core.assignments.unlock(caller, params.tenantId, params)),
})

/** The contract has seen that there are two. */
function pairOf([older = '', newer = '']: readonly string[]): [string, string] {
  return [older, newer]
}

interface Validity {
  readonly startsAt?: string | null
  readonly expiresAt?: string | null
}

function withMoments<Body extends Validity>({ startsAt, expiresAt, ...rest }: Body) {
  return {
    ...rest,
    startsAtMs: fromInstant(startsAt, '/startsAt'),
    expiresAtMs: fromInstant(expiresAt, '/expiresAt'),
  }
}
