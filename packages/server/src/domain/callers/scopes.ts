/** What a service account may be allowed to do; meanings in the platform contract, `x-scopes`. */
export const scopes = [
  'platform:admin',
  'tenant:read',
  'tenant:write',
  'verify',
  'audit:read',
  'ast:read',
  'ast:write',
  'dualshield:management',
  'dualshield:authentication',
  'otp-server:admin',
  'otp-server:verify',
  'keyless:backend',
  'okms:read',
  'okms:write',
  'acls:read',
  'acls:write',
  'acl-okms:read',
  'acl-okms:write',
  'firmware:read',
  'firmware:write',
  'audit:subscribe',
] as const

export type Scope = (typeof scopes)[number]

/** What the tokens of key cabinets' customers are for, their administration included. */
export const cabinetScopes: readonly Scope[] = [
  'okms:read',
  'okms:write',
  'acls:read',
  'acls:write',
  'acl-okms:read',
  'acl-okms:write',
  'firmware:read',
  'firmware:write',
  'audit:subscribe',
  'tenant:write',
]

const implied: Partial<Record<Scope, readonly Scope[]>> = {
  'platform:admin': ['tenant:read', 'tenant:write', 'verify', 'audit:read'],
  'tenant:write': ['tenant:read'],
  'ast:write': ['ast:read'],
  'okms:write': ['okms:read'],
  'acls:write': ['acls:read'],
  'acl-okms:write': ['acl-okms:read'],
  'firmware:write': ['firmware:read'],
  'otp-server:admin': ['otp-server:verify'],
}

/** Lists that do not change are expanded once; accounts that share their scopes share the list. */
const expanded = new WeakMap<readonly Scope[], ReadonlySet<Scope>>()

/** The granted scopes and all that they imply (platform.md, section 2). */
export function expandScopes(granted: readonly Scope[]): ReadonlySet<Scope> {
  const known = expanded.get(granted)
  if (known !== undefined) return known
  const all = allImplied(granted)
  if (Object.isFrozen(granted)) expanded.set(granted, all)
  return all
}

function allImplied(granted: readonly Scope[]): ReadonlySet<Scope> {
  const all = new Set<Scope>()
  for (const scope of granted) {
    all.add(scope)
    for (const further of implied[scope] ?? []) all.add(further)
  }
  return all
}
