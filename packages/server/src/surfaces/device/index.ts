import type { FastifyInstance } from 'fastify'
import type { Core } from '#domain/core.ts'
import type { DeviceSession } from '#domain/devices/device-gate.ts'
import type { Contract } from '#http/contract.ts'
import { mountContract } from '#http/mount.ts'
import { authenticate } from './auth.ts'
import type { DeviceCore } from './endpoint.ts'
import { deviceFailures, readDeviceProblems } from './errors.ts'
import { operations } from './operations.ts'

const bodyBytesMax = 131_072

/** docs/contracts/device.md, section 11: what a device in a browser needs. */
const cors = {
  methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
  allowedHeaders: ['Authorization', 'Content-Type', 'DPoP', 'If-Match', 'Last-Event-ID'],
  exposedHeaders: [
    'DPoP-Nonce',
    'ETag',
    'Location',
    'Retry-After',
    'WWW-Authenticate',
    'X-Request-Id',
  ],
} as const

export interface DeviceDependencies {
  readonly contract: Contract
  readonly core: Core
  /** Origin, without a path. */
  readonly publicUrl: () => string
  /** Origins whose pages may call. */
  readonly corsOrigins: readonly string[]
}

/** Serves the device protocol. */
export function mountDevice(app: FastifyInstance, dependencies: DeviceDependencies): void {
  const { contract, core, publicUrl, corsOrigins } = dependencies
  const problems = readDeviceProblems(contract)
  const ids = contract.operations.map(({ id }) => id)
  mountContract<DeviceCore, DeviceSession>(app, {
    contract,
    core: { ...core, publicUrl },
    operations,
    authenticate: (request, operation) => authenticate(core, request, operation, publicUrl),
    renderFailure: deviceFailures(problems, () => core.serverNonces.issue()),
    territory: ['/device'],
    cors: { ...cors, origins: corsOrigins },
    prepareBody: (body, { id }) => (id === 'createToken' ? withoutEmpty(body) : body),
    bodyLimits: Object.fromEntries(ids.map((id) => [id, bodyBytesMax])),
  })
}

/** RFC 6749, section 3.2: a parameter without a value is treated as if it were left out. */
function withoutEmpty(form: unknown): unknown {
  return Object.fromEntries(Object.entries(form as object).filter(([, value]) => value !== ''))
}
