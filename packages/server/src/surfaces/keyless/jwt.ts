import type { Schemas } from './contract.gen.ts'
import { customerOf, type Endpoint } from './endpoint.ts'
import { noStore, wireFlaw } from './wire.ts'

/** How long verifiers may keep the key set: a new key is told of before that many of its JWTs are out. */
const keySetCaching = { 'cache-control': 'public, max-age=3600' } as const

/** Shows the key that signs now. */
export const getCustomerPublicKey: Endpoint<'getCustomerPublicKey'> = async ({ core, caller }) => {
  const publicKey = await core.customerJwtChecks.publicKeyPem(caller, customerOf(caller))
  return { status: 200, headers: noStore, body: { publicKey } }
}

/** Says whether the server has signed a JWT for the customer. */
export const verifyJwt: Endpoint<'verifyJwt'> = async ({ core, caller, body }) => {
  const { flaw } = await core.customerJwtChecks.verify(caller, customerOf(caller), givenJwt(body))
  const result = flaw === undefined
  const reason = flaw === undefined ? {} : { reason: wireFlaw[flaw] }
  return { status: 200, headers: noStore, body: { result, success: result, ...reason } }
}

/** Shows every key that may have signed a JWT of the customer. Open to all. */
export const getCustomerJwks: Endpoint<'getCustomerJwks'> = async ({ core, params }) => {
  const keys = await core.customerJwtChecks.keySet(params.customerName)
  return {
    status: 200,
    headers: keySetCaching,
    body: {
      keys: keys.map(({ kid, n, e }) => ({ kty: 'RSA', use: 'sig', alg: 'RS256', kid, n, e })),
    },
  }
}

/** As plain text, or under one of three names: which one clients use was never published. */
function givenJwt(body: string | Schemas['VerifyJwtRequest']): {
  jwt: string
  ignoresExpiry: boolean
} {
  if (typeof body === 'string') return { jwt: body, ignoresExpiry: false }
  const { jwt, signedJwt, message, ignoreExpiry = false } = body
  return { jwt: jwt ?? signedJwt ?? message ?? '', ignoresExpiry: ignoreExpiry }
}
