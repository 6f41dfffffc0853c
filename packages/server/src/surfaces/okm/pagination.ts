import type { FastifyRequest } from 'fastify'
import { parsePairs } from '#http/pairs.ts'
import type { Schemas } from './contract.gen.ts'

interface PagingQuery {
  readonly page: number
  readonly results_per_page: number
}

/** What the core wants to know of a page. */
export function pageOf({ page, results_per_page }: PagingQuery): {
  readonly page: number
  readonly resultsPerPage: number
} {
  return { page, resultsPerPage: results_per_page }
}

/** Numbers where the server filled in its default, the caller's own text where the caller sent one (okm.md, section 10). */
export function toPagination(
  request: FastifyRequest,
  { page, results_per_page }: PagingQuery,
  totalCount: number,
): Schemas['Pagination'] {
  const sent = sentNames(request)
  return {
    page: sent.has('page') ? String(page) : page,
    results_per_page: sent.has('results_per_page') ? String(results_per_page) : results_per_page,
    total_results: String(totalCount),
  }
}

/** As {@link toPagination}, for the listing in which the rows per page are always a text. */
export function toAclOkmPagination(
  request: FastifyRequest,
  query: PagingQuery,
  totalCount: number,
): Schemas['AclOkmPagination'] {
  return {
    ...toPagination(request, query, totalCount),
    results_per_page: String(query.results_per_page),
  }
}

/** The one plain spelling of a number is accepted, so its text is that of the number. */
function sentNames({ raw }: FastifyRequest): ReadonlySet<string> {
  const [, query = ''] = /\?(.*)$/s.exec(raw.url ?? '') ?? []
  const pairs = parsePairs(query)
  return typeof pairs === 'string' ? new Set() : new Set(pairs.values.keys())
}
