import {
  type Certificate,
  parseCertificate,
} from '@countersign/protocol/certificate/certificate.ts'
import type { VerifyCallback } from '@countersign/protocol/certificate/crypto-callbacks.ts'

const keptMax = 1_000

/**
 * Certificates of authorities, read once, and whose signature they carry, checked once: both follow from the bytes alone,
 * whatever becomes of the authority. Whether it may still be used is not kept.
 */
export class KnownAuthorities {
  readonly #verify: VerifyCallback
  readonly #certificates = new Map<string, Certificate>()
  readonly #signatures = new Set<string>()

  constructor(verify: VerifyCallback) {
    this.#verify = verify
  }

  /** @throws DerError */
  certificate(der: Uint8Array): Certificate {
    const name = nameOf(der)
    const kept = this.#certificates.get(name)
    if (kept !== undefined) return kept
    const certificate = parseCertificate(der)
    if (this.#certificates.size >= keptMax) this.#certificates.clear()
    this.#certificates.set(name, certificate)
    return certificate
  }

  /** Checks signatures; one over this authority that held before holds. */
  verifierFor(authority: Certificate): VerifyCallback {
    return async (spki, bytes, signature) => {
      if (bytes !== authority.tbs) return this.#verify(spki, bytes, signature)
      const name = [spki, bytes, signature].map(nameOf).join('')
      if (this.#signatures.has(name)) return true
      const holds = await this.#verify(spki, bytes, signature)
      if (!holds) return false
      if (this.#signatures.size >= keptMax) this.#signatures.clear()
      this.#signatures.add(name)
      return true
    }
  }
}

function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
