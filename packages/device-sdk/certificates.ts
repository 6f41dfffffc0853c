import {
  type Certificate,
  parseCertificate,
} from '@countersign/protocol/certificate/certificate.ts'
import { writeCertificationRequest } from '@countersign/protocol/certificate/certificate-request.ts'
import { readName, writeName } from '@countersign/protocol/certificate/name.ts'
import { oids } from '@countersign/protocol/certificate/oids.ts'
import { findPathFault } from '@countersign/protocol/certificate/path.ts'
import { sameBytes } from '@countersign/protocol/der/der-writer.ts'
import { decodeBase64, encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { Answer } from './answer.ts'
import type { CertificateProfile } from './certificate-profile.ts'
import { DeviceError } from './device-error.ts'
import { type DeviceMemory, deviceKeyName } from './device-memory.ts'
import { newKeyName } from './enrolment.ts'
import type { DeviceLogin } from './login.ts'
import { retryAfterOf } from './server-link.ts'
import { derSignerOf, type SigningKey } from './signing-key.ts'
import type { CertificateState } from './storage/device-storage.ts'
import { verifyP256 } from './web-crypto.ts'

const renewBeforeMs = 30 * 86_400_000
const clockSkewMs = 120_000
const waitDefaultMs = 120_000
const waitStepMaxSeconds = 30
const base = '/device/v1/certificates'

const purposes: Readonly<Record<CertificateProfile, string | undefined>> = {
  AST_DEVICE: undefined,
  SIGNATURE: undefined,
  TLS_CLIENT: oids.clientAuth,
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined
  /** How long to wait for a certificate to be issued. */
  readonly waitMs?: number | undefined
}

/** Certificates of one user on this device: asked for, waited for, checked, kept. */
export class DeviceCertificates {
  readonly #memory: DeviceMemory
  readonly #login: DeviceLogin
  readonly #userId: string

  constructor(memory: DeviceMemory, login: DeviceLogin, userId: string) {
    this.#memory = memory
    this.#login = login
    this.#userId = userId
  }

  /** The newest kept certificate of a profile that is valid now. */
  find(profile: CertificateProfile): CertificateState | undefined {
    const { certificates } = this.#memory.user(this.#userId)
    return certificates.findLast(
      (kept) => kept.profile === profile && kept.notAfterMs > this.#memory.link.nowMs,
    )
  }

  /**
   * The certificate of a profile: the kept one; a new one where there is none; a renewed one from 30 days before the end.
   * Asking for one needs a login with a factor before.
   *
   * @throws DeviceError `certificate_wrong` when what was issued is not for this key, user and device under a trusted
   *   anchor; then nothing is kept.
   */
  async ensure(profile: CertificateProfile, options: WaitOptions = {}): Promise<CertificateState> {
    const kept = this.find(profile)
    if (kept === undefined) return this.request(profile, options)
    const isLate = kept.notAfterMs - this.#memory.link.nowMs < renewBeforeMs
    return isLate ? this.renew(kept, options) : kept
  }

  async request(profile: CertificateProfile, options: WaitOptions = {}): Promise<CertificateState> {
    const { storage } = this.#memory
    const name = profile === 'AST_DEVICE' ? deviceKeyName : newKeyName(keyPurpose(profile))
    const key = name === deviceKeyName ? this.#memory.deviceKey : await storage.createKey(name)
    try {
      const csr = await this.#csr(key)
      const { body } = await this.#login.call({
        method: 'POST',
        path: base,
        body: async () => ({ profile, csr }),
      })
      const certRef = new Answer(body).text('certRef', /^[0-9A-HJKMNP-TV-Z]{26}$/)
      return await this.#await({ certRef, profile, keyName: name, key }, options)
    } catch (error) {
      if (name !== deviceKeyName) await storage.deleteKey(name)
      throw error
    }
  }

  /** Renews with the same key. */
  async renew(kept: CertificateState, options: WaitOptions = {}): Promise<CertificateState> {
    const { certRef, profile, key: keyName } = kept
    const key = await this.#memory.key(keyName)
    const csr = await this.#csr(key)
    await this.#login.call({
      method: 'POST',
      path: `${base}/${certRef}/renew`,
      body: async () => ({ csr }),
    })
    return this.#await({ certRef, profile, keyName, key }, options)
  }

  /** Subject and attributes are read by nobody. */
  async #csr(key: SigningKey): Promise<string> {
    const subject = writeName({ commonName: this.#memory.deviceId })
    const der = await writeCertificationRequest({ subject, publicKey: key.spki }, derSignerOf(key))
    return encodeBase64(der)
  }

  async #await(
    wanted: { certRef: string; profile: CertificateProfile; keyName: string; key: SigningKey },
    { signal, waitMs = waitDefaultMs }: WaitOptions,
  ): Promise<CertificateState> {
    const { certRef, profile, keyName, key } = wanted
    const until = performance.now() + waitMs
    for (;;) {
      const { body, headers } = await this.#login.call({
        method: 'GET',
        path: `${base}/${certRef}`,
      })
      const answer = new Answer(body)
      const status = answer.oneOf('status', ['REQUESTED', 'ISSUED', 'FAILED', 'REVOKED'])
      if (status === 'ISSUED') {
        const certificate = answer.text('certificate')
        const chain = answer.texts('chain')
        const leaf = await this.#check({ certificate, chain, key, profile })
        const { notAfterMs } = leaf
        const kept = { certRef, profile, key: keyName, certificate, chain, notAfterMs }
        await this.#memory.keepCertificate(this.#userId, kept)
        return kept
      }
      if (status !== 'REQUESTED') {
        throw new DeviceError('certificate_not_usable', `The certificate is ${status}.`)
      }
      const seconds = Math.min(retryAfterOf(headers) ?? 1, waitStepMaxSeconds)
      if (performance.now() + seconds * 1000 > until) {
        throw new DeviceError('certificate_pending', 'The certificate is not issued yet.')
      }
      await pause(seconds * 1000, signal)
    }
  }

  /** Own key, own names, chain, anchor. */
  async #check(issued: {
    certificate: string
    chain: readonly string[]
    key: SigningKey
    profile: CertificateProfile
  }): Promise<Certificate> {
    const { link, enrolled, tenantId, deviceId } = this.#memory
    let path: Certificate[]
    let anchors: Uint8Array[]
    try {
      path = [issued.certificate, ...issued.chain].map((text) => parseCertificate(bytesOf(text)))
      anchors = enrolled.anchors.map(bytesOf)
    } catch (cause) {
      throw new DeviceError('certificate_wrong', 'The certificate cannot be read.', { cause })
    }
    const [leaf] = path
    if (leaf === undefined || !sameBytes(leaf.publicKey, issued.key.spki)) {
      throw new DeviceError('certificate_wrong', 'The certificate is for another key.')
    }
    const { organization, commonName, userId } = readName(leaf.subject)
    if (organization !== tenantId || commonName !== deviceId || userId !== this.#userId) {
      throw new DeviceError('certificate_wrong', 'The certificate is for somebody else.')
    }
    const fault = await findPathFault({
      path,
      anchors,
      // Our clock may be a little behind the one of the server that issued just now.
      atMs: Math.max(link.nowMs, Math.min(leaf.notBeforeMs, link.nowMs + clockSkewMs)),
      leaf: { keyUsage: 'digitalSignature', purpose: purposes[issued.profile] },
      verify: verifyP256,
    })
    if (fault !== undefined) {
      throw new DeviceError('certificate_wrong', `The certificate's chain is not good: ${fault}.`)
    }
    return leaf
  }
}

function keyPurpose(profile: CertificateProfile): 'signature' | 'tls' {
  return profile === 'TLS_CLIENT' ? 'tls' : 'signature'
}

function bytesOf(text: string): Uint8Array {
  const bytes = decodeBase64(text)
  if (bytes === undefined) throw new TypeError('No Base64.')
  return bytes
}

/** Waits; rejects when the signal is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  const done = Promise.withResolvers<void>()
  const timer = setTimeout(done.resolve, ms)
  const stop = () => done.reject(signal?.reason)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    await done.promise
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}
