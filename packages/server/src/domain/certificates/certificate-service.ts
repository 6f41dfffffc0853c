import {
  parseCertificationRequest,
  provesPossession,
} from '@countersign/protocol/certificate/certificate-request.ts'
import { jwkFromSpki } from '@countersign/protocol/certificate/public-key.ts'
import { DerError } from '@countersign/protocol/der/der-reader.ts'
import { jwkThumbprint } from '@countersign/protocol/message/es256.ts'
import type { EcdsaVerifier } from '#custody/key-custody.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import type { Certificate, DeviceProfile, RevocationReason } from './certificate.ts'
import type { Issuer } from './issuer.ts'
import { requireDevice, requirePkiAdmin, requirePkiReader } from './pki-rights.ts'
import { endCertificate, revokeCertificate } from './revoking.ts'

/** What one user may have on one device: requests, certificates, and those that ended within 90 days. */
const certificatesPerDeviceMax = 100
const keptInListMs = 90 * 86_400_000

/** Who asks, and by which keys the server knows them. */
export interface DeviceOwner {
  readonly tenantId: string
  readonly deviceId: string
  readonly userId: string
  /** Thumbprint (RFC 7638) of the device key. */
  readonly deviceKey: string
  /** Thumbprint of the user's biometric key on this device. */
  readonly bioKey: string | null
}

/** Wakes whoever issues. */
export interface IssuanceWakeup {
  wake(): void
}

/** Certificates of devices: asked for, polled, renewed, revoked. */
export class CertificateService {
  readonly #storage: Storage
  readonly #verifier: EcdsaVerifier
  readonly #issuance: IssuanceWakeup
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    verifier: EcdsaVerifier
    issuance: IssuanceWakeup
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#verifier = dependencies.verifier
    this.#issuance = dependencies.issuance
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * Puts a request into the queue; it is issued within moments.
   *
   * @param csr PKCS#10 in DER; its subject and attributes say nothing.
   * @returns REQUESTED.
   * @throws DomainError `forbidden`; DeviceRefusal `csr_invalid`, `key_not_allowed`, `signer_unavailable`,
   *   `limit_reached`.
   */
  async request(
    caller: Caller,
    owner: DeviceOwner,
    { profile, csr }: { profile: DeviceProfile; csr: Uint8Array },
  ): Promise<Certificate> {
    requireDevice(caller, owner.tenantId, owner.deviceId)
    const key = await this.#checkRequest(owner, profile, csr)
    const { tenantId, deviceId, userId } = owner
    const nowMs = this.#clock()
    const id = this.#nextId()
    const requested = await this.#storage.transaction(
      async (stores) => {
        const signer = await findSigner(stores, tenantId)
        const issuerId = signer.id
        const { publicKey } = key
        const request = { tenantId, id, profile, issuerId, userId, deviceId, publicKey, nowMs }
        const hasRoom = await stores.pki.certificates.insertWithin(
          certificatesPerDeviceMax,
          request,
        )
        if (!hasRoom) return undefined
        await claimKey(stores, owner, key.thumbprint)
        await holdSigner(stores, signer)
        await this.#reportRequest(stores, caller, owner, { id, profile, issuerId })
        return newRequest(owner, { id, profile, issuerId, nowMs })
      },
      // A key of their own is claimed and looked for elsewhere, which is more than one condition.
      { grouped: key.thumbprint === owner.deviceKey },
    )
    if (requested === undefined) throw new DeviceRefusal('limit_reached')
    this.#issuance.wake()
    return requested
  }

  /**
   * Asks for a new certificate under the same reference. The old one stays usable until the new one is issued.
   *
   * @throws DomainError `forbidden`; DeviceRefusal as `request`, `certificate_pending` while one is asked for, `not_found`
   *   for what is revoked or not theirs.
   */
  async renew(
    caller: Caller,
    owner: DeviceOwner,
    { id, csr }: { id: string; csr: Uint8Array },
  ): Promise<Certificate> {
    const present = await this.getOwn(caller, owner, id)
    if (present.status === 'REVOKED') throw new DeviceRefusal('not_found')
    if (present.status === 'REQUESTED') throw new DeviceRefusal('certificate_pending')
    const { profile } = present
    const key = await this.#checkRequest(owner, profile as DeviceProfile, csr)
    const { tenantId } = owner
    const nowMs = this.#clock()
    const renewed = await this.#storage.transaction(async (stores) => {
      const signer = await findSigner(stores, tenantId)
      await claimKey(stores, owner, key.thumbprint)
      await holdSigner(stores, signer)
      const again = { tenantId, id, issuerId: signer.id, publicKey: key.publicKey, nowMs }
      if (!(await stores.pki.certificates.requestAgain(again))) {
        throw new DeviceRefusal('certificate_pending')
      }
      await this.#reportRequest(stores, caller, owner, { id, profile, issuerId: signer.id })
      return stores.pki.certificates.find(tenantId, id)
    })
    this.#issuance.wake()
    return found(renewed)
  }

  /** @throws DomainError `forbidden`; DeviceRefusal `not_found`, also for another user's or device's. */
  async getOwn(
    caller: Caller,
    { tenantId, deviceId, userId }: Pick<DeviceOwner, 'tenantId' | 'deviceId' | 'userId'>,
    id: string,
  ): Promise<Certificate> {
    requireDevice(caller, tenantId, deviceId)
    const certificate = await this.#storage.read.pki.certificates.find(tenantId, id)
    if (certificate?.deviceId !== deviceId || certificate.userId !== userId) {
      throw new DeviceRefusal('not_found')
    }
    return certificate
  }

  /** Newest first, at most 100; what ended more than 90 days ago is left out. @throws DomainError `forbidden`. */
  async listOwn(
    caller: Caller,
    { tenantId, deviceId, userId }: Pick<DeviceOwner, 'tenantId' | 'deviceId' | 'userId'>,
  ): Promise<Certificate[]> {
    requireDevice(caller, tenantId, deviceId)
    const all = await this.#storage.read.pki.certificates.listOfDevice(
      tenantId,
      deviceId,
      certificatesPerDeviceMax,
    )
    return all.filter((certificate) => certificate.userId === userId && this.#isRecent(certificate))
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `certificate_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<Certificate> {
    requirePkiReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    return present(await this.#storage.read.pki.certificates.find(tenantId, id))
  }

  /**
   * Revokes a certificate of a device, with those that it had before its renewals. What is revoked stays as it is.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `certificate_not_found`; `state_conflict` when nothing was
   *   issued, and for signers, which are revoked as signers.
   */
  async revoke(
    caller: Caller,
    tenantId: string,
    { id, reason }: { id: string; reason: RevocationReason },
  ): Promise<Certificate> {
    requirePkiAdmin(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    return this.#storage.transaction(async (stores) => {
      const certificate = present(await stores.pki.certificates.find(tenantId, id))
      if (certificate.status === 'REVOKED') return certificate
      if (certificate.serial === null || certificate.profile === 'TENANT_SIGNER') {
        throw new DomainError(
          'state_conflict',
          'Only an issued certificate of a device is revoked.',
        )
      }
      await revokeCertificate(stores, caller, certificate, { reason, nowMs: this.#clock() })
      return present(await stores.pki.certificates.find(tenantId, id))
    })
  }

  /**
   * Ends in the running transaction whatever was issued or asked for by a device, or by one user on it: the device or the
   * link is gone. The right to do so is asked for by whoever ends it.
   */
  async revokeOfDevice(
    stores: Stores,
    caller: Caller,
    of: { tenantId: string; deviceId: string; userId?: string | undefined },
  ): Promise<void> {
    const { tenantId, deviceId, userId } = of
    const ending = {
      reason: 'CESSATION_OF_OPERATION',
      failure: 'The device is gone.',
      nowMs: this.#clock(),
    } as const
    for (;;) {
      const limit = certificatesPerDeviceMax
      const all = await stores.pki.certificates.listLiveOfDevice(tenantId, deviceId, userId, limit)
      for (const certificate of all) await endCertificate(stores, caller, certificate, ending)
      if (all.length < limit) return
    }
  }

  /** Checks form, possession and the rule of the profile. */
  async #checkRequest(
    { deviceKey, bioKey }: DeviceOwner,
    profile: DeviceProfile,
    csr: Uint8Array,
  ): Promise<{ publicKey: Uint8Array; thumbprint: string }> {
    const request = parse(csr)
    if (!(await provesPossession(request, this.#verifier.verify))) {
      throw new DeviceRefusal('csr_invalid', { detail: 'The self-signature does not hold.' })
    }
    const thumbprint = jwkThumbprint(jwkFromSpki(request.publicKey))
    const isDeviceKey = thumbprint === deviceKey
    const isAllowed =
      profile === 'AST_DEVICE'
        ? isDeviceKey
        : !isDeviceKey && (profile === 'SIGNATURE' || thumbprint !== bioKey)
    if (!isAllowed) throw new DeviceRefusal('key_not_allowed')
    return { publicKey: Uint8Array.from(request.publicKey), thumbprint }
  }

  async #reportRequest(
    { journal }: Stores,
    caller: Caller,
    { tenantId, userId, deviceId }: DeviceOwner,
    { id, profile, issuerId }: { id: string; profile: string; issuerId: string },
  ): Promise<void> {
    await journal.append(caller, tenantId, {
      action: 'certificate.requested',
      target: { type: 'certificate', id },
      userId,
      detail: { profile, issuer: issuerId, deviceId },
    })
  }

  #isRecent({ revokedAtMs, notAfterMs }: Certificate): boolean {
    const endedAtMs = revokedAtMs ?? notAfterMs
    return endedAtMs === null || endedAtMs > this.#clock() - keptInListMs
  }
}

function parse(csr: Uint8Array) {
  try {
    return parseCertificationRequest(csr)
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new DeviceRefusal('csr_invalid', { detail: error.message })
  }
}

/** @throws DeviceRefusal `signer_unavailable`. */
async function findSigner({ pki: { issuers } }: Stores, tenantId: string): Promise<Issuer> {
  const active = await issuers.findActive(tenantId)
  if (active === undefined) throw new DeviceRefusal('signer_unavailable')
  return active
}

/** A device has one key for all its users; a key of its own is made theirs. @throws DeviceRefusal `key_not_allowed`. */
async function claimKey(
  { pki: { certificates } }: Stores,
  { tenantId, deviceId, userId, deviceKey, bioKey }: DeviceOwner,
  thumbprint: string,
): Promise<void> {
  if (thumbprint === deviceKey) return
  const isTheirs = await certificates.claimKey({ tenantId, thumbprint, deviceId, userId })
  const isEnrolled = thumbprint !== bioKey && (await certificates.isEnrolled(thumbprint))
  if (!isTheirs || isEnrolled) throw new DeviceRefusal('key_not_allowed')
}

/** From the first request on a signer cannot be deleted. @throws DeviceRefusal `signer_unavailable` when it was. */
async function holdSigner(
  { pki: { issuers } }: Stores,
  { tenantId, id, isUsed }: Issuer,
): Promise<void> {
  if (isUsed) return
  await issuers.markUsed(tenantId, id)
  const present = await issuers.find(tenantId, id)
  if (present === undefined || !present.isUsed || present.state === 'REVOKED') {
    throw new DeviceRefusal('signer_unavailable')
  }
}

function present(certificate: Certificate | undefined): Certificate {
  if (certificate === undefined) {
    throw new DomainError('certificate_not_found', 'No such certificate.')
  }
  return certificate
}

/** A request as it was just stored. */
function newRequest(
  { tenantId, userId, deviceId }: DeviceOwner,
  request: { id: string; profile: DeviceProfile; issuerId: string; nowMs: number },
): Certificate {
  const { id, profile, issuerId, nowMs } = request
  return {
    tenantId,
    id,
    profile,
    status: 'REQUESTED',
    issuerId,
    userId,
    deviceId,
    requestedAtMs: nowMs,
    issuedAtMs: null,
    serial: null,
    der: null,
    notBeforeMs: null,
    notAfterMs: null,
    revokedAtMs: null,
    revocationReason: null,
    failure: null,
  }
}

function found(certificate: Certificate | undefined): Certificate {
  if (certificate === undefined) throw new Error('A certificate vanished.')
  return certificate
}
