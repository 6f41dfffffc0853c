/**
 * A client of the section Version, as somebody writes it who has the vendor's page and nothing else: paths, members and
 * samples stand as they do there. It takes any success, reads what it is told, and asks for nothing that the page does not
 * promise. Page's host is the server's, below `/ast`.
 */
export class VendorClient {
  readonly #base: string
  readonly #token: string
  readonly #called = new Set<string>()

  constructor(host: string, tenantId: string, token: string) {
    this.#base = `${host}/ast/v1/tenants/${tenantId}`
    this.#token = token
  }

  /** Operations that were called and succeeded. */
  get called(): ReadonlySet<string> {
    return this.#called
  }

  platforms = () => this.#call('platforms', 'GET', '/platforms')
  architectures = (platformName: string) =>
    this.#call('architectures', 'GET', `/platforms/${platformName}/architectures`)

  versions = (query: Query = {}) => this.#call('versions', 'GET', '/versions', { query })
  createVersion = (body: object) => this.#call('createVersion', 'POST', '/versions', { body })
  hierarchy = (query: Query = {}) =>
    this.#call('hierarchy', 'GET', '/versions/hierarchy', { query })
  distinct = (query: Query = {}) => this.#call('distinct', 'GET', '/versions/distinct', { query })
  latest = (query: Query = {}) => this.#call('latest', 'GET', '/versions/latest', { query })
  version = (versionId: string) => this.#call('version', 'GET', `/versions/${versionId}`)
  updateVersion = (versionId: string, body: object) =>
    this.#call('updateVersion', 'PUT', `/versions/${versionId}`, { body })
  lockVersion = (versionId: string, versionLock: boolean) =>
    this.#call('lockVersion', 'PATCH', `/versions/${versionId}`, { body: { versionLock } })
  deleteVersion = (versionId: string) =>
    this.#call('deleteVersion', 'DELETE', `/versions/${versionId}`)
  deleteRegistration = (versionId: string, architectureName?: string) =>
    this.#call('deleteRegistration', 'DELETE', `/versions/${versionId}/register`, {
      query: { architectureName },
    })
  registeredArchitectures = (versionId: string) =>
    this.#call('registeredArchitectures', 'GET', `/versions/${versionId}/architectures`)

  apps = (query: Query = {}) => this.#call('apps', 'GET', '/apps', { query })
  app = (appName: string) => this.#call('app', 'GET', `/apps/${encodeURIComponent(appName)}`)
  saveApp = (appName: string, body: object) =>
    this.#call('saveApp', 'POST', `/apps/${encodeURIComponent(appName)}`, { body })
  updateApp = (appName: string, body: object) =>
    this.#call('updateApp', 'PUT', `/apps/${encodeURIComponent(appName)}`, { body })
  deleteApp = (appName: string) =>
    this.#call('deleteApp', 'DELETE', `/apps/${encodeURIComponent(appName)}`)

  policies = () => this.#call('policies', 'GET', '/policies')
  policy = (name: string) => this.#call('policy', 'GET', `/policies/${encodeURIComponent(name)}`)
  createPolicy = (name: string, body: object) =>
    this.#call('createPolicy', 'POST', `/policies/${encodeURIComponent(name)}`, { body })
  updatePolicy = (name: string, body: object) =>
    this.#call('updatePolicy', 'PUT', `/policies/${encodeURIComponent(name)}`, { body })
  deletePolicy = (name: string) =>
    this.#call('deletePolicy', 'DELETE', `/policies/${encodeURIComponent(name)}`)
  assignPolicy = (name: string, body: object) =>
    this.#call('assignPolicy', 'POST', `/policies/${encodeURIComponent(name)}/assignments`, {
      body,
    })
  unassignPolicy = (assignmentId: string) =>
    this.#call('unassignPolicy', 'DELETE', `/policy-assignments/${assignmentId}`)

  /** @returns the body of a success, parsed if there is one. @throws PageError for what is none. */
  async #call(name: string, method: string, path: string, { query = {}, body }: Sent = {}) {
    const url = new URL(this.#base + path)
    for (const [key, given] of Object.entries(query)) {
      for (const value of Array.isArray(given) ? given : [given]) {
        if (value !== undefined) url.searchParams.append(key, String(value))
      }
    }
    const reply = await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await reply.text()
    if (!reply.ok) throw new PageError(reply.status, JSON.parse(text))
    this.#called.add(name)
    return {
      body: text === '' ? undefined : JSON.parse(text),
      /** Last part of the new thing's address. */
      id: decodeURIComponent(reply.headers.get('location')?.split('/').at(-1) ?? ''),
    }
  }
}

type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

interface Sent {
  readonly query?: Query
  readonly body?: object
}

/** What the page shows of every failure. */
export class PageError extends Error {
  override readonly name = 'PageError'
  readonly status: number
  readonly body: { readonly message: string; readonly code: string; readonly subsystem: number }

  constructor(status: number, body: PageError['body']) {
    super(`${status} ${body.message}`)
    this.status = status
    this.body = body
  }
}
