import { hash, randomBytes, sign } from 'node:crypto'
import { jwkFromSpki } from '@countersign/protocol/certificate/public-key.ts'
import { encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { type DeviceJwsKind, deviceSigningInput } from '@countersign/protocol/message/device-jws.ts'
import { writeSignedData } from '@countersign/protocol/message/signed-data.ts'
import type { InboxItem } from '#domain/approvals/approval-inbox.ts'
import type { Decision } from '#domain/approvals/decision-service.ts'
import type { Caller } from '#domain/callers/caller.ts'
import type { DeviceProfile } from '#domain/certificates/certificate.ts'
import type { Core } from '#domain/core.ts'
import type { Factor } from '#domain/devices/device.ts'
import { type DeviceSession, deviceCaller } from '#domain/devices/device-gate.ts'
import type { Storage } from '#domain/storage.ts'
import { createTestKey, csrOf, type TestKey } from './device-keys.ts'

/** What a phone talks to, without HTTP between them. */
export interface PhoneHost {
  readonly core: Core
  readonly storage: Storage
  readonly clock: () => number
}

export interface PhoneOptions {
  readonly pin?: string
  readonly appName?: string
  /** Another app, another device of the same user. */
  readonly platform?: string
}

export interface SessionOptions {
  readonly scopes?: readonly string[]
  readonly factor?: Factor | null
  /** Null: a token that was got without a factor. */
  readonly verifiedAtMs?: number | null
  readonly issuedAtMs?: number
}

const origin = { surface: 'device', address: '198.51.100.7', requestId: null } as const
const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer')
export const hash64 = (value: string | Uint8Array): string => hash('sha256', value, 'base64url')

/** A session as a login of now would open it, for whoever has not the device's keys. */
export async function openSession(
  { storage: { read }, clock }: Pick<PhoneHost, 'storage' | 'clock'>,
  { tenantId, id: deviceId, userId }: Pick<Phone, 'tenantId' | 'id' | 'userId'>,
  options: SessionOptions = {},
): Promise<DeviceSession> {
  const device = await read.devices.find(tenantId, deviceId)
  const link = await read.deviceLinks.find({ tenantId, deviceId, userId })
  if (device === undefined || link === undefined) throw new Error('The device is gone.')
  return {
    caller: deviceCaller(tenantId, deviceId, origin),
    tenantId,
    deviceId,
    userId,
    scopes: options.scopes ?? ['device'],
    factor: options.factor ?? null,
    verifiedAtMs: options.verifiedAtMs ?? null,
    issuedAtMs: options.issuedAtMs ?? clock(),
    keyThumbprint: device.keyThumbprint,
    linkEpoch: link.epoch,
    sessionEpoch: device.sessionEpoch,
  }
}

/** A device with keys of its own, enrolled for one user, that calls the services as its surface does. */
export class Phone {
  readonly host: PhoneHost
  readonly tenantId: string
  readonly id: string
  readonly userId: string
  readonly deviceKey: TestKey
  readonly bioKey: TestKey
  readonly pin: string | undefined
  readonly caller: Caller
  /** Of the last certificate that it got, leaf first, DER. */
  chain: readonly Uint8Array[] = []
  /** Its reference. */
  certificateId = ''

  private constructor(
    host: PhoneHost,
    identity: { tenantId: string; id: string; userId: string; pin: string | undefined },
    keys: { deviceKey: TestKey; bioKey: TestKey },
  ) {
    this.host = host
    this.tenantId = identity.tenantId
    this.id = identity.id
    this.userId = identity.userId
    this.pin = identity.pin
    this.deviceKey = keys.deviceKey
    this.bioKey = keys.bioKey
    this.caller = deviceCaller(this.tenantId, this.id, origin)
  }

  /** @param caller who makes the enrolment code. */
  static async enrol(
    host: PhoneHost,
    caller: Caller,
    user: { tenantId: string; userId: string },
    { pin, appName = 'acme-bank', platform = 'Android' }: PhoneOptions = {},
  ): Promise<Phone> {
    const { core, clock } = host
    const keys = { deviceKey: createTestKey(), bioKey: createTestKey() }
    const { secret } = await core.enrolmentCodes.create(caller, user.tenantId, {
      user: { id: user.userId },
    })
    const statement = {
      aud: core.deviceIssuer(),
      iat: Math.floor(clock() / 1000),
      jti: newJti(),
      codeHash: hash64(secret.code),
      deviceJkt: keys.deviceKey.thumbprint,
      bioJkt: keys.bioKey.thumbprint,
    }
    const { device, userId } = await core.deviceEnrolments.enrol(
      {
        code: secret.code,
        proof: signJws('keys', keys.deviceKey, statement),
        bioProof: signJws('keys', keys.bioKey, statement),
        pin,
        app: {
          name: appName,
          platform,
          architecture: 'arm64',
          versionStr: '2.4.1',
          sdkVersion: '1.0.0',
        },
        device: { name: 'Phone' },
      },
      origin,
      'DEVICE',
    )
    const identity = { tenantId: user.tenantId, id: device.id, userId, pin }
    return new Phone(host, identity, keys)
  }

  /** A session as a login of now would open it. */
  async session(options: SessionOptions = {}): Promise<DeviceSession> {
    return openSession(this.host, this, options)
  }

  /** Asks for a certificate and waits until it is issued. */
  async certify(profile: DeviceProfile = 'AST_DEVICE'): Promise<void> {
    const { tenantId, id: deviceId, userId } = this
    const { pki } = this.host.core
    const key = profile === 'SIGNATURE' ? this.bioKey : this.deviceKey
    const owner = {
      tenantId,
      deviceId,
      userId,
      deviceKey: this.deviceKey.thumbprint,
      bioKey: this.bioKey.thumbprint,
    }
    await pki.issuance.issueDue()
    const csr = await csrOf(key)
    const { id } = await pki.certificates.request(this.caller, owner, { profile, csr })
    await pki.issuance.issueDue()
    const { der, issuerId } = await pki.certificates.getOwn(this.caller, owner, id)
    if (der === null) throw new Error('The certificate was not issued.')
    this.certificateId = id
    this.chain = [der, ...(await pki.publicIssuers.chain(tenantId, issuerId))]
  }

  async retrieve(approvalId: string): Promise<InboxItem> {
    return this.host.core.approvalInbox.retrieve(await this.session(), approvalId)
  }

  /** Accepts with PIN or biometric key. @param claims are put over those of the assertion. */
  byFactor(
    type: Factor,
    { approval, delivery }: InboxItem,
    changes: {
      readonly pin?: string
      readonly claims?: object
      readonly transactionData?: string
      readonly key?: TestKey
    } = {},
  ): Extract<Decision, { decision: 'accept' }> {
    const { transactionData } = changes
    const key = changes.key ?? (type === 'bio' ? this.bioKey : this.deviceKey)
    const assertion = signJws('decision', key, {
      iss: this.id,
      sub: this.userId,
      aud: this.host.core.deviceIssuer(),
      iat: Math.floor(this.host.clock() / 1000),
      jti: newJti(),
      nonce: delivery?.challenge ?? '',
      amr: [type],
      decision: 'accept',
      approvalId: approval.id,
      ...(approval.reference === null ? {} : { reference: approval.reference }),
      payloadHash: hash64(delivery?.bytes ?? new Uint8Array()),
      ...(transactionData === undefined ? {} : { tdHash: hash64(transactionData) }),
      ...changes.claims,
    })
    const pin = type === 'pin' ? (changes.pin ?? this.pin) : undefined
    return { decision: 'accept', factor: { type, pin, assertion }, transactionData }
  }

  /** Accepts with a CMS signature over what was delivered, or over other bytes. */
  async bySignature(
    { delivery }: InboxItem,
    changes: {
      readonly content?: Uint8Array
      readonly key?: TestKey
      readonly chain?: readonly Uint8Array[]
      readonly signingTimeMs?: number
    } = {},
  ): Promise<Extract<Decision, { readonly signedData: string }>> {
    const key = changes.key ?? this.deviceKey
    const [leaf = new Uint8Array(), ...chain] = changes.chain ?? this.chain
    const der = await writeSignedData(
      {
        content: changes.content ?? delivery?.bytes ?? new Uint8Array(),
        leaf,
        chain,
        signingTimeMs: changes.signingTimeMs ?? this.host.clock(),
      },
      { sha256, sign: key.sign },
    )
    return { decision: 'accept', signedData: encodeBase64(der) }
  }

  /** A rejection, signed by the device. */
  bySignedRejection({ approval, delivery }: InboxItem): Decision {
    const assertion = signJws('decision', this.deviceKey, {
      iss: this.id,
      sub: this.userId,
      aud: this.host.core.deviceIssuer(),
      iat: Math.floor(this.host.clock() / 1000),
      jti: newJti(),
      nonce: delivery?.challenge ?? '',
      decision: 'reject',
      approvalId: approval.id,
      ...(approval.reference === null ? {} : { reference: approval.reference }),
      payloadHash: hash64(delivery?.bytes ?? new Uint8Array()),
    })
    return { decision: 'reject', reason: 'user', assertion }
  }

  async decide(approvalId: string, decision: Decision, options?: SessionOptions) {
    return this.host.core.decisions.decide(await this.session(options), approvalId, decision)
  }
}

/** A JWS whose key is named in the header as its kind has it. */
function signJws(kind: DeviceJwsKind, key: TestKey, claims: object): string {
  const named = kind === 'keys' ? { jwk: jwkFromSpki(key.spki) } : { kid: key.thumbprint }
  const input = deviceSigningInput(kind, named, claims)
  const signature = sign('sha256', Buffer.from(input), {
    key: key.privateKey,
    dsaEncoding: 'ieee-p1363',
  })
  return `${input}.${signature.toString('base64url')}`
}

function newJti(): string {
  return randomBytes(16).toString('base64url')
}
