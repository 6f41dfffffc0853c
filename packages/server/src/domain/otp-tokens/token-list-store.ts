import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Queries } from '#storage/queries.ts'
import { dynamicStatement, nothing, statement } from '#storage/statement.ts'
import type { OtpToken, TokenStatus } from './otp-token.ts'
import { asToken, tokensWithProduct } from './otp-token-store.ts'
import type { TokenType } from './product.ts'

export interface TokenFilters {
  /** Assigned to this user. */
  readonly userId?: string | undefined
  readonly serial?: string | undefined
  readonly type?: TokenType | undefined
  readonly status?: TokenStatus | undefined
  /** Assigned to anybody. */
  readonly assigned?: boolean | undefined
}

/** Tokens in order of id; `nextAfterId` is there when the list may go on. */
export interface TokenStretch {
  readonly tokens: readonly OtpToken[]
  readonly nextAfterId?: string
}

/** Rows that one statement looks at for filters without an index: what one turn of the event loop can spare. */
const windowSize = 2_000
/** Windows of one page. A page that finds too little is short, and says where to go on. */
const windowsMax = 25

const windowEnd = statement((db, p: { tenantId: string; afterId: string }) =>
  db
    .selectFrom('otp_token')
    .select('id')
    .where('tenant_id', '=', p.tenantId)
    .where('id', '>', p.afterId)
    .orderBy('id')
    .limit(1)
    .offset(windowSize - 1),
)

/** Lists tokens without ever reading a number of rows that grows with the tenant. */
export class TokenListStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async list(
    tenantId: string,
    filters: TokenFilters,
    { afterId, limit }: { afterId: string; limit: number },
  ): Promise<TokenStretch> {
    const { userId, serial, type, status, assigned } = filters
    const hasIndex = userId !== undefined || serial !== undefined
    const selects = type !== undefined || status !== undefined || assigned !== undefined
    if (hasIndex || !selects) {
      const tokens = await this.#read(tenantId, filters, { afterId, count: limit + 1 })
      return stretch(tokens, limit)
    }
    return this.#listByWindows(tenantId, filters, { afterId, limit })
  }

  async #listByWindows(
    tenantId: string,
    filters: TokenFilters,
    { afterId, limit }: { afterId: string; limit: number },
  ): Promise<TokenStretch> {
    const tokens: OtpToken[] = []
    let from = afterId
    for (let window = 0; window < windowsMax; window++) {
      const end = await this.#queries.first(windowEnd, { tenantId, afterId: from })
      const count = limit + 1 - tokens.length
      tokens.push(
        ...(await this.#read(tenantId, filters, { afterId: from, untilId: end?.id, count })),
      )
      if (end === undefined || tokens.length > limit) return stretch(tokens, limit)
      from = end.id
      await nextTurn()
    }
    return { tokens, nextAfterId: from }
  }

  async #read(
    tenantId: string,
    { userId, serial, type, status, assigned }: TokenFilters,
    { afterId, untilId, count }: { afterId: string; untilId?: string | undefined; count: number },
  ): Promise<OtpToken[]> {
    const read = dynamicStatement((db) => {
      let query = tokensWithProduct(db)
        .where('t.tenant_id', '=', tenantId)
        .where('t.id', '>', afterId)
        .orderBy('t.id')
        .limit(count)
      if (untilId !== undefined) query = query.where('t.id', '<=', untilId)
      if (type !== undefined) query = query.where('t.type', '=', type)
      if (status !== undefined) query = query.where('t.status', '=', status)
      // Not correlated, so that both engines begin with the few ids.
      if (serial !== undefined) {
        query = query.where('t.id', 'in', (eb) =>
          eb
            .selectFrom('otp_token as s')
            .select('s.id')
            .where('s.tenant_id', '=', tenantId)
            .where('s.serial', '=', serial),
        )
      }
      if (userId !== undefined) {
        query = query.where('t.id', 'in', (eb) =>
          eb
            .selectFrom('otp_assignment as a')
            .select('a.token_id')
            .where('a.tenant_id', '=', tenantId)
            .where('a.user_id', '=', userId),
        )
      }
      if (assigned !== undefined) {
        query = query.where((eb) => {
          const anyAssignment = eb.exists(
            eb
              .selectFrom('otp_assignment as a')
              .select('a.token_id')
              .whereRef('a.tenant_id', '=', 't.tenant_id')
              .whereRef('a.token_id', '=', 't.id'),
          )
          return assigned ? anyAssignment : eb.not(anyAssignment)
        })
      }
      return query
    })
    return (await this.#queries.all(read, nothing)).map(asToken)
  }
}

function stretch(tokens: readonly OtpToken[], limit: number): TokenStretch {
  const last = tokens[limit - 1]
  if (tokens.length <= limit || last === undefined) return { tokens }
  return { tokens: tokens.slice(0, limit), nextAfterId: last.id }
}
