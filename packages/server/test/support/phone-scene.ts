import { type ServerOptions, ServerProcess } from './server-process.ts'

const adminToken = 'administrator-token-of-a-test'

/** A server as operators start it, with a tenant, for phones that know only what they are told over HTTP. */
export interface PhoneScene extends AsyncDisposable {
  readonly server: ServerProcess
  readonly url: string
  /** Calls the platform API. @throws unless it is done. */
  call(method: string, path: string, body?: object): Promise<Record<string, unknown>>
  /** The text of a QR code for a new user. */
  newCode(): Promise<string>
  /** Starts an approval; its id. */
  ask(userId: string, text: string, more?: object): Promise<string>
  statusOf(approvalId: string): Promise<string>
}

export async function createPhoneScene(options: ServerOptions = {}): Promise<PhoneScene> {
  const env = { COUNTERSIGN_ADMIN_TOKEN: adminToken, ...options.env }
  const server = await new ServerProcess({ ...options, env }).ready()
  const { url } = server
  const scene: PhoneScene = {
    server,
    url,
    async call(method, path, body) {
      const response = await fetch(`${url}/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
      return JSON.parse(text) as Record<string, unknown>
    },
    async newCode() {
      const { secret } = await scene.call('POST', '/tenants/acme/enrolment-codes', {})
      return (secret as { qrPayload: string }).qrPayload
    },
    async ask(userId, text, more = {}) {
      const asked = { user: { id: userId }, text, ...more }
      return String((await scene.call('POST', '/tenants/acme/approvals', asked)).id)
    },
    async statusOf(approvalId) {
      return String((await scene.call('GET', `/tenants/acme/approvals/${approvalId}`)).status)
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
  await scene.call('POST', '/tenants', { id: 'acme', name: 'Acme' })
  return scene
}
