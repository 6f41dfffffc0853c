import { jwkFromSpki } from '@countersign/protocol/certificate/public-key.ts'
import { DerError } from '@countersign/protocol/der/der-reader.ts'
import { sameBytes } from '@countersign/protocol/der/der-writer.ts'
import { encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import type { EcPublicJwk } from '@countersign/protocol/message/device-jws.ts'
import {
  isSignatureValid,
  parseSignedData,
  type SignedData,
} from '@countersign/protocol/message/signed-data.ts'
import { sha256 } from '#custody/digests.ts'
import type { EcdsaVerifier } from '#custody/key-custody.ts'
import { BoundedWork } from '../bounded-work.ts'
import type { SignatureCertificates } from '../certificates/signature-certificates.ts'
import type { Clock } from '../clock.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'
import { clockSkewSeconds } from '../devices/signed-by-device.ts'
import type { Stores } from '../storage.ts'

/** Whose signature it has to be. */
export interface SignerIdentity {
  readonly tenantId: string
  readonly deviceId: string
  readonly userId: string
}

/** What a device was shown, and who it is. */
export interface ExpectedSignature extends SignerIdentity {
  readonly content: Uint8Array
  readonly retrievedAtMs: number
}

/** A CMS signature that holds, by a certificate that holds. */
export interface CheckedSignature {
  /** The content, base64. */
  readonly signedBytes: string
  /** The SignedData as it came, base64. */
  readonly signature: string
  readonly publicKey: EcPublicJwk
  /** Reference of the certificate. */
  readonly certificateId: string
  /** Of the signer that issued it. */
  readonly issuerId: string
  /** DER in base64, leaf first, root last. */
  readonly certificateChain: readonly string[]
}

/** One goes on while the thread pool is busy with another; more would only go on in the same turn of the event loop. */
const checksAtOnceMax = 2
const checksWaitingMax = 1_000

/** Judges CMS signatures of devices: form, signature, certificate, time, content; in this order. */
export class SignatureJudge {
  readonly #certificates: SignatureCertificates
  readonly #verifier: EcdsaVerifier
  readonly #clock: Clock
  readonly #checks = new BoundedWork({
    atOnceMax: checksAtOnceMax,
    waitingMax: checksWaitingMax,
    refusal: 'Too many signatures wait to be checked.',
  })

  constructor(dependencies: {
    signatureCertificates: SignatureCertificates
    verifier: EcdsaVerifier
    clock: Clock
  }) {
    this.#certificates = dependencies.signatureCertificates
    this.#verifier = dependencies.verifier
    this.#clock = dependencies.clock
  }

  /**
   * Checks a SignedData (`CmsSignedData` of the contract) against the bytes that were delivered.
   *
   * @param der as it came.
   * @throws DeviceRefusal `signature_invalid`, `certificate_not_usable`, `clock_skew`, `content_mismatch`. DomainError
   *   `too_many_requests` when too many wait to be checked.
   */
  async check(der: Uint8Array, expected: ExpectedSignature): Promise<CheckedSignature> {
    // What is read in between waits for the database, and holds up nobody.
    const data = await this.#checks.run(() => this.#readValid(der))
    const usable = await this.#certificates.check(data.leaf, expected)
    if (typeof usable === 'string') throw new DeviceRefusal('certificate_not_usable')
    requireChain(data, usable.chain)
    const nowMs = this.#clock()
    const skewMs = clockSkewSeconds * 1000
    const isTimely =
      data.signingTimeMs >= expected.retrievedAtMs - skewMs && data.signingTimeMs <= nowMs + skewMs
    if (!isTimely) throw new DeviceRefusal('clock_skew', { serverTimeMs: nowMs })
    if (!sameBytes(data.content, expected.content)) throw new DeviceRefusal('content_mismatch')
    return {
      signedBytes: encodeBase64(data.content),
      signature: encodeBase64(der),
      publicKey: jwkFromSpki(data.leaf.publicKey),
      certificateId: usable.certificateId,
      issuerId: usable.issuerId,
      certificateChain: [data.leaf.der, ...usable.chain].map(encodeBase64),
    }
  }

  /**
   * Certificate and signer as they stand inside the transaction of the decision: revoked in the same moment is revoked.
   *
   * @throws DeviceRefusal `certificate_not_usable`.
   */
  async requireUsable(
    { pki }: Stores,
    tenantId: string,
    { certificateId, issuerId }: CheckedSignature,
  ): Promise<void> {
    const certificate = await pki.certificates.find(tenantId, certificateId)
    if (certificate === undefined || certificate.status === 'REVOKED') {
      throw new DeviceRefusal('certificate_not_usable')
    }
    const signer = await pki.issuers.find(tenantId, issuerId)
    if (signer === undefined || signer.state === 'REVOKED') {
      throw new DeviceRefusal('certificate_not_usable')
    }
  }

  /**
   * The chain of the newest certificate over the device key, for evidence that a JWS carries; empty when there is none.
   */
  async chainOfDeviceKey({ tenantId, deviceId, userId }: SignerIdentity): Promise<string[]> {
    const chain = await this.#certificates.newestChain({ tenantId, deviceId, userId })
    return chain.map(encodeBase64)
  }

  /** @throws DeviceRefusal `signature_invalid`. */
  async #readValid(der: Uint8Array): Promise<SignedData> {
    const data = parse(der)
    const isValid = await isSignatureValid(data, { sha256, verify: this.#verifier.verify })
    if (!isValid) throw new DeviceRefusal('signature_invalid')
    return data
  }
}

/**
 * The SignedData is kept as it came, for verifiers that know nothing but the root: beside the leaf it holds its signer, and
 * at most the root, exactly as they were issued.
 *
 * @throws DeviceRefusal `signature_invalid`.
 */
function requireChain({ certificates, leaf }: SignedData, chain: readonly Uint8Array[]): void {
  const others = certificates.filter((certificate) => certificate !== leaf)
  const [signer = new Uint8Array()] = chain
  const isWhole =
    others.some(({ der }) => sameBytes(der, signer)) &&
    others.every(({ der }) => chain.some((issuer) => sameBytes(der, issuer)))
  if (!isWhole) {
    const detail = 'The certificates are not the leaf and its chain.'
    throw new DeviceRefusal('signature_invalid', { detail })
  }
}

function parse(der: Uint8Array): SignedData {
  try {
    return parseSignedData(der)
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new DeviceRefusal('signature_invalid', { detail: error.message })
  }
}
