import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { AskOrder, IndexFormat } from '../otp-lists/otp-list-method.ts'
import type { CandidateList, ListCandidate } from './list-candidate.ts'

/** Joined in the order in which it runs, as in `candidate-store.ts`: a user has two lists of a method at most. */
const heldBy = statement((db, p: { tenantId: string; userId: string; nowMs: number }) =>
  db
    .selectFrom('otp_list as o')
    .crossJoin('otp_list_code as c')
    .crossJoin('app_user as u')
    // Every list has its method; written like this, no planner begins with the few methods of a tenant.
    .leftJoin('otp_list_method as m', (join) =>
      join.onRef('m.tenant_id', '=', 'o.tenant_id').onRef('m.name', '=', 'o.method'),
    )
    .leftJoin('user_lockout as l', (join) =>
      join.onRef('l.tenant_id', '=', 'o.tenant_id').onRef('l.user_id', '=', 'o.user_id'),
    )
    .leftJoin('otp_list_lockout as f', (join) =>
      join
        .onRef('f.tenant_id', '=', 'o.tenant_id')
        .onRef('f.user_id', '=', 'o.user_id')
        .onRef('f.method_id', '=', 'm.id'),
    )
    .whereRef('c.tenant_id', '=', 'o.tenant_id')
    .whereRef('c.list_id', '=', 'o.id')
    .whereRef('u.tenant_id', '=', 'o.tenant_id')
    .whereRef('u.id', '=', 'o.user_id')
    .where('o.tenant_id', '=', p.tenantId)
    .where('o.user_id', '=', p.userId)
    .where((eb) => eb.or([eb('o.expires_at', 'is', null), eb('o.expires_at', '>', p.nowMs)]))
    .select([
      'o.tenant_id',
      'o.id',
      'o.status',
      'o.size',
      'o.otp_length',
      'o.otp_alphabet',
      'o.ask_order',
      'o.index_format',
      'o.index_block_size',
      'o.remaining',
      'c.code_tags',
      'c.positions',
      'm.id as method_id',
      'o.method',
      'm.sealed_key',
      'm.otp_window_size',
      'm.renew_threshold',
      'm.max_failures',
      'm.lock_seconds',
      'u.id as user_id',
      'u.status as user_status',
      'l.failure_count as user_failure_count',
      'l.locked_at as user_locked_at',
      'l.locked_until as user_locked_until',
      'f.failure_count',
      'f.locked_until',
    ]),
)

type Found = typeof heldBy extends { types?: (parameters: never) => infer R } ? R : never
type Row = {
  [Column in keyof Found]: Column extends MethodColumn ? NonNullable<Found[Column]> : Found[Column]
}
type MethodColumn =
  | 'method_id'
  | 'sealed_key'
  | 'otp_window_size'
  | 'renew_threshold'
  | 'max_failures'
  | 'lock_seconds'

/** Reads what decides about the codes of printed lists. */
export class ListCandidateStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** What a user has of each method, the oldest method first; expired lists are not there. */
  async listHeldBy(tenantId: string, userId: string, nowMs: number): Promise<ListCandidate[]> {
    const rows = await this.#queries.all(heldBy, { tenantId, userId, nowMs })
    const byMethod = new Map<string, Row[]>()
    for (const row of rows.filter(hasMethod)) {
      const known = byMethod.get(row.method_id)
      if (known === undefined) byMethod.set(row.method_id, [row])
      else known.push(row)
    }
    return [...byMethod.values()]
      .map(toCandidate)
      .toSorted((one, other) => (one.methodId < other.methodId ? -1 : 1))
  }
}

function hasMethod(row: Found): row is Row {
  return row.method_id !== null
}

function toCandidate(rows: readonly Row[]): ListCandidate {
  const [row] = rows
  if (row === undefined) throw new Error('A candidate without a list.')
  const withStatus = (status: CandidateList['status']): CandidateList | undefined => {
    const found = rows.find((one) => one.status === status)
    return found && toList(found, status)
  }
  return {
    kind: 'list',
    tenantId: row.tenant_id,
    methodId: row.method_id,
    method: row.method,
    sealedKey: row.sealed_key,
    windowSize: row.otp_window_size,
    renewThreshold: row.renew_threshold,
    maxFailures: row.max_failures,
    lockSeconds: row.lock_seconds,
    failureCount: row.failure_count ?? 0,
    lockedUntilMs: row.locked_until,
    userId: row.user_id,
    userStatus: row.user_status,
    userFailureCount: row.user_failure_count ?? 0,
    userLock: { locked: row.user_locked_at !== null, untilMs: row.user_locked_until },
    active: withStatus('ACTIVE'),
    waiting: withStatus('ASSOCIATED'),
  }
}

function toList(row: Row, status: CandidateList['status']): CandidateList {
  return {
    id: row.id,
    status,
    size: row.size,
    otpLength: row.otp_length,
    otpAlphabet: row.otp_alphabet,
    order: row.ask_order as AskOrder,
    indexFormat: row.index_format as IndexFormat,
    indexBlockSize: row.index_block_size,
    remaining: row.remaining,
    codeTags: row.code_tags,
    positions: row.positions,
  }
}
