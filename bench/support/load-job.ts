/** A file of codes, 32 bits each as this machine has them: all of the first owner's list, then the next one's. */
export interface ListCodes {
  readonly path: string
  readonly listSize: number
}

/** What the load generator is to send. */
export interface LoadJob {
  readonly port: number
  readonly tenantId: string
  readonly apiKey: string
  readonly connections: number
  readonly seconds: number
  /** Requests per second at even distances; absent: each connection sends as soon as it has its answer. */
  readonly rate?: number
  /** `wrong`: well-formed codes that no window of the token reaches. */
  readonly codes: 'fresh' | 'wrong'
  readonly pin?: string
  /** The codes are those of printed lists of the tokens' owners instead of the tokens'. */
  readonly lists?: ListCodes
  /** Number of the first token; 0 when left out. */
  readonly firstToken?: number
  readonly tokenCount: number
  /** Of the fresh codes in the order of `scattered`: the first one to send, and how many are prepared. */
  readonly firstPosition: number
  readonly positionCount: number
}

export interface LoadResult {
  readonly sent: number
  readonly accepted: number
  /** 200 with another decision. */
  readonly refused: number
  /** Answers other than 200, by status. */
  readonly failed: Readonly<Record<string, number>>
  /** From the first request to the last answer. */
  readonly seconds: number
  /** Answers per second. */
  readonly rate: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** CPU seconds that the generator itself used. */
  readonly cpuSeconds: number
}
