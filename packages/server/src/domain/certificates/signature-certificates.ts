import type { Certificate } from '@countersign/protocol/certificate/certificate.ts'
import { findPathFault } from '@countersign/protocol/certificate/path.ts'
import { sameBytes } from '@countersign/protocol/der/der-writer.ts'
import { encodeHex } from '@countersign/protocol/encoding/hex.ts'
import type { EcdsaVerifier } from '#custody/key-custody.ts'
import { BoundedWork } from '../bounded-work.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import { KnownAuthorities } from './known-authorities.ts'
import type { RootService } from './root-service.ts'

/** A certificate with which a user on a device may sign now. */
export interface UsableCertificate {
  /** Its reference. */
  readonly certificateId: string
  /** The signer that issued it; while it is renewed, another one may be asked. */
  readonly issuerId: string
  readonly profile: 'AST_DEVICE' | 'SIGNATURE'
  /** Signer first, root last, DER. */
  readonly chain: readonly Uint8Array[]
}

/** Why a certificate may not be used. */
export type CertificateFault = 'unknown' | 'other_owner' | 'revoked' | 'replaced' | 'path'

/** So that no more of them go on in one turn of the event loop. */
const pathsAtOnceMax = 2
const pathsWaitingMax = 1_000
/** Certificates that one user has on one device at most. */
const liveMax = 100

/** Says whether the certificate in a signed message is one that this user on this device may sign with, at this moment. */
export class SignatureCertificates {
  readonly #storage: Storage
  readonly #roots: RootService
  readonly #authorities: KnownAuthorities
  readonly #clock: Clock
  readonly #paths = new BoundedWork({
    atOnceMax: pathsAtOnceMax,
    waitingMax: pathsWaitingMax,
    refusal: 'Too many certificates wait to be checked.',
  })

  constructor(dependencies: {
    storage: Storage
    roots: RootService
    verifier: EcdsaVerifier
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#roots = dependencies.roots
    this.#authorities = new KnownAuthorities(dependencies.verifier.verify)
    this.#clock = dependencies.clock
  }

  /**
   * The certificate must be, byte for byte, the present one of a reference of this user and device, of profile AST_DEVICE
   * or SIGNATURE, not revoked, valid now, and below an ACTIVE or RETIRED signer; the path is validated as strangers do.
   *
   * @throws DomainError `too_many_requests` when too many wait.
   */
  async check(
    leaf: Certificate,
    owner: { tenantId: string; deviceId: string; userId: string },
  ): Promise<UsableCertificate | CertificateFault> {
    const { tenantId } = owner
    const { certificates, issuance, issuers } = this.#storage.read.pki
    const issued = await issuance.findIssued(tenantId, encodeHex(leaf.serial))
    if (issued === undefined || !sameBytes(issued.der, leaf.der)) return 'unknown'
    const certificate = await certificates.find(tenantId, issued.certificateId)
    if (certificate?.userId !== owner.userId || certificate.deviceId !== owner.deviceId) {
      return 'other_owner'
    }
    const { id: certificateId, profile, status, serial } = certificate
    if (profile !== 'AST_DEVICE' && profile !== 'SIGNATURE') return 'other_owner'
    if (status === 'REVOKED' || issued.revokedAtMs !== null) return 'revoked'
    if (serial !== issued.serial) return 'replaced'
    const signer = await issuers.find(tenantId, issued.issuerId)
    if (signer?.certificate === undefined || signer.state === 'REVOKED') return 'revoked'
    const anchor = await this.#roots.anchor(tenantId)
    const authority = this.#authorities.certificate(signer.certificate)
    const fault = await this.#paths.run(() =>
      findPathFault({
        path: [leaf, authority, this.#authorities.certificate(anchor)],
        anchors: [anchor],
        atMs: this.#clock(),
        leaf: { keyUsage: 'digitalSignature' },
        verify: this.#authorities.verifierFor(authority),
      }),
    )
    if (fault !== undefined) return 'path'
    const { issuerId } = issued
    return { certificateId, issuerId, profile, chain: [signer.certificate, anchor] }
  }

  /**
   * The newest certificate over the device key for this user, signer and root behind it, DER; empty when there is none that
   * holds.
   */
  async newestChain(owner: {
    tenantId: string
    deviceId: string
    userId: string
  }): Promise<Uint8Array[]> {
    const { tenantId, deviceId, userId } = owner
    const { certificates, issuers } = this.#storage.read.pki
    const live = await certificates.listLiveOfDevice(tenantId, deviceId, userId, liveMax)
    const newest = live.findLast(({ profile, der }) => profile === 'AST_DEVICE' && der !== null)
    if (newest?.der == null || (newest.notAfterMs ?? 0) <= this.#clock()) return []
    const signer = await issuers.find(tenantId, newest.issuerId)
    if (signer?.certificate === undefined) return []
    return [newest.der, signer.certificate, await this.#roots.anchor(tenantId)]
  }
}
