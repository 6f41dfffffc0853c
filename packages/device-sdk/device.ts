import { encodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { encodeUtf8 } from '@countersign/protocol/encoding/utf8.ts'
import { Answer } from './answer.ts'
import type { AppFacts } from './app-facts.ts'
import { DeviceApprovals } from './approvals.ts'
import { DeviceCertificates } from './certificates.ts'
import { factorProof } from './decision-assertion.ts'
import { DeviceError } from './device-error.ts'
import { DeviceMemory, deviceKeyName } from './device-memory.ts'
import {
  type DeviceFacts,
  type EnrolmentRequest,
  enrolDevice,
  keyStatement,
  newKeyName,
  trustedAnchors,
} from './enrolment.ts'
import { type EnrolmentPayload, parseEnrolmentPayload } from './enrolment-payload.ts'
import { DeviceEvents } from './events.ts'
import { DeviceLogin, type Factor, type LoginOptions, type Session } from './login.ts'
import { DeviceNonces } from './nonces.ts'
import { DeviceProperties } from './properties.ts'
import { type LinkOptions, ServerLink } from './server-link.ts'
import { signJws } from './signing-key.ts'
import type { DeviceStorage } from './storage/device-storage.ts'
import { newJti, sha256, textHash } from './web-crypto.ts'

export interface OpenOptions extends LinkOptions {
  readonly storage: DeviceStorage
  readonly app: AppFacts
}

export interface DeviceUpdate extends DeviceFacts {
  readonly pushToken?: string
  readonly locales?: readonly string[]
}

export interface AuthenticationResult {
  readonly factor: 'pin' | 'bio'
  readonly authenticatedAtMs: number
  /** RS256, when transaction data was given: for the customer's backend. */
  readonly signedJwt: string | undefined
}

/** One user on one device: the device side of docs/contracts/device.md. */
export class Device {
  readonly userId: string
  readonly certificates: DeviceCertificates
  readonly approvals: DeviceApprovals
  readonly events: DeviceEvents
  readonly properties: DeviceProperties
  readonly nonces: DeviceNonces
  readonly #memory: DeviceMemory
  readonly #login: DeviceLogin

  private constructor(memory: DeviceMemory, userId: string) {
    this.#memory = memory
    this.userId = userId
    this.#login = new DeviceLogin(memory, userId)
    this.certificates = new DeviceCertificates(memory, this.#login, userId)
    this.approvals = new DeviceApprovals(memory, this.#login, this.certificates, userId)
    this.properties = new DeviceProperties(memory, this.#login, userId)
    this.nonces = new DeviceNonces(this.#login)
    this.events = new DeviceEvents(memory, this.#login, this.approvals, userId)
  }

  /** Enrols with the text of a QR code. Show its server and tenant before: see `parseEnrolmentPayload`. */
  static async enrol(request: EnrolmentRequest): Promise<Device> {
    const { storage, app } = request
    const parts = await enrolDevice(request)
    const [user] = parts.enrolled.users
    if (user === undefined) throw new TypeError('An enrolment links a user.')
    return new Device(new DeviceMemory({ storage, app, ...parts }), user.userId)
  }

  /** The device of a storage, for its first user; undefined when it is not enrolled. */
  static async open(options: OpenOptions): Promise<Device | undefined> {
    const { storage, app } = options
    const state = await storage.readState()
    const { enrolled } = state ?? {}
    const [user] = enrolled?.users ?? []
    if (state === undefined || enrolled === undefined || user === undefined) return undefined
    const deviceKey = await storage.findKey(deviceKeyName)
    if (deviceKey === undefined) {
      throw new DeviceError('storage_damaged', 'The key of the device is gone.')
    }
    const link = new ServerLink(state.server, options)
    const memory = new DeviceMemory({ storage, link, app, deviceKey, state, enrolled })
    return new Device(memory, user.userId)
  }

  get deviceId(): string {
    return this.#memory.deviceId
  }

  get tenantId(): string {
    return this.#memory.tenantId
  }

  get server(): string {
    return this.#memory.link.origin
  }

  get userIds(): readonly string[] {
    return this.#memory.enrolled.users.map(({ userId }) => userId)
  }

  get hasBioKey(): boolean {
    return this.#memory.user(this.userId).bioKey !== undefined
  }

  /** The same device for another of its users. */
  as(userId: string): Device {
    this.#memory.user(userId)
    return new Device(this.#memory, userId)
  }

  /** Logs in; with a factor the user is verified. Calls log in without a factor by themselves. */
  async login(options: LoginOptions = {}): Promise<Session> {
    return this.#login.login(options)
  }

  /** What the server knows of this device, as the contract's `Device`. */
  async describe(): Promise<unknown> {
    return (await this.#login.call({ method: 'GET', path: '/device/v1/device' })).body
  }

  async update(changes: DeviceUpdate): Promise<void> {
    await this.#login.call({
      method: 'PATCH',
      path: '/device/v1/device',
      body: async () => changes,
    })
  }

  /** Links a further user. Her code must be of the same server and tenant. */
  async linkUser(
    payload: string | EnrolmentPayload,
    options: { readonly pin?: string; readonly biometric?: boolean } = {},
  ): Promise<Device> {
    const { server, tenantId, code } =
      typeof payload === 'string' ? parseEnrolmentPayload(payload) : payload
    if (server !== this.server || tenantId !== this.tenantId) {
      throw new DeviceError('payload_invalid', 'The code is for another server or tenant.')
    }
    const { storage, link, deviceKey, deviceId } = this.#memory
    const bioName = options.biometric === true ? newKeyName('bio') : undefined
    const bioKey = bioName === undefined ? undefined : await storage.createKey(bioName)
    const codeHash = await textHash(code)
    const { body } = await this.#login.call({
      method: 'POST',
      path: '/device/v1/links',
      body: async () => ({
        code,
        ...(await keyStatement(link, { deviceKey, bioKey, codeHash, deviceId })),
        pin: options.pin,
      }),
    })
    const userId = new Answer(body).text('userId')
    const former = this.#memory.enrolled.users.find((user) => user.userId === userId)?.bioKey
    await this.#memory.change((enrolled) => {
      const known = enrolled.users.find((user) => user.userId === userId)
      const user = { certificates: [], ...known, userId, ...(bioName && { bioKey: bioName }) }
      return { ...enrolled, users: [...enrolled.users.filter((other) => other !== known), user] }
    })
    // A renewed link has the new key.
    if (former !== undefined && bioName !== undefined) await storage.deleteKey(former)
    return this.as(userId)
  }

  /** Sets or changes the PIN, which counts on all devices of the user. Needs a login with a factor just before. */
  async setPin(pin: string): Promise<void> {
    const body = async () => ({ pin: pin.normalize('NFC') })
    await this.#login.call({ method: 'PUT', path: '/device/v1/factors/pin', body })
  }

  /** Makes a new biometric key in place of the former one. Needs a login with a factor just before. */
  async setBioKey(): Promise<void> {
    const { storage, link, deviceKey, deviceId } = this.#memory
    const { userId } = this
    const bioName = newKeyName('bio')
    const bioKey = await storage.createKey(bioName)
    await this.#login.call({
      method: 'PUT',
      path: '/device/v1/factors/bio',
      body: async () => keyStatement(link, { deviceKey, bioKey, deviceId, userId }),
    })
    await this.#keepBioKey(bioName)
  }

  async deleteBioKey(): Promise<void> {
    await this.#login.call({ method: 'DELETE', path: '/device/v1/factors/bio' })
    await this.#keepBioKey(undefined)
  }

  /** Reads the anchors anew. @throws DeviceError `anchor_mismatch` when the one of the code is gone. */
  async refreshTrust(): Promise<void> {
    const { body } = await this.#login.call({ method: 'GET', path: '/device/v1/trust-anchors' })
    const { pinnedAnchor } = this.#memory.enrolled
    const anchors = await trustedAnchors(new Answer(body).texts('anchors'), pinnedAnchor)
    await this.#memory.change((enrolled) => ({ ...enrolled, anchors }))
  }

  /** Authenticates without an approval that waits: a login to the bank, an operation begun on the device. */
  async authenticateUser(request: {
    readonly factor: Factor
    readonly operation?: { readonly reference: string; readonly payload?: string }
    readonly transactionData?: string
  }): Promise<AuthenticationResult> {
    const { factor, operation, transactionData } = request
    const { body } = await this.#login.call({
      method: 'POST',
      path: '/device/v1/authentications',
      body: async () => ({
        factor: await factorProof(this.#memory, this.userId, factor, {
          nonce: await this.#memory.link.takeNonce(),
          reference: operation?.reference,
          payloadHash: operation && (await textHash(operation.payload ?? '')),
          transactionData,
        }),
        operation,
        transactionData,
      }),
    })
    const answer = new Answer(body)
    return {
      factor: answer.oneOf('factor', ['pin', 'bio']),
      authenticatedAtMs: answer.time('authenticatedAt'),
      signedJwt: answer.optionalText('signedJwt'),
    }
  }

  /** The header `Countersign-Request` for a request to the customer's own backend. */
  async requestProof(request: {
    readonly method: string
    readonly url: string
    readonly body?: string | Uint8Array
  }): Promise<string> {
    const { origin, pathname, search } = new URL(request.url)
    const { body = '' } = request
    const bytes = typeof body === 'string' ? encodeUtf8(body) : body
    return signJws('request', this.#memory.deviceKey, {
      iss: this.deviceId,
      sub: this.userId,
      aud: origin,
      iat: this.#memory.link.nowSeconds,
      jti: newJti(),
      htm: request.method,
      htu: pathname + search,
      bodyHash: encodeBase64url(await sha256(bytes)),
    })
  }

  /** Takes the user from this device, there and here. */
  async unlink(): Promise<void> {
    const path = `/device/v1/links/${encodeURIComponent(this.userId)}`
    await this.#login.call({ method: 'DELETE', path })
    await this.#memory.forgetUser(this.userId)
  }

  /** Deletes the device at the server, then everything here. */
  async delete(): Promise<void> {
    await this.#login.call({ method: 'DELETE', path: '/device/v1/device' })
    await this.erase()
  }

  /** Erases everything here: what the advice `erase` asks for. */
  async erase(): Promise<void> {
    await this.#memory.storage.clear()
  }

  async #keepBioKey(name: string | undefined): Promise<void> {
    const { bioKey: former } = this.#memory.user(this.userId)
    await this.#memory.changeUser(this.userId, ({ bioKey: _former, ...user }) =>
      name === undefined ? user : { ...user, bioKey: name },
    )
    if (former !== undefined) await this.#memory.storage.deleteKey(former)
  }
}
