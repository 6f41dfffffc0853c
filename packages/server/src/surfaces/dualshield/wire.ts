import type { EntityName } from '#domain/directory/directory.ts'
import type { Scalar } from '#domain/directory/directory-query.ts'
import { hexToUlid, ulidToHex } from '#domain/ulid.ts'

/** Translates the values of one kind of attribute. */
export interface Format {
  readonly show: (value: Scalar) => Scalar
  /** Undefined for a value of the wrong type; null inside an array for one that nothing can have. */
  readonly read: (value: Scalar) => { readonly value: Scalar } | 'nothing' | undefined
}

const asIs = (value: Scalar): Scalar => value

const text: Format = {
  show: asIs,
  read: (value) => (typeof value === 'string' ? { value } : undefined),
}

const number: Format = {
  show: asIs,
  read: (value) =>
    typeof value === 'number' && Number.isSafeInteger(value) ? { value } : undefined,
}

const flag: Format = {
  show: asIs,
  read: (value) => (typeof value === 'boolean' ? { value } : undefined),
}

/** Ids are the core's 128 bits as 32 hex digits. Other texts and numbers are ids that nobody has. */
const id: Format = {
  show: (value) => (typeof value === 'string' ? ulidToHex(value) : value),
  read(value) {
    if (typeof value !== 'string' && typeof value !== 'number') return undefined
    const ulid = readId(value)
    return ulid === undefined ? 'nothing' : { value: ulid }
  },
}

const time: Format = {
  show: (value) => (typeof value === 'number' ? showTime(value) : value),
  read(value) {
    const timeMs = typeof value === 'string' ? readTime(value) : undefined
    return timeMs === undefined ? undefined : { value: timeMs }
  },
}

const crypto: Format = {
  show: (value) => (typeof value === 'string' ? showCrypto(value) : value),
  read(value) {
    if (typeof value !== 'string') return undefined
    const [, hash] = /^Hmac(SHA(?:1|256|512))$/.exec(value) ?? []
    return hash === undefined ? 'nothing' : { value: hash }
  },
}

/** The ULID of an id as this surface writes it; undefined for a text that is nobody's id. */
export function readId(wireId: string | number): string | undefined {
  return hexToUlid(String(wireId))
}

const timestampPattern = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/

/** RFC 3339 → epoch milliseconds; undefined for any other text. */
export function readTime(timestamp: string): number | undefined {
  if (!timestampPattern.test(timestamp)) return undefined
  const timeMs = Date.parse(timestamp)
  return Number.isNaN(timeMs) ? undefined : timeMs
}

export function showTime(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

/** `SHA1` → `HmacSHA1`. */
export function showCrypto(algorithm: string): string {
  return `Hmac${algorithm}`
}

/** An attribute as this surface calls it. */
export interface Attribute {
  /** Its field in the directory; absent where the value is the same for every object. */
  readonly field?: string
  readonly constant?: Scalar | readonly Scalar[]
  readonly format: Format
  /** An alias stands for another name; one for input only is never returned. */
  readonly alias?: 'echoed' | 'input'
}

export interface WireRelation {
  readonly to: WireEntityName
  /** The relation in the directory; absent for what every object leads to alike. */
  readonly relation?: string
  readonly isMany: boolean
}

export type WireEntityName = EntityName | 'identitySource'

export interface WireEntity {
  readonly attributes: Readonly<Record<string, Attribute>>
  readonly relations: Readonly<Record<string, WireRelation>>
}

const own = (field: string, format: Format): Attribute => ({ field, format })
const to = (entity: EntityName, relation: string): WireRelation => ({
  to: entity,
  relation,
  isMany: false,
})
const toMany = (entity: EntityName, relation: string): WireRelation => ({
  to: entity,
  relation,
  isMany: true,
})

/** The one identity source: users are kept by the server itself. */
export const identitySource = {
  id: '00000000000000000000000000000001',
  name: 'Internal',
  type: 'sql',
} as const

/** Contract, schemas Token to Repository: what may be asked for and searched by. Secrets are not among it. */
export const wireEntities: Readonly<Record<WireEntityName, WireEntity>> = {
  token: {
    attributes: {
      id: own('id', id),
      serial: own('serial', text),
      identifier: own('identifier', text),
      Identifier: { ...own('identifier', text), alias: 'echoed' },
      status: own('status', text),
      Status: { ...own('status', text), alias: 'echoed' },
      description: own('description', text),
      confined: own('confined', flag),
      counter: own('counter', number),
      drift: own('driftSteps', number),
      algorithm: own('type', text),
      crypto: own('algorithm', crypto),
      digits: own('digits', number),
      timeWindow: own('periodSeconds', number),
      dateCreated: own('createdAt', time),
      lastUpdated: own('updatedAt', time),
    },
    relations: {
      product: to('product', 'product'),
      repository: to('repository', 'repository'),
      users: toMany('user', 'users'),
      assignedUsers: toMany('user', 'owners'),
      sharedUsers: toMany('user', 'sharers'),
      tokenAssignments: toMany('tokenAssignment', 'tokenAssignments'),
    },
  },
  tokenAssignment: {
    attributes: {
      id: own('id', id),
      isOwner: own('isOwner', flag),
      status: own('status', text),
      usageLimit: own('usageLimit', number),
      starts: own('startsAt', time),
      expires: own('expiresAt', time),
      priority: own('priority', number),
      hasPin: own('hasPin', flag),
      failCount: own('failureCount', number),
      dateCreated: own('createdAt', time),
      lastUpdated: own('updatedAt', time),
    },
    relations: { token: to('token', 'token'), user: to('user', 'user') },
  },
  user: {
    attributes: {
      id: own('id', id),
      loginName: own('loginName', text),
      loginNam: { ...own('loginName', text), alias: 'input' },
      firstName: own('firstName', text),
      lastName: own('lastName', text),
      email: own('email', text),
      mobile: own('mobile', text),
      telephone: own('telephone', text),
      canonicalName: own('canonicalName', text),
      userPrincipalName: own('principalName', text),
      status: own('status', text),
      description: own('description', text),
      lastLogin: own('lastLoginAt', time),
      failCount: own('failureCount', number),
    },
    relations: {
      domain: to('domain', 'domain'),
      tokens: toMany('token', 'tokens'),
      tokenAssignments: toMany('tokenAssignment', 'tokenAssignments'),
    },
  },
  domain: {
    attributes: {
      id: own('id', id),
      name: own('name', text),
      netbiosName: own('netbiosName', text),
      dnsName: own('dnsName', text),
      description: own('description', text),
      isDefault: own('isDefault', flag),
    },
    relations: {
      identitySource: { to: 'identitySource', isMany: false },
      repository: to('repository', 'repository'),
    },
  },
  identitySource: {
    attributes: {
      id: { constant: identitySource.id, format: text },
      name: { constant: identitySource.name, format: text },
      type: { constant: identitySource.type, format: text },
    },
    relations: {},
  },
  product: {
    attributes: {
      id: own('id', id),
      name: own('name', text),
      model: own('model', text),
      manufacturerCode: own('manufacturerCode', text),
      productCode: own('productCode', text),
      functions: { constant: ['OTP'], format: text },
      algorithm: own('type', text),
      crypto: own('algorithm', crypto),
      digits: own('digits', number),
      timeWindow: own('periodSeconds', number),
      downloadable: own('downloadable', flag),
      autoSync: own('acceptWindow', number),
      checkSync: own('hintWindow', number),
      manualSync: own('searchWindow', number),
    },
    relations: {},
  },
  repository: {
    attributes: {
      id: own('id', id),
      name: own('name', text),
      description: own('description', text),
    },
    relations: { parent: to('repository', 'parent'), domain: to('domain', 'domain') },
  },
}

export function attributeOf(entity: WireEntityName, name: string): Attribute | undefined {
  const { attributes } = wireEntities[entity]
  return Object.hasOwn(attributes, name) ? attributes[name] : undefined
}

export function wireRelationOf(entity: WireEntityName, name: string): WireRelation | undefined {
  const { relations } = wireEntities[entity]
  return Object.hasOwn(relations, name) ? relations[name] : undefined
}
