import type { FastifyRequest } from 'fastify'
import type { Contract, Method, Operation } from './contract.ts'
import type { CorsRule } from './cors.ts'
import type { RenderFailure } from './failure.ts'
import type { AnyHandler, Headers } from './handler.ts'

/** Largest body, unless an operation has its own limit. */
export const bodyBytesMax = 1_048_576

/** How one surface serves its contract. */
export interface SurfaceOptions<Core, Caller> {
  readonly contract: Contract
  /** The endpoints that are built, by operationId; the others of the contract are not routed. */
  readonly operations: Readonly<Record<string, AnyHandler<Core, Caller>>>
  readonly core: Core
  /**
   * Says who calls, and refuses who may not (scope, tenant), before anything else of the request is looked at. Public
   * operations pass through here too. `path` has the texts of the path parameters: decoded, not checked yet.
   */
  readonly authenticate: (
    request: FastifyRequest,
    operation: Operation,
    path: Readonly<Record<string, string>>,
  ) => Promise<Caller>
  readonly renderFailure: RenderFailure
  /** URL prefixes whose unknown paths this surface answers; '' is what no other surface claims. */
  readonly territory: readonly string[]
  /** Where single operations are served instead of the contract's servers, by operationId. */
  readonly basePaths?: Readonly<Record<string, readonly string[]>>
  /**
   * What becomes of query parameters that the contract does not know; default `ignore`. Operations that do not declare
   * 400 ignore them always.
   */
  readonly unknownQuery?: 'refuse' | 'ignore'
  /** Largest bodies in bytes by operationId; {@link bodyBytesMax} for the others. */
  readonly bodyLimits?: Readonly<Record<string, number>>
  /** Other methods under which operations are served, by operationId; no operation of the same path may have them. */
  readonly otherMethods?: Readonly<Record<string, readonly Method[]>>
  /** Other places where operations are served, by operationId; with the same path parameters in the same order. */
  readonly otherPlaces?: Readonly<
    Record<string, { readonly method: Method; readonly path: string }>
  >
  /** Absent: browsers call from pages of this server only. */
  readonly cors?: CorsRule
  /** Whether every path may end in a slash too. */
  readonly trailingSlash?: boolean
  /** Whether an `Accept` that excludes every successful reply is refused. */
  readonly checkAccept?: boolean
  /** How media types are written in full in `Content-Type`, where that differs from the custom. */
  readonly contentTypes?: Headers
  /** Looks after the path parameters are checked and before the body is read: are the objects of the path there? */
  readonly checkPath?: (path: CheckedPath<Core, Caller>) => Promise<void>
  /** Changes a parsed body before it is validated. */
  readonly prepareBody?: (body: unknown, operation: Operation) => unknown
  /** Runs before a wrong method is refused, for surfaces that want credentials first. */
  readonly beforeMethodNotAllowed?: (request: FastifyRequest) => Promise<void>
  /** Runs before a path of the territory that nobody serves, or a URL that cannot be read, is refused. */
  readonly beforeNotFound?: (request: FastifyRequest) => Promise<void>
}

export interface CheckedPath<Core, Caller> {
  readonly core: Core
  readonly caller: Caller
  readonly params: Readonly<Record<string, unknown>>
  readonly operation: Operation
  readonly request: FastifyRequest
}
