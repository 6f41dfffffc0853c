import { DomainError } from '#domain/errors.ts'
import { isRepeatedHeader } from '#http/credentials.ts'
import { originOf, scopesByWireName } from './auth.ts'
import { noStore } from './credential.ts'
import type { Endpoint } from './endpoint.ts'

/** Gives an agent a bearer token for its secret (RFC 6749 section 4.4). */
export const oauthToken: Endpoint<'oauthToken'> = async ({ core, body, request }) => {
  if (isRepeatedHeader(request, 'authorization')) throw noCredentials()
  const basic = credentialsOf(request.headers.authorization, body)
  const principal = await core.authenticator.identify({ basic }, originOf(request))
  const { caller } = principal
  const scopes = Object.entries(scopesByWireName)
  const granted = scopes.filter(([, scope]) => caller.has(scope))
  if (caller.tenantId === null || granted.length === 0) {
    throw new DomainError('forbidden', 'The account may not use this surface.')
  }
  const requested = body.scope?.split(' ').filter((name) => name !== '')
  const wanted = requested === undefined ? granted.map(([name]) => name) : requested
  const {
    accessToken,
    expiresInSeconds,
    scopes: issued,
  } = await core.oauth.issue(
    principal,
    wanted.map((name) => scopesByWireName[name] ?? name),
  )
  const told = scopes.filter(([, scope]) => issued.includes(scope)).map(([name]) => name)
  return {
    status: 200,
    headers: { ...noStore, pragma: 'no-cache' },
    body: {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: expiresInSeconds,
      scope: told.join(' '),
    },
  }
}

/**
 * Account and secret, from the form or from HTTP Basic.
 *
 * @throws DomainError `invalid_request` for both at once; `unauthenticated` for neither, or half of one.
 */
function credentialsOf(
  authorization: string | undefined,
  form: { readonly client_id?: string; readonly client_secret?: string },
): { id: string; secret: string } {
  const { client_id: id, client_secret: secret } = form
  if (authorization === undefined) {
    if (id === undefined || secret === undefined) throw noCredentials()
    return { id, secret }
  }
  if (secret !== undefined) {
    throw new DomainError('invalid_request', 'The client authenticates in two ways.')
  }
  const basic = basicOf(authorization)
  if (id !== undefined && id !== basic.id) {
    throw new DomainError('invalid_request', 'The client has two names.')
  }
  return basic
}

/** RFC 6749 section 2.3.1: id and secret are form-encoded before they go into HTTP Basic. */
function basicOf(authorization: string): { id: string; secret: string } {
  const [, encoded] = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization) ?? []
  if (encoded === undefined) throw noCredentials()
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon === -1) throw noCredentials()
  try {
    const decode = (part: string) => decodeURIComponent(part.replaceAll('+', ' '))
    return { id: decode(text.slice(0, colon)), secret: decode(text.slice(colon + 1)) }
  } catch {
    throw noCredentials()
  }
}

function noCredentials(): DomainError {
  return new DomainError('unauthenticated', 'No valid credential.')
}
