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
import { readId } from './wire.ts'

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

/** Who and what is verified. */
type Subject = Required<Pick<VerificationRequest, 'user'>> & Pick<VerificationRequest, 'token'>

const listedTokensMax = 1_000
/** DualShield's answer names a token: a code of a printed list would be spent without being accepted. */
const tokensOnly: readonly string[] = ['token']
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
    methods: tokensOnly,
    isLogon,
    ...(context === undefined ? {} : { context }),
  }
  const plain = plainSubject(body)
  const subject = plain ?? (await findSubject(agent, body, attempt))
  const outcome = await core.verification.verify(caller, tenantOf(caller), {
    ...attempt,
    ...subject,
  })
  const accepted = outcome.credential?.kind === 'TOKEN' ? outcome.credential.tokenId : undefined
  if (outcome.result !== 'ACCEPTED' || accepted === undefined) {
    if (plain !== undefined) await requireSubject(agent, body, outcome)
    return answerTo(outcome, subject.token !== undefined)
  }
  if (wanted === undefined) return { status: 200, body: { error: 0 } } as const
  const result = await showById(agent, 'token', accepted, wanted)
  return { status: 200, body: { error: 0, result } } as const
}

/**
 * What the usual forms name: a user by login name and name of the domain, or by id; and if any, a token by serial or id.
 * The core finds these in the statements in which it decides, so nothing has to be looked up before. Undefined for all
 * other forms.
 */
function plainSubject(body: Schemas['AuthVerifyRequest']): Subject | undefined {
  const user = plainUser(body.user)
  if (user === undefined || body.token === undefined) return user && { user }
  const token = plainToken(body.token)
  return token && { user, token }
}

function plainUser(user: Schemas['UserRef']): Subject['user'] | undefined {
  if (hasOnly(user, ['id']) && user.id !== undefined) {
    const ulid = readId(user.id)
    return ulid === undefined ? undefined : { ulid }
  }
  if (!hasOnly(user, ['loginName', 'domain']) || !hasOnly(user.domain, ['name'])) return undefined
  const { loginName } = user
  const domain = user.domain.name
  if (loginName === undefined || domain === undefined) return undefined
  // With a domain in front of it, too, the login names two.
  return loginName.includes('\\') ? undefined : { loginName, domain }
}

function plainToken(token: Schemas['TokenRef']): Subject['token'] | undefined {
  if (hasOnly(token, ['serial']) && token.serial !== undefined) return { serial: token.serial }
  const id = hasOnly(token, ['id']) && token.id !== undefined ? readId(token.id) : undefined
  return id === undefined ? undefined : { id }
}

function hasOnly<Reference>(
  reference: Reference,
  names: readonly string[],
): reference is Extract<Reference, object> {
  if (typeof reference !== 'object' || reference === null) return false
  const given = Object.keys(reference)
  return given.length === names.length && given.every((name) => names.includes(name))
}

/**
 * Says which of what a plain request named is not there; the attempt was decided and recorded all the same.
 *
 * @throws DomainError as `findToken` and `findUser`.
 */
async function requireSubject(
  agent: Agent,
  { user, token }: Schemas['AuthVerifyRequest'],
  { result, reason }: Verification,
): Promise<void> {
  if (result !== 'NO_CREDENTIAL') return
  if (token !== undefined) await findToken(agent, 'token', token)
  if (reason === 'USER_UNKNOWN') await findUser(agent, 'user', user)
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
): Promise<Subject> {
  const token =
    body.token === undefined ? {} : { token: { id: await findToken(agent, 'token', body.token) } }
  try {
    return { ...token, user: { id: (await findUser(agent, 'user', body.user)).key } }
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
    // Of printed lists, which this surface does not try.
    case 'used_up':
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
