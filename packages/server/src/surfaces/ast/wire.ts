import { encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import type { Headers } from '#http/handler.ts'

/** RFC 3339 in UTC with milliseconds. */
export function toInstant(atMs: number): string {
  return new Date(atMs).toISOString()
}

/** As {@link toInstant}, for what may never have happened. */
export function toInstantOrNull(atMs: number | null): string | null {
  return atMs === null ? null : toInstant(atMs)
}

/** A certificate: DER as Base64 in one line. */
export function toBase64Certificate(der: Uint8Array): string {
  return encodeBase64(der)
}

/** Path of something that a tenant has: no host, for whoever is behind a proxy. */
export function tenantPath(tenantId: string, ...segments: readonly string[]): string {
  return `/ast/v1/tenants/${[tenantId, ...segments].map(encodeURIComponent).join('/')}`
}

/** Of replies with secrets, or with what is a user's own: nobody keeps a copy on the way. */
export const noStore = { 'cache-control': 'no-store' } as const

/** Beside a bare array: how many entries all pages have together. */
export function totalCountHeader(totalCount: number): Headers {
  return { 'x-total-count': String(totalCount) }
}

/** `page`/`page_size` and `page`/`pageSize`, whichever the operation has. */
type PagingQuery =
  | { readonly page: number; readonly page_size: number }
  | { readonly page: number; readonly pageSize: number }

/** Which entries a page has, whatever the page is called. */
export function pageOf(query: PagingQuery): {
  readonly page: number
  readonly pageSize: number
} {
  const { page } = query
  return { page, pageSize: 'pageSize' in query ? query.pageSize : query.page_size }
}

/** Filters as `parseFilters` takes them, from operations that take one and from those that take several. */
export function filtersOf({
  filter = [],
}: {
  readonly filter?: string | readonly string[]
}): readonly string[] {
  return typeof filter === 'string' ? [filter] : filter
}
