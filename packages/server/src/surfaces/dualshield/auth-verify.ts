import { DomainError } from '#domain/errors.ts'
import { splitLogin } from '#domain/users/identifier.ts'
import type {
  Verification,
  VerificationContext,
  VerificationRequest,
} from '#domain/verification/verification.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { decisions, refusal, wireErrors } from './errors.ts'
import { showById } from './objects.ts'
import { readReturn } from './projection.ts'
import { type Agent, findToken, findUser, tenantOf } from './references.ts'
import { missing } from './refusals.ts'

/** Checks a code of a user and spends it. */
export const authVerify: Endpoint<'authVerify'> = ({ core, caller, body }) =>
  verify({ core, caller }, body, false)

/** As `auth/verify`; the user's last login is noted. */
export const authLogon: Endpoint<'authLogon'> = ({ core, caller, body }) =>
  verify({ core, caller }, body, true)

/** All tokens of a user, in the order in which they are tried. */
export const authListTokens: Endpoint<'authListTokens'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const wanted = readReturn('token', body.return ?? ['id', 'serial'])
  const { id } = await findUser(agent, 'user', body.user)
  const { rows } = await core.directory.search(caller, tenantOf(caller), 'tokenAssignment', {
    conditions: [{ path: ['user', 'id'], op: '=', value: id }],
    sort: { path: ['priority'], descending: false },
    limit: listedTokensMax,
    offset: 0,
    projection: { fields: [], relations: { token: wanted.projection } },
  })
  const tokens = rows.flatMap(({ one }) => one.token ?? [])
  return {
    status: 200,
    body: {
      error: 0,
      result: { total: tokens.length, rows: tokens.map((token) => wanted.show(token)) },
    },
  }
}

const listedTokensMax = 1_000
/** Longest text of the agent that goes to the journal. */
const contextLengthMax = 255

async function verify(agent: Agent, body: Schemas['AuthVerifyRequest'], isLogon: boolean) {
  const { core, caller } = agent
  const wanted = body.return === undefined ? undefined : readReturn('token', body.return)
  const { method = 'OTP', otp, pin } = body.credential
  if (method !== 'OTP') {
    throw new DomainError('not_supported', 'Only one-time passwords are verified.')
  }
  if (otp === undefined) throw missing('credential.otp')
  const context = contextOf(body)
  const attempt = {
    code: otp,
    ...(pin === undefined ? {} : { pin }),
    pinMayLead: true,
    isLogon,
    ...(context === undefined ? {} : { context }),
  }
  const { token, user } = await findSubject(agent, body, attempt)
  const outcome = await core.verification.verify(caller, tenantOf(caller), {
    ...attempt,
    user: { id: user },
    ...(token === undefined ? {} : { token: { id: token } }),
  })
  const accepted = outcome.credential?.tokenId
  if (outcome.result !== 'ACCEPTED' || accepted === undefined) {
    return answerTo(outcome, token !== undefined)
  }
  if (wanted === undefined) return { status: 200, body: { error: 0 } } as const
  const result = await showById(agent, 'token', accepted, wanted)
  return { status: 200, body: { error: 0, result } } as const
}

/**
 * Token, then user. Where there is no such user the attempt is decided and recorded all the same, at the usual cost.
 *
 * @throws DomainError as `findToken` and `findUser`.
 */
async function findSubject(
  agent: Agent,
  body: Schemas['AuthVerifyRequest'],
  attempt: VerificationRequest,
): Promise<{ token: string | undefined; user: string }> {
  const token = body.token === undefined ? undefined : await findToken(agent, 'token', body.token)
  try {
    return { token, user: (await findUser(agent, 'user', body.user)).key }
  } catch (error) {
    const isNobody =
      error instanceof DomainError &&
      (error.code === 'user_not_found' || error.code === 'domain_not_found')
    if (isNobody) {
      const { core, caller } = agent
      // No domain has an empty name, so this login is nobody's.
      const user = { loginName: nameOf(body.user), domain: '' }
      await core.verification.verify(caller, tenantOf(caller), { ...attempt, user })
    }
    throw error
  }
}

/** The name that named nobody; the journal keeps its hash only. */
function nameOf(user: Schemas['UserRef']): string {
  if (typeof user !== 'object') return String(user)
  const { loginName, email, userPrincipalName, id } = user
  const name = loginName === undefined ? undefined : splitLogin(loginName).loginName
  return name ?? email ?? userPrincipalName ?? String(id ?? '')
}

/**
 * Contract, auth/verify: which number stands for which decision.
 *
 * @param isNamed why a token cannot be used is told of one that was named.
 */
function answerTo({ result, reason, unusable }: Verification, isNamed: boolean) {
  switch (result) {
    case 'LOCKED':
      return refusal(decisions.locked)
    case 'RESYNC_REQUIRED':
      return refusal(decisions.outOfSync)
    case 'ACCEPTED':
    case 'REJECTED':
      return refusal(decisions.incorrectCredentials)
    case 'NO_CREDENTIAL':
      if (reason === 'USER_DISABLED') return refusal(wireErrors.user_disabled)
      return refusal(isNamed ? unusableAnswer(unusable) : decisions.incorrectCredentials)
  }
}

function unusableAnswer(unusable: Verification['unusable']) {
  switch (unusable) {
    case 'not_assigned':
      return wireErrors.not_assigned
    case 'token_not_active':
      return wireErrors.token_not_active
    case 'assignment_not_active':
    case 'not_yet_valid':
    case 'expired':
    case 'usage_limit_reached':
      return wireErrors.assignment_not_active
    case undefined:
      return decisions.incorrectCredentials
  }
}

/** Recorded and nothing else. */
function contextOf({
  remoteIp,
  application,
}: Schemas['AuthVerifyRequest']): VerificationContext | undefined {
  const named = application === undefined ? undefined : (application.name ?? application.id)
  if (remoteIp === undefined && typeof named !== 'string') return undefined
  return {
    ...(remoteIp === undefined ? {} : { address: remoteIp.slice(0, contextLengthMax) }),
    ...(typeof named === 'string' ? { application: named.slice(0, contextLengthMax) } : {}),
  }
}
