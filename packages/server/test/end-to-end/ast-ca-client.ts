/** What the page shows as the answer of its signer operations. */
export interface Signer {
  readonly id: string
  readonly tenant: string
  readonly name: string
  readonly createdAt: string
  readonly updatedAt: string
  readonly generation: number
  readonly state: string
}

export interface CertificateStatus {
  readonly certRef: string
  readonly status: string
  readonly signer: string
  readonly user?: string | null
  readonly client?: string | null
  readonly requestedAt: string
  readonly issuedAt?: string | null
  readonly certProfile: string
}

/** `{message, code, subsystem}` as an exception. */
export class AstError extends Error {
  override readonly name = 'AstError'
  readonly status: number
  readonly code: string
  readonly subsystem: number

  constructor(status: number, error: { message: string; code: string; subsystem: number }) {
    super(error.message)
    this.status = status
    this.code = error.code
    this.subsystem = error.subsystem
  }
}

/**
 * A client of the Certificate Authority part of AST Services 3.0.3, as somebody writes it who has read the vendor's page and
 * nothing else. Status codes are not on the page: any 2xx is a success.
 */
export class AstCaClient {
  readonly #base: string
  readonly #token: string
  readonly #tenant: string

  constructor(base: string, { token, tenant }: { token: string; tenant: string }) {
    this.#base = base
    this.#token = token
    this.#tenant = tenant
  }

  listSigners(query: Record<string, string> = {}): Promise<Signer[]> {
    return this.#call('GET', `/v2/tenants/${this.#tenant}/signers`, { query })
  }

  createSigner(name?: string): Promise<Signer> {
    const body = name === undefined ? undefined : { name }
    return this.#call('POST', `/v2/tenants/${this.#tenant}/signers`, { body })
  }

  getSigner(spec: string): Promise<{ info: Signer; certificate?: string }> {
    return this.#call('GET', `/v2/tenants/${this.#tenant}/signers/${spec}`)
  }

  async getChain(spec: string): Promise<string[]> {
    const path = `/v2/tenants/${this.#tenant}/signers/${spec}/chain`
    return (await this.#call<{ chain: string[] }>('GET', path)).chain
  }

  renewSigner(spec: string, ignoreNotIssued = false): Promise<Signer> {
    const path = `/v2/tenants/${this.#tenant}/signers/${spec}/renew`
    return this.#call('POST', path, { body: { ignoreNotIssued } })
  }

  async revokeSigner(spec: string): Promise<void> {
    await this.#call('POST', `/v2/tenants/${this.#tenant}/signers/${spec}/revoke`)
  }

  async deleteSigner(spec: string): Promise<void> {
    await this.#call('DELETE', `/v2/tenants/${this.#tenant}/signers/${spec}`)
  }

  /** The calls of the page's deprecated part. */
  getTenantSigner(): Promise<{ info: Signer; certificate?: string }> {
    return this.#call('GET', `/v1/tenants/${this.#tenant}/signers`)
  }

  createTenantSigner(name: string): Promise<Signer> {
    return this.#call('POST', `/v1/tenants/${this.#tenant}/signers`, { body: { name } })
  }

  listCertificates(query: Record<string, string> = {}): Promise<CertificateStatus[]> {
    return this.#call('GET', `/v1/tenants/${this.#tenant}/certificates/admin`, { query })
  }

  certificateStatus(certRef: string): Promise<CertificateStatus> {
    return this.#call('GET', `/v1/tenants/${this.#tenant}/certificates/admin/${certRef}`)
  }

  async sdkConfig(body: { tlsBundle: string[]; astUrl?: string; services?: [] }): Promise<string> {
    const path = `/v1/tenants/${this.#tenant}/sdkconfig`
    return (await this.#call<{ sdkConfig: string }>('POST', path, { body })).sdkConfig
  }

  /** "This can be done by GET .../certificates/admin/{signerId}": until the request is neither queued nor running. */
  async waitUntilIssued(certRef: string): Promise<CertificateStatus> {
    for (let attempt = 0; attempt < 100; attempt++) {
      const status = await this.certificateStatus(certRef)
      if (status.status !== 'REQUESTED') return status
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error(`${certRef} was not issued.`)
  }

  async #call<T>(
    method: string,
    path: string,
    { query = {}, body }: { query?: Record<string, string>; body?: unknown } = {},
  ): Promise<T> {
    const search = Object.entries(query).map(
      ([name, value]) => `${name}=${encodeURIComponent(value)}`,
    )
    const url = this.#base + path + (search.length === 0 ? '' : `?${search.join('&')}`)
    const response = await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const answer: unknown = text === '' ? undefined : JSON.parse(text)
    if (!response.ok) {
      throw new AstError(
        response.status,
        answer as { message: string; code: string; subsystem: number },
      )
    }
    return answer as T
  }
}
