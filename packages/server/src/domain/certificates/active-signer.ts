import { encodeBase64, encodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { rawSignature } from '@countersign/protocol/message/es256.ts'
import type { KeyCustody } from '#custody/key-custody.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { RootService } from './root-service.ts'

/** A compact JWS in its parts. */
export interface SignedParts {
  readonly header: string
  readonly payload: string
  readonly signature: string
  readonly signerId: string
}

/** Signs documents in the name of a tenant: ES256 of its ACTIVE signer, with `kid` and its chain as `x5c`. */
export class ActiveSigner {
  readonly #storage: Storage
  readonly #custody: KeyCustody
  readonly #roots: RootService

  constructor(dependencies: { storage: Storage; custody: KeyCustody; roots: RootService }) {
    this.#storage = dependencies.storage
    this.#custody = dependencies.custody
    this.#roots = dependencies.roots
  }

  /**
   * @param type `typ` of the header: what the signature is for.
   * @throws DomainError `signer_not_found`; `state_conflict` while the signer has no certificate.
   */
  async sign(tenantId: string, type: string, payload: Uint8Array): Promise<SignedParts> {
    const { read } = this.#storage
    const signer = await read.pki.issuers.findActive(tenantId)
    if (signer === undefined) throw noSuchSigner()
    const { certificate, kid } = signer
    if (certificate === undefined || kid === undefined) {
      throw new DomainError('state_conflict', 'The signer has no certificate.')
    }
    const key = await read.signingKeys.find(tenantId, kid)
    // Revoked a moment ago.
    if (key === undefined) throw noSuchSigner()
    const x5c = [certificate, await this.#roots.anchor(tenantId)].map(encodeBase64)
    const parts = {
      header: encodeBase64url(Buffer.from(JSON.stringify({ alg: 'ES256', typ: type, kid, x5c }))),
      payload: encodeBase64url(payload),
    }
    const signed = Buffer.from(`${parts.header}.${parts.payload}`)
    const signature = rawSignature(await this.#custody.sign(tenantId, key, signed))
    return { ...parts, signature: encodeBase64url(signature), signerId: signer.id }
  }

  /**
   * RFC 7515, appendix F: `header..signature`, the payload travels by itself.
   *
   * @throws DomainError as {@link sign}.
   */
  async signDetached(tenantId: string, type: string, payload: Uint8Array): Promise<string> {
    const { header, signature } = await this.sign(tenantId, type, payload)
    return `${header}..${signature}`
  }
}

function noSuchSigner(): DomainError {
  return new DomainError('signer_not_found', 'No such signer.')
}
