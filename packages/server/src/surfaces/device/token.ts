import { DeviceRefusal } from '#domain/devices/device-refusal.ts'
import { clockSkewSeconds } from '#domain/devices/signed-by-device.ts'
import { originOf, proofOf, urlOf } from './auth.ts'
import type { PublicEndpoint } from './endpoint.ts'
import { instant } from './wire.ts'

/** Server time and protocol facts. */
export const getConfiguration: PublicEndpoint<'getConfiguration'> = async ({ core }) => ({
  status: 200,
  headers: { 'dpop-nonce': core.serverNonces.issue(), 'cache-control': 'no-store' },
  body: {
    issuer: core.deviceIssuer(),
    protocol: 1,
    serverTime: instant(core.clock()),
    algorithms: ['ES256'],
    scopes: ['device', 'tms'],
    clockSkewSeconds,
  },
})

/** A login (RFC 7523, RFC 9449). Empty parameters count as absent. */
export const createToken: PublicEndpoint<'createToken'> = async ({ core, body, request }) => {
  const proof = proofOf(request)
  if (proof === undefined) throw new DeviceRefusal('dpop_invalid')
  const login = await core.deviceLogins.login(
    {
      clientAssertion: body.client_assertion,
      clientId: body.client_id,
      scope: body.scope,
      userId: body.user_id,
      pin: body.pin,
      bioAssertion: body.bio_assertion,
      proof,
      url: urlOf(request, core.publicUrl),
    },
    originOf(request),
  )
  const { factor, verifiedAtMs, userId } = login
  return {
    status: 200,
    headers: { 'dpop-nonce': core.serverNonces.issue(), 'cache-control': 'no-store' },
    body: {
      access_token: login.accessToken,
      token_type: 'DPoP',
      expires_in: login.lifeSeconds,
      scope: login.scopes.join(' '),
      ...(userId === null ? {} : { user_id: userId }),
      ...(factor === null || verifiedAtMs === null
        ? {}
        : { amr: [factor], auth_time: Math.floor(verifiedAtMs / 1000) }),
    },
  }
}
