/** What a call came to. */
export interface OkmReply {
  readonly status: number
  readonly contentType: string | null
  readonly text: string
  // A client of the vendor's has no types for bodies either.
  // biome-ignore lint/suspicious/noExplicitAny: whatever the operation answers
  readonly body: any
}

/**
 * A client as the vendor's page describes one: `{base}/okms`, `{base}/okms/{okm-id}?customer={customer}`, JSON in and out, an
 * accessToken. It knows nothing of this server.
 */
export class OkmClient {
  readonly #base: string
  readonly #accessToken: string
  readonly #customer: string

  /** @param base as in `https://api.invue.com/v1`. */
  constructor(base: string, accessToken: string, customer: string) {
    this.#base = base
    this.#accessToken = accessToken
    this.#customer = customer
  }

  create(okm: object | string): Promise<OkmReply> {
    return this.call('POST', '/okms', okm)
  }

  getAll(paging?: { readonly page: number; readonly resultsPerPage: number }): Promise<OkmReply> {
    const more =
      paging === undefined ? '' : `&page=${paging.page}&results_per_page=${paging.resultsPerPage}`
    return this.call('GET', `/okms?customer=${this.#customer}${more}`)
  }

  getOne(okmId: string): Promise<OkmReply> {
    return this.call('GET', this.#pathOf(okmId))
  }

  update(okmId: string, okm: object): Promise<OkmReply> {
    return this.call('PUT', this.#pathOf(okmId), okm)
  }

  delete(okmId: string): Promise<OkmReply> {
    return this.call('DELETE', this.#pathOf(okmId))
  }

  patch(okmId: string, change: object): Promise<OkmReply> {
    return this.call('PATCH', this.#pathOf(okmId), change)
  }

  async call(method: string, path: string, body?: object | string): Promise<OkmReply> {
    const response = await fetch(`${this.#base}${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${this.#accessToken}`,
        'Content-Type': 'application/json',
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return {
      status: response.status,
      contentType: response.headers.get('content-type'),
      text,
      body: text === '' ? undefined : JSON.parse(text),
    }
  }

  #pathOf(okmId: string): string {
    return `/okms/${encodeURIComponent(okmId)}?customer=${this.#customer}`
  }
}
