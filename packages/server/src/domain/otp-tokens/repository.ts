/** A container of tokens; repositories nest. */
export interface TokenRepository {
  readonly tenantId: string
  readonly id: string
  /** Unique among the children of one parent. */
  readonly name: string
  readonly description: string | null
  readonly parentId: string | null
  /** Folded name of the user domain it is bound to. */
  readonly domain: string | null
  readonly createdAtMs: number
}

/** The root repository of every tenant. */
export const defaultRepositoryName = 'Default'
