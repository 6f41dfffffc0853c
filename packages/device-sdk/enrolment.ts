import { decodeBase64, encodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { Answer } from './answer.ts'
import type { AppFacts } from './app-facts.ts'
import { DeviceError } from './device-error.ts'
import { deviceKeyName } from './device-memory.ts'
import { type EnrolmentPayload, parseEnrolmentPayload } from './enrolment-payload.ts'
import { type LinkOptions, ServerLink } from './server-link.ts'
import { type SigningKey, signJws } from './signing-key.ts'
import type { DeviceState, DeviceStorage, EnrolledState } from './storage/device-storage.ts'
import { newJti, sha256, textHash } from './web-crypto.ts'

export const sdkVersion = '0.1.0'

export interface DeviceFacts {
  readonly name?: string
  readonly model?: string
  readonly osName?: string
  readonly osVersion?: string
}

export interface EnrolmentRequest extends LinkOptions {
  /** Text of the QR code; the user has agreed to its server and tenant. */
  readonly payload: string | EnrolmentPayload
  readonly storage: DeviceStorage
  readonly app: AppFacts
  /** The PIN of the user, or the one that she shall have. */
  readonly pin?: string
  /** Whether a biometric key is made. */
  readonly biometric?: boolean
  readonly device?: DeviceFacts
  readonly pushToken?: string
  readonly locales?: readonly string[]
}

const idPattern = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/
const userIdPattern = /^[^\s/\\?#%]{1,255}$/

/**
 * Enrols: sets the clock, makes keys, spends the code, checks the anchor, and keeps what came. The keys are kept before
 * the code is sent, so that the same call after a lost answer gets the first answer again.
 *
 * @throws DeviceError
 */
export async function enrolDevice(request: EnrolmentRequest): Promise<{
  link: ServerLink
  deviceKey: SigningKey
  state: DeviceState
  enrolled: EnrolledState
}> {
  const { storage } = request
  const payload =
    typeof request.payload === 'string' ? parseEnrolmentPayload(request.payload) : request.payload
  const { server, tenantId, code, anchor } = payload
  const link = new ServerLink(server, request)
  await link.configure()
  const codeHash = await textHash(code)
  const keys = await enrolmentKeys(storage, payload, codeHash, request.biometric === true)
  const { body } = await link.call({
    method: 'POST',
    path: '/device/v1/enrolments',
    body: async () => ({
      code,
      ...(await keyStatement(link, { ...keys, codeHash })),
      pin: request.pin,
      app: wireFacts(request.app, storage),
      device: request.device,
      pushToken: request.pushToken,
      locales: request.locales,
    }),
  })
  const answer = new Answer(body)
  if (answer.text('tenantId') !== tenantId) {
    throw new DeviceError('answer_invalid', 'The server enrolled for another tenant.')
  }
  const enrolled: EnrolledState = {
    deviceId: answer.text('deviceId', idPattern),
    issuer: link.issuer,
    anchors: await trustedAnchors(answer.object('trust').texts('anchors'), anchor),
    ...(anchor === undefined ? {} : { pinnedAnchor: anchor }),
    users: [
      {
        userId: answer.text('userId', userIdPattern),
        ...(keys.bioName === undefined ? {} : { bioKey: keys.bioName }),
        certificates: [],
      },
    ],
  }
  const state: DeviceState = { version: 1, server, tenantId, enrolled }
  await storage.writeState(state)
  return { link, deviceKey: keys.deviceKey, state, enrolled }
}

interface EnrolmentKeys {
  readonly deviceKey: SigningKey
  readonly bioKey?: SigningKey
  readonly bioName?: string
}

/** New keys; those of a former try only for the same code, because a key is never enrolled twice. */
async function enrolmentKeys(
  storage: DeviceStorage,
  { server, tenantId }: EnrolmentPayload,
  codeHash: string,
  isBiometric: boolean,
): Promise<EnrolmentKeys> {
  const former = await storage.readState()
  if (former?.enrolled !== undefined) {
    throw new DeviceError('already_enrolled', 'This device is enrolled; erase it first.')
  }
  const { enrolling } = former ?? {}
  if (enrolling?.codeHash === codeHash && (enrolling.bioKey !== undefined) === isBiometric) {
    const deviceKey = await storage.findKey(deviceKeyName)
    const { bioKey: bioName } = enrolling
    const bioKey = bioName === undefined ? undefined : await storage.findKey(bioName)
    if (deviceKey !== undefined && (bioName === undefined || bioKey !== undefined)) {
      return { deviceKey, ...(bioKey && { bioKey }), ...(bioName && { bioName }) }
    }
  }
  await storage.clear()
  const deviceKey = await storage.createKey(deviceKeyName)
  const bioName = isBiometric ? newKeyName('bio') : undefined
  const bioKey = bioName === undefined ? undefined : await storage.createKey(bioName)
  await storage.writeState({
    version: 1,
    server,
    tenantId,
    enrolling: { codeHash, ...(bioName && { bioKey: bioName }) },
  })
  return { deviceKey, ...(bioKey && { bioKey }), ...(bioName && { bioName }) }
}

/** The key statement, signed by each of the keys that it names. */
export async function keyStatement(
  link: ServerLink,
  parts: {
    readonly deviceKey: SigningKey
    readonly bioKey?: SigningKey | undefined
    readonly codeHash?: string
    readonly deviceId?: string
    readonly userId?: string
  },
): Promise<{ proof: string; bioProof?: string }> {
  const { deviceKey, bioKey, codeHash, deviceId, userId } = parts
  const claims = {
    iss: deviceId,
    sub: userId,
    aud: link.issuer,
    iat: link.nowSeconds,
    jti: newJti(),
    codeHash,
    deviceJkt: deviceKey.thumbprint,
    bioJkt: bioKey?.thumbprint,
  }
  const proof = await signJws('keys', deviceKey, claims)
  return bioKey === undefined
    ? { proof }
    : { proof, bioProof: await signJws('keys', bioKey, claims) }
}

/** Facts as they are sent: the app's, the SDK's and the storage's. */
export function wireFacts(app: AppFacts, { risks }: DeviceStorage): object {
  const all = [risks, app.risks].filter((risk) => risk !== undefined)
  return { ...app, sdkVersion, ...(all.length === 0 ? {} : { risks: all.join(' ') }) }
}

/**
 * The anchors to trust of those that the server names: with a pinned one, that one alone.
 *
 * @throws DeviceError `anchor_mismatch` when the pinned one is not among them.
 */
export async function trustedAnchors(
  anchors: readonly string[],
  pinned: string | undefined,
): Promise<readonly string[]> {
  const trusted: string[] = []
  for (const anchor of anchors) {
    const der = decodeBase64(anchor)
    if (der === undefined) throw new DeviceError('answer_invalid', 'An anchor is no Base64.')
    if (pinned === undefined || encodeBase64url(await sha256(der)) === pinned) trusted.push(anchor)
  }
  if (trusted.length === 0) {
    throw new DeviceError('anchor_mismatch', 'The server lacks the trust anchor of the code.')
  }
  return trusted
}

/** A name for a key that is made now. */
export function newKeyName(purpose: 'bio' | 'signature' | 'tls'): string {
  return `${purpose}-${newJti()}`
}
