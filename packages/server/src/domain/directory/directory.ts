/** What a field holds. `folded` is text that compares without regard to case; `time` is epoch milliseconds. */
export type FieldKind = 'id' | 'text' | 'folded' | 'integer' | 'flag' | 'time'

export interface Field {
  readonly kind: FieldKind
  /** True when an equality test leaves few rows and has an index. */
  readonly isNarrow?: boolean
}

export type EntityName = 'token' | 'tokenAssignment' | 'user' | 'domain' | 'product' | 'repository'

export interface Relation {
  readonly to: EntityName
  /** Whether one object leads to several. */
  readonly isMany: boolean
}

/** One noun as the directory shows it. Secrets, PINs and passwords are no fields. */
export interface Entity {
  readonly fields: Readonly<Record<string, Field>>
  readonly relations: Readonly<Record<string, Relation>>
}

const id: Field = { kind: 'id', isNarrow: true }
const text: Field = { kind: 'text' }
const name: Field = { kind: 'text', isNarrow: true }
const foldedName: Field = { kind: 'folded', isNarrow: true }
const integer: Field = { kind: 'integer' }
const flag: Field = { kind: 'flag' }
const time: Field = { kind: 'time' }

const one = (to: EntityName): Relation => ({ to, isMany: false })
const many = (to: EntityName): Relation => ({ to, isMany: true })

/** The nouns around a token, their fields and how one leads to another. Every one has the field `id`, a ULID. */
export const entities = {
  token: {
    fields: {
      id,
      serial: name,
      identifier: name,
      status: text,
      description: text,
      confined: flag,
      counter: integer,
      driftSteps: integer,
      type: text,
      algorithm: text,
      digits: integer,
      periodSeconds: integer,
      createdAt: time,
      updatedAt: time,
    },
    relations: {
      product: one('product'),
      repository: one('repository'),
      users: many('user'),
      owners: many('user'),
      sharers: many('user'),
      tokenAssignments: many('tokenAssignment'),
    },
  },
  tokenAssignment: {
    fields: {
      id,
      isOwner: flag,
      status: text,
      usageLimit: integer,
      startsAt: time,
      expiresAt: time,
      priority: integer,
      hasPin: flag,
      failureCount: integer,
      createdAt: time,
      updatedAt: time,
    },
    relations: { token: one('token'), user: one('user') },
  },
  user: {
    fields: {
      id,
      /** The id under which the core knows the user; callers may have chosen it. */
      key: name,
      loginName: foldedName,
      firstName: text,
      lastName: text,
      email: foldedName,
      mobile: text,
      telephone: text,
      canonicalName: text,
      principalName: name,
      /** ACTIVE, DISABLED, or LOCKED while an active user is locked. */
      status: text,
      description: text,
      lastLoginAt: time,
      failureCount: integer,
    },
    relations: {
      domain: one('domain'),
      tokens: many('token'),
      tokenAssignments: many('tokenAssignment'),
    },
  },
  domain: {
    fields: {
      id,
      name: foldedName,
      netbiosName: foldedName,
      dnsName: foldedName,
      description: text,
      isDefault: flag,
    },
    relations: { repository: one('repository') },
  },
  product: {
    fields: {
      id,
      name: text,
      model: text,
      manufacturerCode: text,
      productCode: text,
      type: text,
      algorithm: text,
      digits: integer,
      periodSeconds: integer,
      downloadable: flag,
      acceptWindow: integer,
      hintWindow: integer,
      searchWindow: integer,
    },
    relations: {},
  },
  repository: {
    fields: { id, name: text, description: text },
    relations: { parent: one('repository'), domain: one('domain') },
  },
} as const satisfies Record<EntityName, Entity>
