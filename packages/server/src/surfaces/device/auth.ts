import type { FastifyRequest } from 'fastify'
import type { Core } from '#domain/core.ts'
import type { DeviceOrigin, DeviceSession } from '#domain/devices/device-gate.ts'
import { DeviceRefusal } from '#domain/devices/device-refusal.ts'
import type { Operation } from '#http/contract.ts'
import { isRepeatedHeader, splitAuthorization } from '#http/credentials.ts'

/** Stands where there is no session: endpoints that need no token are typed so that they cannot look at it. */
const nobody = Object.freeze({}) as DeviceSession

/** Says which device calls, before anything else of a request is read. Public operations have none. */
export async function authenticate(
  core: Core,
  request: FastifyRequest,
  operation: Operation,
  publicUrl: () => string,
): Promise<DeviceSession> {
  await core.serverNonces.ready()
  if (operation.id === 'createToken' && proofOf(request) === undefined) {
    throw new DeviceRefusal('dpop_invalid')
  }
  if (operation.security.length === 0) return nobody
  if (isRepeatedHeader(request, 'authorization')) throw new DeviceRefusal('token_invalid')
  const authorization = splitAuthorization(request.headers.authorization ?? '')
  const call = {
    accessToken: authorization?.scheme === 'dpop' ? authorization.value : undefined,
    proof: proofOf(request),
    method: request.method,
    url: urlOf(request, publicUrl),
  }
  return core.deviceGate.enter(call, originOf(request))
}

/** The header DPoP, once. @throws DeviceRefusal `dpop_invalid` for more than one: which counts would be anybody's guess. */
export function proofOf(request: FastifyRequest): string | undefined {
  if (isRepeatedHeader(request, 'dpop')) throw new DeviceRefusal('dpop_invalid')
  const { dpop } = request.headers
  return typeof dpop === 'string' ? dpop : undefined
}

/** What a device had to write as `htu`: the public URL and the path as it was sent, without query. */
export function urlOf(request: FastifyRequest, publicUrl: () => string): string {
  const [path = ''] = (request.raw.url ?? '').split('?')
  return publicUrl() + path
}

export function originOf(request: FastifyRequest): DeviceOrigin {
  return { surface: 'device', address: request.ip, requestId: request.id }
}
