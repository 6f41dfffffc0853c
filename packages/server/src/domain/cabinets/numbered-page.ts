/** A page of a list whose callers count pages. */
export interface NumberedPageRequest {
  /** From 1. */
  readonly page: number
  /** 1 to 1000. */
  readonly resultsPerPage: number
}

export interface NumberedPage<T> {
  readonly items: readonly T[]
  /** Of the whole list. */
  readonly totalCount: number
}

/** Where a page begins; undefined when the list ends before, so that nothing need be read. */
export function pageStart(
  { page, resultsPerPage }: NumberedPageRequest,
  totalCount: number,
): { readonly offset: number; readonly limit: number } | undefined {
  const offset = (page - 1) * resultsPerPage
  return offset < totalCount ? { offset, limit: resultsPerPage } : undefined
}
