import type { FastifyRequest } from 'fastify'
import type { PresentedCredentials, Principal } from '#domain/callers/authenticator.ts'
import type { TokenDescription } from '#domain/callers/oauth-service.ts'
import { scopes } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import { DomainError } from '#domain/errors.ts'
import { presentedIn } from './auth.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { noStore } from './wire.ts'

/** RFC 6749 section 5.1. */
const tokenHeaders = { ...noStore, pragma: 'no-cache' } as const
const clientAuthentication = ['client_secret_basic', 'client_secret_post']

/** Client credentials in a form body (RFC 6749 section 2.3.1). */
interface ClientForm {
  readonly client_id?: string
  readonly client_secret?: string
}

/** Gives an access token for a secret. */
export const issueAccessToken: Endpoint<'issueAccessToken'> = async ({ core, request, body }) => {
  const presented = presentedIn(request)
  if (presented.bearer !== undefined) throw unauthenticated()
  const client = await identifyClient(core, request, withForm(presented, body))
  if (body.grant_type !== 'client_credentials') {
    return { status: 400, headers: noStore, body: { error: 'unsupported_grant_type' } }
  }
  const { accessToken, expiresInSeconds, ...issued } = await core.oauth.issue(
    client,
    body.scope?.split(' '),
  )
  return {
    status: 200,
    headers: tokenHeaders,
    body: {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: expiresInSeconds,
      scope: issued.scopes.join(' '),
    },
  }
}

/** Describes a token or a secret to its own tenant. */
export const introspectAccessToken: Endpoint<'introspectAccessToken'> = async ({
  core,
  request,
  body,
}) => {
  const presented = withForm(presentedIn(request), body)
  const { caller } = await identifyClient(core, request, presented)
  const description = await core.oauth.describe(caller, body.token)
  return {
    status: 200,
    headers: tokenHeaders,
    body: description === undefined ? { active: false } : toIntrospection(description),
  }
}

/** Keys that access tokens are checked with. */
export const getOauthJwks: Endpoint<'getOauthJwks'> = async ({ core }) => ({
  status: 200,
  body: { keys: (await core.oauth.publicKeys()) as Schemas['Jwks']['keys'] },
})

/** RFC 8414. */
export const getOauthMetadata: Endpoint<'getOauthMetadata'> = async ({ core }) => {
  const { issuer } = core.oauth
  return {
    status: 200,
    body: {
      issuer,
      token_endpoint: `${issuer}/oauth2/token`,
      introspection_endpoint: `${issuer}/oauth2/introspect`,
      jwks_uri: `${issuer}/oauth2/jwks`,
      grant_types_supported: ['client_credentials'],
      response_types_supported: [],
      token_endpoint_auth_methods_supported: clientAuthentication,
      introspection_endpoint_auth_methods_supported: clientAuthentication,
      scopes_supported: [...scopes],
    },
  }
}

/** What a request presents in its header and its form; a client authenticates in one way only. */
function withForm(
  presented: PresentedCredentials,
  { client_id: id, client_secret: secret }: ClientForm,
): PresentedCredentials {
  const { basic } = presented
  if (secret !== undefined) {
    if (basic !== undefined || presented.bearer !== undefined) throw twoWays()
    if (id === undefined) throw unauthenticated()
    return { ...presented, basic: { id, secret } }
  }
  const client = basic && { id: formDecoded(basic.id), secret: formDecoded(basic.secret) }
  if (id !== undefined && client !== undefined && client.id !== id) throw twoWays()
  return client === undefined ? presented : { ...presented, basic: client }
}

async function identifyClient(
  core: Core,
  request: FastifyRequest,
  presented: PresentedCredentials,
): Promise<Principal> {
  const { basic, bearer } = presented
  // A key beside it must be the same account's; alone it is no way for a client to authenticate.
  if (basic === undefined && bearer === undefined) throw unauthenticated()
  return core.authenticator.identify(presented, {
    address: request.ip,
    surface: 'native',
    requestId: request.id,
  })
}

/** Id and secret are form-encoded before they go into the header (RFC 6749 section 2.3.1). */
function formDecoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw unauthenticated()
  }
}

function toIntrospection(description: TokenDescription): Schemas['Introspection'] {
  const { accountId, tenantId, issuer, times } = description
  return {
    active: true,
    client_id: accountId,
    sub: accountId,
    scope: description.scopes.join(' '),
    token_type: 'Bearer',
    tenant: tenantId,
    ...(times === undefined
      ? {}
      : {
          iss: issuer,
          aud: issuer,
          iat: times.issuedAtSeconds,
          exp: times.expiresAtSeconds,
          jti: times.id,
        }),
  }
}

function twoWays(): DomainError {
  return new DomainError('invalid_request', 'A client authenticates in one way only.')
}

function unauthenticated(): DomainError {
  return new DomainError('unauthenticated', 'No valid client credential.')
}
