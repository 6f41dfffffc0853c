import { column, type Fragment, fragment, tableAs } from '#storage/fragment.ts'
import type { Schema } from '#storage/schema.ts'
import type { VerificationPolicy } from '../verification/policy.ts'
import type { EntityName } from './directory.ts'

/** What computed fields depend on. */
export interface Moment {
  readonly nowMs: number
  readonly policy: VerificationPolicy
}

type Expression = (alias: string, moment: Moment) => Fragment

/** How an entity lies in its table. */
export interface EntityTable {
  readonly table: keyof Schema
  /** Column of the field `id`. */
  readonly idColumn: string
  readonly expressions: Readonly<Record<string, Expression>>
  /** Folded forms of fields that compare without regard to case. */
  readonly folded: Readonly<Record<string, Expression>>
  readonly relations: Readonly<Record<string, RelationColumns>>
}

/** How two tables meet: directly, or over the assignments of tokens to users. */
export interface RelationColumns {
  readonly ownColumn: string
  readonly targetColumn: string
  readonly over?: {
    readonly ownColumn: string
    readonly targetColumn: string
    /** Only owners, or only those who share. */
    readonly isOwner?: 0 | 1
  }
}

export const linkTable = 'otp_assignment'

/** Expressions for the columns of a table; a name that it does not have does not compile. */
function columnsOf<Table extends keyof Schema>(_table: Table) {
  return (name: keyof Schema[Table] & string): Expression =>
    (alias) =>
      column(alias, name)
}

const token = columnsOf('otp_token')
const assignment = columnsOf('otp_assignment')
const user = columnsOf('app_user')
const domain = columnsOf('user_domain')
const product = columnsOf('otp_product')
const repository = columnsOf('token_repository')

/** The factor's column for tokens of one type, null for the others. */
function factorOf(type: 'HOTP' | 'TOTP', name: 'next_counter' | 'drift_steps'): Expression {
  return (alias) => fragment`case when ${column(alias, 'type')} = ${type} then (
    select ${column('f', name)} from ${tableAs('otp_factor', 'f')}
    where ${column('f', 'tenant_id')} = ${column(alias, 'tenant_id')}
      and ${column('f', 'token_id')} = ${column(alias, 'id')}) end`
}

/** A timed lock that has ended is none, and its failures are forgotten. */
const assignmentLockEnded: Expression = (alias, { nowMs }) =>
  fragment`(${column(alias, 'status')} = 'LOCKED' and ${column(alias, 'locked_until')} <= ${nowMs})`

const assignmentStatus: Expression = (alias, moment) => fragment`case
  when ${assignmentLockEnded(alias, moment)} then 'ACTIVE' else ${column(alias, 'status')} end`

const assignmentFailures: Expression = (alias, moment) => fragment`case
  when ${assignmentLockEnded(alias, moment)} then 0 else ${column(alias, 'failure_count')} end`

const hasPin: Expression = (alias) =>
  fragment`case when ${column(alias, 'pin_hash')} is null then 0 else 1 end`

const ofUser = (alias: string): Fragment => fragment`from ${tableAs('user_lockout', 'l')}
  where ${column('l', 'tenant_id')} = ${column(alias, 'tenant_id')}
    and ${column('l', 'user_id')} = ${column(alias, 'id')}`

const userStatus: Expression = (alias, { nowMs }) => fragment`case
  when ${column(alias, 'status')} <> 'ACTIVE' then 'DISABLED'
  when exists (select 1 ${ofUser(alias)} and ${column('l', 'locked_at')} is not null
    and (${column('l', 'locked_until')} is null or ${column('l', 'locked_until')} > ${nowMs})) then 'LOCKED'
  else 'ACTIVE' end`

const userFailures: Expression = (alias, { nowMs }) => fragment`coalesce((
  select case when ${column('l', 'locked_at')} is not null and ${column('l', 'locked_until')} <= ${nowMs}
    then 0 else ${column('l', 'failure_count')} end ${ofUser(alias)}), 0)`

/** A product's window; where it has none, the tenant's settings rule. */
function windowOf(
  name: 'accept_window' | 'hint_window' | 'search_window',
  general: (policy: VerificationPolicy) => { totp: number; hotp: number },
): Expression {
  return (alias, { policy }) => {
    const { totp, hotp } = general(policy)
    return fragment`coalesce(${column(alias, name)}, case when ${column(alias, 'type')} = 'TOTP'
      then cast(${totp} as bigint) else cast(${hotp} as bigint) end)`
  }
}

/** The tables behind the directory: every field of `entities` and every relation. */
export const tables = {
  token: {
    table: 'otp_token',
    idColumn: 'id',
    expressions: {
      id: token('id'),
      serial: token('serial'),
      identifier: token('identifier'),
      status: token('status'),
      description: token('description'),
      confined: token('confined'),
      counter: factorOf('HOTP', 'next_counter'),
      driftSteps: factorOf('TOTP', 'drift_steps'),
      type: token('type'),
      algorithm: token('algorithm'),
      digits: token('digits'),
      periodSeconds: token('period_seconds'),
      createdAt: token('created_at'),
      updatedAt: token('updated_at'),
    },
    folded: {},
    relations: {
      product: { ownColumn: 'product_id', targetColumn: 'id' },
      repository: { ownColumn: 'repository_id', targetColumn: 'id' },
      users: overAssignments('token_id', 'user_id'),
      owners: overAssignments('token_id', 'user_id', 1),
      sharers: overAssignments('token_id', 'user_id', 0),
      tokenAssignments: { ownColumn: 'id', targetColumn: 'token_id' },
    },
  },
  tokenAssignment: {
    table: 'otp_assignment',
    idColumn: 'id',
    expressions: {
      id: assignment('id'),
      isOwner: assignment('is_owner'),
      status: assignmentStatus,
      usageLimit: assignment('usage_limit'),
      startsAt: assignment('starts_at'),
      expiresAt: assignment('expires_at'),
      priority: assignment('priority'),
      hasPin,
      failureCount: assignmentFailures,
      createdAt: assignment('created_at'),
      updatedAt: assignment('updated_at'),
    },
    folded: {},
    relations: {
      token: { ownColumn: 'token_id', targetColumn: 'id' },
      user: { ownColumn: 'user_id', targetColumn: 'id' },
    },
  },
  user: {
    table: 'app_user',
    idColumn: 'ulid',
    expressions: {
      id: user('ulid'),
      key: user('id'),
      loginName: user('login_name'),
      firstName: user('first_name'),
      lastName: user('last_name'),
      email: user('email'),
      mobile: user('mobile'),
      telephone: user('telephone'),
      canonicalName: user('canonical_name'),
      principalName: user('principal_name'),
      status: userStatus,
      description: user('description'),
      lastLoginAt: user('last_login_at'),
      failureCount: userFailures,
    },
    folded: { loginName: user('folded_login'), email: user('folded_email') },
    relations: {
      domain: { ownColumn: 'domain', targetColumn: 'folded_name' },
      tokens: overAssignments('user_id', 'token_id'),
      tokenAssignments: { ownColumn: 'id', targetColumn: 'user_id' },
    },
  },
  domain: {
    table: 'user_domain',
    idColumn: 'ulid',
    expressions: {
      id: domain('ulid'),
      name: domain('name'),
      netbiosName: domain('netbios_name'),
      dnsName: domain('dns_name'),
      description: domain('description'),
      isDefault: domain('is_default'),
    },
    folded: {
      name: domain('folded_name'),
      netbiosName: domain('folded_netbios'),
      dnsName: domain('folded_dns'),
    },
    relations: { repository: { ownColumn: 'repository_id', targetColumn: 'id' } },
  },
  product: {
    table: 'otp_product',
    idColumn: 'id',
    expressions: {
      id: product('id'),
      name: product('name'),
      model: product('model'),
      manufacturerCode: product('manufacturer_code'),
      productCode: product('product_code'),
      type: product('type'),
      algorithm: product('algorithm'),
      digits: product('digits'),
      periodSeconds: product('period_seconds'),
      downloadable: product('downloadable'),
      acceptWindow: windowOf('accept_window', ({ totp, hotp }) => ({
        totp: totp.acceptSteps,
        hotp: hotp.acceptCounters,
      })),
      hintWindow: windowOf('hint_window', ({ totp, hotp }) => ({
        totp: totp.resyncHintSteps,
        hotp: hotp.resyncHintCounters,
      })),
      searchWindow: windowOf('search_window', ({ totp, hotp }) => ({
        totp: totp.resyncSearchSteps,
        hotp: hotp.resyncSearchCounters,
      })),
    },
    folded: {},
    relations: {},
  },
  repository: {
    table: 'token_repository',
    idColumn: 'id',
    expressions: {
      id: repository('id'),
      name: repository('name'),
      description: repository('description'),
    },
    folded: {},
    relations: {
      parent: { ownColumn: 'parent_id', targetColumn: 'id' },
      domain: { ownColumn: 'domain', targetColumn: 'folded_name' },
    },
  },
} as const satisfies Record<EntityName, EntityTable>

function overAssignments(own: string, target: string, isOwner?: 0 | 1): RelationColumns {
  const over = { ownColumn: own, targetColumn: target }
  return {
    ownColumn: 'id',
    targetColumn: 'id',
    over: isOwner === undefined ? over : { ...over, isOwner },
  }
}

export function tableOf(entity: EntityName): EntityTable {
  return tables[entity]
}

/** The column of a relation; every relation of `entities` has one. */
export function columnsOfRelation(entity: EntityName, name: string): RelationColumns {
  const columns = tableOf(entity).relations[name]
  if (columns === undefined) throw new Error(`The ${entity} has no relation ${name}.`)
  return columns
}

export function expressionOf(entity: EntityName, name: string): Expression {
  const expression = tableOf(entity).expressions[name]
  if (expression === undefined) throw new Error(`The ${entity} has no field ${name}.`)
  return expression
}

/** The form in which a field is compared. */
export function comparedExpression(entity: EntityName, name: string): Expression {
  return tableOf(entity).folded[name] ?? expressionOf(entity, name)
}
