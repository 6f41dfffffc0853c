import { parseCertificate, signFrame } from '@countersign/protocol/certificate/certificate.ts'
import { writeName } from '@countersign/protocol/certificate/name.ts'
import { readPoint, spkiFromJwk } from '@countersign/protocol/certificate/public-key.ts'
import { encodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { encodeHex } from '@countersign/protocol/encoding/hex.ts'
import { sha1, sha256 } from '#custody/digests.ts'
import type { KeyCustody, NewCustodyKey } from '#custody/key-custody.ts'
import type { Randomness } from '#custody/randomness.ts'
import type { WrappedKey } from '#custody/vault.ts'
import { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import type { SigningKey } from '../tenants/signing-key-store.ts'
import { authorityName, draftCertificate } from './certificate-drafts.ts'
import { type Issuer, type KeyHashes, rootGeneration, rootId } from './issuer.ts'

/** A root that is made and not stored yet. */
export interface PreparedRoot {
  /** Stores it in the running transaction. False when the tenant has one. */
  insert(stores: Stores): Promise<boolean>
}

/** A tenant's root: made with the tenant, or when it is first needed in a tenant that is older than roots are. */
export class RootService {
  readonly #storage: Storage
  readonly #custody: KeyCustody
  readonly #randomness: Randomness
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    custody: KeyCustody
    randomness: Randomness
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#custody = dependencies.custody
    this.#randomness = dependencies.randomness
    this.#clock = dependencies.clock
  }

  /** Makes key and certificate. @param newKey the data key of a tenant that is being made. */
  async prepare(tenantId: string, newKey?: WrappedKey): Promise<PreparedRoot> {
    const key = await this.#custody.createKey('ES256')
    const nowMs = this.#clock()
    const subject = authorityName(tenantId, 'root')
    const draft = draftCertificate(
      {
        profile: 'ROOT',
        subject,
        publicKey: key.publicKey,
        issuer: undefined,
        urls: undefined,
        nowMs,
      },
      this.#randomness,
    )
    const der = await signFrame(draft.tbs, key.sign)
    const sealedPrivate = await key.seal(tenantId, newKey)
    const { notBeforeMs, notAfterMs } = draft
    const id = { tenantId, id: rootId }
    return {
      insert: async ({ pki: { issuers }, signingKeys }) => {
        const isFirst = await issuers.insert({
          ...id,
          name: rootId,
          generation: rootGeneration,
          state: 'ROOT',
          subject: writeName(subject),
          nowMs,
        })
        if (!isFirst) return false
        await signingKeys.insert(signingKeyOf(tenantId, key, sealedPrivate, nowMs))
        const keyHashes = keyHashesOf(key.publicKey)
        const { kid } = key
        await issuers.setCertificate({ ...id, kid, keyHashes, der, notBeforeMs, notAfterMs, nowMs })
        return true
      },
    }
  }

  /**
   * The root; of processes that make it at the same time one does.
   *
   * @throws DomainError `tenant_not_found`.
   */
  async ensure(tenantId: string): Promise<Issuer> {
    const found = await this.#storage.read.pki.issuers.find(tenantId, rootId)
    if (found !== undefined) return found
    await this.#storage.read.tenants.get(tenantId)
    const prepared = await this.prepare(tenantId)
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.get(tenantId)
      if (!(await prepared.insert(stores))) return
      const target = { type: 'signer', id: rootId }
      await stores.journal.append(Caller.system(), tenantId, { action: 'root.created', target })
    })
    const made = await this.#storage.read.pki.issuers.find(tenantId, rootId)
    if (made === undefined) throw new DomainError('tenant_not_found', 'No such tenant.')
    return made
  }

  /** DER of the root's certificate: the tenant's trust anchor. @throws DomainError `tenant_not_found`. */
  async anchor(tenantId: string): Promise<Uint8Array> {
    const { certificate } = await this.ensure(tenantId)
    if (certificate === undefined) throw new Error('A root has no certificate.')
    return certificate
  }

  /** SHA-256 of the trust anchor, base64url: what QR codes carry. @throws DomainError `tenant_not_found`. */
  async anchorHash(tenantId: string): Promise<string> {
    return encodeBase64url(sha256(await this.anchor(tenantId)))
  }
}

/** A new key as it is stored. */
export function signingKeyOf(
  tenantId: string,
  { kid, publicJwk }: NewCustodyKey,
  sealedPrivate: Uint8Array,
  nowMs: number,
) {
  const purpose = 'certificates' as const
  return {
    tenantId,
    kid,
    purpose,
    publicJwk,
    sealedPrivate,
    createdAtMs: nowMs,
    retiredAtMs: null,
  }
}

/** The public key of an authority, SubjectPublicKeyInfo. */
export function spkiOf(key: Pick<SigningKey, 'publicJwk'> | undefined): Uint8Array {
  const { x, y } = key?.publicJwk ?? {}
  const spki = x === undefined || y === undefined ? undefined : spkiFromJwk({ x, y })
  if (spki === undefined) throw new Error('A signer has no P-256 key.')
  return spki
}

/** How OCSP names the key. */
export function keyHashesOf(publicKey: Uint8Array): KeyHashes {
  const point = readPoint(publicKey)
  return { sha1: encodeHex(sha1(point)), sha256: encodeHex(sha256(point)) }
}

/** What certificates below an issuer take from it; undefined while it has none itself. */
export function draftIssuerOf({ certificate, subject }: Issuer) {
  if (certificate === undefined) return undefined
  const { publicKey, notBeforeMs, notAfterMs } = parseCertificate(certificate)
  return { subject, publicKey, notBeforeMs, notAfterMs }
}
