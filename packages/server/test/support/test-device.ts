import { createHash } from 'node:crypto'
import { decodeBase64, encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { writeSignedData } from '@countersign/protocol/message/signed-data.ts'
import type { App } from '../../src/app.ts'
import { createContractChecker } from './contract-checker.ts'
import { contractOf } from './contract-files.ts'
import { testCaller, testPublicUrl } from './core.ts'
import { createTestKey, csrOf, type TestKey } from './device-keys.ts'
import { type Decided, hashOf, newJti, signJws } from './device-signing.ts'
import type { ApiReply, Json } from './platform-api.ts'

/** The server that a device talks to, as `createPlatformApi` makes it. */
export interface DeviceServer {
  readonly app: App
  readonly clock: () => number
}

/** How a device enrols, or links a user. */
export interface EnrolOptions {
  readonly pin?: string | undefined
  /** With a biometric key; default true. */
  readonly hasBio?: boolean
  /** Members of the request that are put over the usual ones. */
  readonly body?: Readonly<Record<string, unknown>>
}

export interface LoginOptions {
  readonly pin?: string | undefined
  /** With the biometric key. */
  readonly bio?: boolean
  readonly scope?: string
  /** Default: the user of the enrolment; null names nobody. */
  readonly userId?: string | null
  /** Members of the form that are put over the usual ones. */
  readonly form?: Readonly<Record<string, string>>
  /** Claims that are put over the usual ones. */
  readonly assertion?: Readonly<Record<string, unknown>>
  readonly dpop?: Readonly<Record<string, unknown>>
  readonly login?: Readonly<Record<string, unknown>>
}

export interface CallOptions {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Claims of the proof that are put over the usual ones; null: no proof. */
  readonly dpop?: Readonly<Record<string, unknown>> | null
  /** Null: none. */
  readonly accessToken?: string | null
}

interface Sent {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly payload?: string | Uint8Array
}

export const testApp = {
  name: 'acme-bank',
  platform: 'Android',
  architecture: 'arm64',
  versionStr: '2.4.1',
  sdkVersion: '1.0.0',
} as const

export const deviceIssuer: string = `${testPublicUrl}/device/v1`

const checker = createContractChecker([contractOf('device')])

/** One request to the device protocol; the reply is held against its contract. */
export async function sendToDeviceApi(
  { app }: DeviceServer,
  { method, path, headers = {}, payload }: Sent,
): Promise<ApiReply> {
  const reply = await app.http.inject({
    method: method as 'GET',
    url: path,
    headers,
    ...(payload === undefined
      ? {}
      : { payload: typeof payload === 'string' ? payload : Buffer.from(payload) }),
  })
  const { statusCode: status, rawPayload: bytes } = reply
  checker.check({ method, path, status, headers: reply.headers, body: bytes })
  const text = bytes.toString('utf8')
  const received = Object.fromEntries(
    Object.entries(reply.headers).map(([name, value]) => [name, String(value)]),
  )
  return { status, headers: received, body: text === '' ? undefined : JSON.parse(text), bytes }
}

/** A device with keys of its own that speaks the protocol over HTTP. It keeps what it is told and checks nothing. */
export class TestDevice {
  readonly server: DeviceServer
  readonly deviceKey: TestKey
  bioKey: TestKey
  id = ''
  userId = ''
  tenantId = ''
  accessToken = ''
  /** Of the last certificate that it got, leaf first, DER. */
  chain: readonly Uint8Array[] = []

  constructor(server: DeviceServer, keys: { deviceKey?: TestKey; bioKey?: TestKey } = {}) {
    this.server = server
    this.deviceKey = keys.deviceKey ?? createTestKey()
    this.bioKey = keys.bioKey ?? createTestKey()
  }

  get nowSeconds(): number {
    return Math.floor(this.server.clock() / 1000)
  }

  /** The key statement, signed by the device key and, when `bioKey` is given, by that. */
  statement(
    claims: Readonly<Record<string, unknown>>,
    bioKey?: TestKey,
  ): { proof: string; bioProof?: string } {
    const said = {
      aud: deviceIssuer,
      iat: this.nowSeconds,
      jti: newJti(),
      deviceJkt: this.deviceKey.thumbprint,
      ...(bioKey === undefined ? {} : { bioJkt: bioKey.thumbprint }),
      ...claims,
    }
    const proof = signJws('keys', this.deviceKey, said)
    return bioKey === undefined ? { proof } : { proof, bioProof: signJws('keys', bioKey, said) }
  }

  /** What `enrol` sends. */
  enrolment(code: string, { pin, hasBio = true, body = {} }: EnrolOptions = {}): Json {
    const proofs = this.statement({ codeHash: hashOf(code) }, hasBio ? this.bioKey : undefined)
    return { code, ...proofs, ...(pin === undefined ? {} : { pin }), app: testApp, ...body }
  }

  /** Spends a code. */
  async enrol(code: string, options: EnrolOptions = {}): Promise<ApiReply> {
    const reply = await this.post('/device/v1/enrolments', this.enrolment(code, options))
    if (reply.status === 201 || reply.status === 200) {
      this.id = reply.body.deviceId
      this.userId = reply.body.userId
      this.tenantId = reply.body.tenantId
    }
    return reply
  }

  /** Links the user of a code. */
  async link(
    code: string,
    { pin, hasBio = false, body = {} }: EnrolOptions & { readonly bioKey?: TestKey } = {},
    bioKey: TestKey = this.bioKey,
  ): Promise<ApiReply> {
    const claims = { iss: this.id, codeHash: hashOf(code) }
    const proofs = this.statement(claims, hasBio ? bioKey : undefined)
    return this.call('POST /links', {
      body: { code, ...proofs, ...(pin === undefined ? {} : { pin }), ...body },
    })
  }

  /** A server nonce, as `getConfiguration` gives it. */
  async nonce(): Promise<string> {
    const path = '/device/v1/configuration'
    const { headers } = await sendToDeviceApi(this.server, { method: 'GET', path })
    return headers['dpop-nonce'] ?? ''
  }

  /** The form of a login. */
  async loginRequest(options: LoginOptions = {}): Promise<{ dpop: string; form: string }> {
    const { pin, bio = false, scope, userId = this.userId } = options
    const iat = this.nowSeconds
    const nonce = await this.nonce()
    const dpop = signJws('dpop', this.deviceKey, {
      jti: newJti(),
      htm: 'POST',
      htu: `${deviceIssuer}/token`,
      iat,
      nonce,
      ...options.dpop,
    })
    const assertion = signJws('client', this.deviceKey, {
      iss: this.id,
      sub: this.id,
      aud: deviceIssuer,
      iat,
      exp: iat + 60,
      jti: newJti(),
      app: testApp,
      ...options.assertion,
    })
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    })
    if (userId !== null) form.set('user_id', userId)
    if (scope !== undefined) form.set('scope', scope)
    if (pin !== undefined) form.set('pin', pin)
    if (bio) form.set('bio_assertion', this.loginAssertion(nonce, options.login))
    for (const [name, value] of Object.entries(options.form ?? {})) form.set(name, value)
    return { dpop, form: form.toString() }
  }

  /** What the biometric key signs to log in. */
  loginAssertion(nonce: string, claims: Readonly<Record<string, unknown>> = {}): string {
    return signJws('login', this.bioKey, {
      iss: this.id,
      sub: this.userId,
      aud: deviceIssuer,
      iat: this.nowSeconds,
      jti: newJti(),
      nonce,
      amr: ['bio'],
      ...claims,
    })
  }

  /** Logs in and keeps the token. */
  async login(options: LoginOptions = {}): Promise<ApiReply> {
    const { dpop, form } = await this.loginRequest(options)
    const reply = await this.sendToken(form, { dpop })
    if (reply.status === 200) this.accessToken = reply.body.access_token
    return reply
  }

  sendToken(form: string, headers: Readonly<Record<string, string>>): Promise<ApiReply> {
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    return sendToDeviceApi(this.server, {
      method: 'POST',
      path: '/device/v1/token',
      headers: { ...type, ...headers },
      payload: form,
    })
  }

  /** The proof of one call. @param path complete. */
  proof(method: string, path: string, claims: Readonly<Record<string, unknown>> = {}): string {
    return signJws('dpop', this.deviceKey, {
      jti: newJti(),
      htm: method,
      htu: testPublicUrl + (path.split('?')[0] ?? ''),
      iat: this.nowSeconds,
      ath: hashOf(this.accessToken),
      ...claims,
    })
  }

  /** Calls an operation with the token. @param target method and path below /device/v1. */
  async call(target: `${string} /${string}`, options: CallOptions = {}): Promise<ApiReply> {
    const { body, headers = {}, dpop = {}, accessToken = this.accessToken } = options
    const [method = '', below = ''] = target.split(' ')
    const path = `/device/v1${below}`
    return sendToDeviceApi(this.server, {
      method,
      path,
      headers: {
        ...(accessToken === null ? {} : { authorization: `DPoP ${accessToken}` }),
        ...(dpop === null ? {} : { dpop: this.proof(method, path, dpop) }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: textOf(body) }),
    })
  }

  /** Asks for a certificate and waits until it is issued. */
  async certify(
    profile: 'AST_DEVICE' | 'SIGNATURE' | 'TLS_CLIENT' = 'AST_DEVICE',
    key: TestKey = profile === 'SIGNATURE' ? this.bioKey : this.deviceKey,
  ): Promise<ApiReply> {
    const csr = encodeBase64(await csrOf(key))
    const asked = await this.call('POST /certificates', { body: { profile, csr } })
    if (asked.status !== 202) return asked
    await this.server.app.core.pki.issuance.issueDue()
    const got = await this.call(`GET /certificates/${asked.body.certRef}`)
    const { certificate, chain = [] } = got.body
    if (certificate !== undefined) this.chain = [certificate, ...chain].map(bytesOf)
    return got
  }

  /** The first retrieval freezes what is shown. */
  retrieve(approvalId: string): Promise<ApiReply> {
    return this.call(`GET /approvals/${approvalId}`)
  }

  /** SignedData over the bytes, base64. */
  async signedData(content: Uint8Array, key: TestKey = this.deviceKey): Promise<string> {
    const [leaf = new Uint8Array(), ...chain] = this.chain
    const signingTimeMs = this.server.clock()
    const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
    const draft = { content, leaf, chain, signingTimeMs }
    return encodeBase64(await writeSignedData(draft, { sha256, sign: key.sign }))
  }

  /** A decision JWS; the biometric key signs when `amr` says so. */
  decisionAssertion(decided: Decided & Readonly<Record<string, unknown>>): string {
    const key = decided.amr?.[0] === 'bio' ? this.bioKey : this.deviceKey
    return signJws('decision', key, {
      iss: this.id,
      sub: this.userId,
      aud: deviceIssuer,
      iat: this.nowSeconds,
      jti: newJti(),
      ...decided,
    })
  }

  /** Accepts what `retrieve` gave, by CMS (after `certify`). */
  async acceptSigned(approval: Json): Promise<ApiReply> {
    const signedData = await this.signedData(bytesOf(approval.content.bytes))
    return this.decide(approval.approvalId, { decision: 'accept', signedData })
  }

  /** Accepts what `retrieve` gave, by PIN or by the biometric key. */
  acceptWithFactor(
    approval: Json,
    { pin, transactionData }: { readonly pin?: string; readonly transactionData?: string } = {},
  ): Promise<ApiReply> {
    const assertion = this.decisionAssertion({
      nonce: approval.challenge,
      amr: [pin === undefined ? 'bio' : 'pin'],
      decision: 'accept',
      approvalId: approval.approvalId,
      ...(approval.reference === undefined ? {} : { reference: approval.reference }),
      payloadHash: approval.content.sha256,
      ...(transactionData === undefined ? {} : { tdHash: hashOf(transactionData) }),
    })
    const factor = pin === undefined ? { type: 'bio', assertion } : { type: 'pin', pin, assertion }
    return this.decide(approval.approvalId, {
      decision: 'accept',
      factor,
      ...(transactionData === undefined ? {} : { transactionData }),
    })
  }

  decide(approvalId: string, body: unknown): Promise<ApiReply> {
    return this.call(`POST /approvals/${approvalId}/decision`, { body })
  }

  /** Sends JSON without a token. @param path complete. */
  post(path: string, body: unknown): Promise<ApiReply> {
    const headers = { 'content-type': 'application/json' }
    return sendToDeviceApi(this.server, { method: 'POST', path, headers, payload: textOf(body) })
  }
}

/** A user in the default domain of a tenant, by id. */
export async function addTestUser(
  server: DeviceServer,
  tenantId: string,
  id: string,
): Promise<void> {
  const caller = testCaller(tenantId, ['tenant:write'])
  await server.app.core.users.create(caller, tenantId, { id, loginName: id.toLowerCase() })
}

/** A code for a user; null: for a new one. */
export async function createCode(
  { app }: DeviceServer,
  tenantId: string,
  userId: string | null,
  expiresInSeconds?: number,
): Promise<string> {
  const { secret } = await app.core.enrolmentCodes.create(
    testCaller(tenantId, ['tenant:write']),
    tenantId,
    {
      ...(userId === null ? {} : { user: { id: userId } }),
      ...(expiresInSeconds === undefined ? {} : { expiresInSeconds }),
    },
  )
  return secret.code
}

/** A device that is enrolled for a user; with PIN 1234 and a biometric key unless told otherwise. */
export async function enrolDevice(
  server: DeviceServer,
  { tenantId = 'acme', userId = null }: { tenantId?: string; userId?: string | null } = {},
  options: EnrolOptions = { pin: '1234' },
): Promise<TestDevice> {
  const device = new TestDevice(server)
  const reply = await device.enrol(await createCode(server, tenantId, userId), options)
  if (reply.status !== 201) throw new Error(JSON.stringify(reply.body))
  return device
}

function textOf(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

function bytesOf(base64: string): Uint8Array {
  const bytes = decodeBase64(base64)
  if (bytes === undefined) throw new Error('Not base64.')
  return bytes
}
