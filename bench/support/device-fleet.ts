import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import type { ComposedCore } from '../../packages/server/src/compose-core.ts'
import { newUser } from '../../packages/server/src/domain/users/user-store.ts'
import { tenantId } from './installation.ts'

/** A device with a user of its own and an access token that is good for the run. */
export interface FleetDevice {
  readonly id: string
  readonly userId: string
  readonly accessToken: string
  readonly privateKey: KeyObject
  readonly jwk: {
    readonly kty: 'EC'
    readonly crv: 'P-256'
    readonly x: string
    readonly y: string
  }
}

const devicesAtOnce = 500
const hourMs = 3_600_000

/** Makes devices by the core's own stores, as enrolment and login would leave them. */
export async function makeFleet(
  { core, storage, nextId }: ComposedCore,
  count: number,
): Promise<FleetDevice[]> {
  const nowMs = core.clock()
  const fleet = Array.from({ length: count }, () => newDevice(nextId))
  for (let start = 0; start < count; start += devicesAtOnce) {
    await storage.transaction(async (stores) => {
      for (const device of fleet.slice(start, start + devicesAtOnce)) {
        const { id, userId, jwk } = device
        const keyThumbprint = thumbprintOf(jwk)
        await stores.users.insert(
          newUser(
            tenantId,
            { loginName: userId },
            {
              id: userId,
              ulid: nextId(),
              domainKey: 'default',
              loginName: userId,
              passwordHash: null,
              createdAtMs: nowMs,
            },
          ),
        )
        await stores.devices.insert({
          tenantId,
          id,
          keyThumbprint,
          publicKey: jwk,
          enrolledVia: 'DEVICE',
          app: {
            name: 'bench',
            platform: 'Android',
            architecture: 'arm64',
            versionStr: '1.0.0',
            sdkVersion: '1.0.0',
          },
          pushToken: null,
          locales: [],
          name: null,
          model: null,
          osName: null,
          osVersion: null,
          createdAtMs: nowMs,
        })
        const link = { tenantId, deviceId: id, userId, bio: null, keyStatement: '' }
        await stores.deviceLinks.put({ ...link, linkedAtMs: nowMs })
        await stores.deviceSessions.insert({
          tenantId,
          tokenHash: createHash('sha256').update(device.accessToken).digest('hex'),
          deviceId: id,
          userId,
          scope: 'device',
          factor: null,
          verifiedAtMs: null,
          sessionEpoch: 1,
          linkEpoch: (await stores.deviceLinks.find(link))?.epoch ?? 1,
          issuedAtMs: nowMs,
          expiresAtMs: nowMs + hourMs,
        })
      }
    })
  }
  return fleet
}

/** The text of a request for the device's event stream. @param origin as the server names itself. */
export function streamRequest(
  { accessToken, privateKey, jwk }: FleetDevice,
  origin: string,
): string {
  const path = '/device/v1/events'
  const header = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk })
  const claims = encode({
    jti: randomBytes(16).toString('base64url'),
    htm: 'GET',
    htu: origin + path,
    iat: Math.floor(Date.now() / 1000),
    ath: createHash('sha256').update(accessToken).digest('base64url'),
  })
  const input = `${header}.${claims}`
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
  const signature = sign('sha256', Buffer.from(input), key).toString('base64url')
  return [
    `GET ${path} HTTP/1.1`,
    `Host: ${new URL(origin).host}`,
    'Accept: text/event-stream',
    `Authorization: DPoP ${accessToken}`,
    `DPoP: ${input}.${signature}`,
    '',
    '',
  ].join('\r\n')
}

function newDevice(nextId: () => string): FleetDevice {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  const id = nextId()
  const accessToken = randomBytes(32).toString('base64url')
  const jwk = { kty: 'EC', crv: 'P-256', x, y } as const
  return { id, userId: `user-${id.toLowerCase()}`, accessToken, privateKey, jwk }
}

/** RFC 7638. */
function thumbprintOf({ crv, kty, x, y }: FleetDevice['jwk']): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
