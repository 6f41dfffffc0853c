import type { FastifyRequest } from 'fastify'
import { Caller } from '#domain/callers/caller.ts'
import type { Scope } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import { DomainError } from '#domain/errors.ts'
import { type ClientCertificateHeader, clientCertificate } from '#http/client-certificate.ts'
import type { Operation } from '#http/contract.ts'
import { bearerOf, isRepeatedHeader } from '#http/credentials.ts'
import { isForDevices } from './errors.ts'
import { findScope } from './scopes.ts'

/** Tags whose objects belong to no customer, so that accounts of the platform reach them too. */
const platformTags: readonly string[] = ['Firmware', 'Tokens']

type Authenticate = (
  request: FastifyRequest,
  operation: Operation,
  path: Readonly<Record<string, string>>,
) => Promise<Caller>

/**
 * Says who calls: an account by its token or key, a cabinet by where it calls from.
 *
 * @param certificates how proxies pass on the TLS certificates of cabinets.
 */
export function authenticator(
  core: Core,
  certificates: ClientCertificateHeader | undefined,
): Authenticate {
  return async (request, operation, { serialNumber }) => {
    if (isForDevices(operation)) {
      const certificate = clientCertificate(request, certificates)
      core.deviceTrust.require(
        {
          address: request.ip,
          certificate: certificate === 'unreadable' ? undefined : certificate,
        },
        serialNumber,
      )
      return cabinetCaller(request, serialNumber)
    }
    if (operation.security.length === 0) return Caller.anonymous(originOf(request))
    const caller = await core.authenticator.authenticate(
      presentedIn(request, operation),
      originOf(request),
    )
    caller.require(scopeOf(operation))
    if (caller.tenantId === null && !platformTags.includes(operation.tag)) {
      throw new DomainError('forbidden', 'The account belongs to no customer.')
    }
    return caller
  }
}

/** A credential that is repeated is none: which of them somebody in front has looked at is not known. */
function presentedIn(request: FastifyRequest, operation: Operation) {
  const isForKey = operation.security.some((scheme) => 'apiKey' in scheme)
  if (!isForKey) return { bearer: bearerOf(request) }
  const key = isRepeatedHeader(request, 'api-key') ? undefined : request.headers['api-key']
  return { apiKey: typeof key === 'string' ? key : undefined }
}

/** The one scope that the contract asks for; without any no account would get in. */
function scopeOf({ id, security }: Operation): Scope {
  const [name = ''] = security.flatMap(({ accessToken, apiKey }) =>
    apiKey === undefined ? (accessToken ?? []) : ['audit:subscribe'],
  )
  const scope = findScope(name)
  if (scope === undefined) throw new Error(`${id} has no scope that is known.`)
  return scope
}

/** A cabinet has no rights: what it may do is decided by its serial. */
function cabinetCaller(request: FastifyRequest, serial: string | undefined): Caller {
  return new Caller({
    type: 'CABINET',
    id: serial ?? null,
    tenantId: null,
    scopes: [],
    ...originOf(request),
  })
}

function originOf(request: FastifyRequest) {
  return { address: request.ip, surface: 'okm', requestId: request.id } as const
}
