import { DomainError } from '#domain/errors.ts'
import { expandScopes, type Scope } from './scopes.ts'

/** The name under which the platform itself keeps keys, accounts and journal. No tenant can take it. */
export const platformTenantId = '_platform'

/** The door through which a request came; a member of every journal record. */
export type SurfaceName =
  | 'native'
  | 'device'
  | 'ast'
  | 'dualshield'
  | 'otp-server'
  | 'keyless'
  | 'okm'
  | 'system'

export type ActorType =
  | 'SERVICE_ACCOUNT'
  | 'TRUSTED_ISSUER'
  | 'DEVICE'
  | 'CABINET'
  | 'ANONYMOUS'
  | 'SYSTEM'

export interface CallerIdentity {
  readonly type: ActorType
  /** Account, device or cabinet; issuer and subject with a colon between; null for the anonymous and the system. */
  readonly id: string | null
  /** Client address as text, null when there is none. */
  readonly address: string | null
  readonly surface: SurfaceName
  /** ULID of the request, null for timers and commands. */
  readonly requestId: string | null
  /** The caller's own tenant; null for accounts of the platform. */
  readonly tenantId: string | null
  readonly scopes: readonly Scope[]
  /** Version of the tenant's settings at the moment of authentication; absent where no tenant was read. */
  readonly settingsVersion?: number | undefined
  /** True: an identity provider says that it is one of the apps; absent: it is one if it is a device. */
  readonly isAstClient?: boolean
}

/** Who asks, through which door, and what that one may do. Made by a surface's `auth.ts` only. */
export class Caller {
  readonly type: ActorType
  readonly id: string | null
  readonly address: string | null
  readonly surface: SurfaceName
  readonly requestId: string | null
  readonly tenantId: string | null
  readonly granted: readonly Scope[]
  /** See {@link CallerIdentity}; lets the tenant's settings be used without reading them again. */
  readonly settingsVersion: number | undefined
  /** An app of the AST surface: a device by its own token, or whom an identity provider calls one. It only reads there. */
  readonly isAstClient: boolean
  readonly #scopes: ReadonlySet<Scope>

  constructor(identity: CallerIdentity) {
    this.type = identity.type
    this.id = identity.id
    this.address = identity.address
    this.surface = identity.surface
    this.requestId = identity.requestId
    this.tenantId = identity.tenantId
    this.granted = identity.scopes
    this.settingsVersion = identity.settingsVersion
    this.isAstClient = identity.isAstClient ?? identity.type === 'DEVICE'
    this.#scopes = expandScopes(identity.scopes)
  }

  /** The server itself: timers, retention, first start, commands. */
  static system(): Caller {
    return new Caller({
      type: 'SYSTEM',
      id: null,
      address: null,
      surface: 'system',
      requestId: null,
      tenantId: null,
      scopes: ['platform:admin'],
    })
  }

  /** Nobody in particular: callers of what is public, and whoever was refused. */
  static anonymous(origin: Pick<CallerIdentity, 'address' | 'surface' | 'requestId'>): Caller {
    const { address, surface, requestId } = origin
    const nobody = { type: 'ANONYMOUS', id: null, tenantId: null, scopes: [] } as const
    return new Caller({ ...nobody, address, surface, requestId })
  }

  get isPlatform(): boolean {
    return this.tenantId === null
  }

  has(scope: Scope): boolean {
    return this.#scopes.has(scope)
  }

  /** @throws DomainError `forbidden` without the scope. */
  require(scope: Scope): void {
    if (!this.#scopes.has(scope)) {
      throw new DomainError('forbidden', 'The credential lacks the scope.')
    }
  }

  /**
   * The right to do something in one tenant: the scope first, so that a caller without it learns nothing, then the
   * tenant, which does not exist for callers of another one.
   *
   * @throws DomainError `forbidden`; `tenant_not_found`.
   */
  requireIn(tenantId: string, scope: Scope): void {
    this.require(scope)
    if (this.tenantId !== null && this.tenantId !== tenantId) {
      throw new DomainError('tenant_not_found', 'No such tenant.')
    }
  }
}
