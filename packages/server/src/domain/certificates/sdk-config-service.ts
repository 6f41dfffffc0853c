import { X509Certificate } from 'node:crypto'
import { decodeBase64url, encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { ActiveSigner } from './active-signer.ts'
import { requirePkiAdmin } from './pki-rights.ts'

/** What an app is told to trust and to call. */
export interface SdkConfigDraft {
  /** X.509 in Base64 or base64url; white space does not count. */
  readonly tlsBundle: readonly string[]
  /** Absent: this server's own. */
  readonly astUrl?: string | undefined
  readonly services?: readonly { readonly name: string; readonly url: string }[] | undefined
}

/** Signs with which servers and addresses an app starts. */
export class SdkConfigService {
  readonly #storage: Storage
  readonly #signer: ActiveSigner
  readonly #clock: Clock
  readonly #publicUrl: () => string

  constructor(dependencies: {
    storage: Storage
    activeSigner: ActiveSigner
    clock: Clock
    publicUrl: () => string
  }) {
    this.#storage = dependencies.storage
    this.#signer = dependencies.activeSigner
    this.#clock = dependencies.clock
    this.#publicUrl = dependencies.publicUrl
  }

  /**
   * A JWT of the ACTIVE signer (ES256, `x5c` with its chain): iss, iat, tenant, astUrl, tlsBundle, services.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `signer_not_found`; `state_conflict` while the signer has no
   *   certificate; `invalid_request` for what is no certificate.
   */
  async sign(caller: Caller, tenantId: string, draft: SdkConfigDraft): Promise<string> {
    requirePkiAdmin(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const tlsBundle = draft.tlsBundle.map(toCertificate)
    const claims = {
      iss: this.#publicUrl(),
      iat: Math.floor(this.#clock() / 1000),
      tenant: tenantId,
      astUrl: draft.astUrl ?? `${this.#publicUrl()}/ast`,
      tlsBundle,
      services: draft.services ?? [],
    }
    const document = Buffer.from(JSON.stringify(claims))
    const { header, payload, signature, signerId } = await this.#signer.sign(
      tenantId,
      'JWT',
      document,
    )
    await this.#storage.transaction(({ journal }) =>
      journal.append(caller, tenantId, {
        action: 'sdk-config.signed',
        target: { type: 'signer', id: signerId },
        detail: { astUrl: claims.astUrl, certificates: tlsBundle.length },
      }),
    )
    return `${header}.${payload}.${signature}`
  }
}

/** One certificate as apps get it: Base64 in one line. */
function toCertificate(text: string, index: number): string {
  const spelling = text.replaceAll(/\s/g, '').replace(/={1,2}$/, '')
  const der = decodeBase64url(spelling.replaceAll('+', '-').replaceAll('/', '_'))
  if (der === undefined || !isCertificate(der)) {
    const message = 'must be an X.509 certificate in Base64'
    throw new DomainError('invalid_request', 'The certificates cannot be read.', {
      faults: [{ pointer: `/tlsBundle/${index}`, code: 'bad_format', message }],
    })
  }
  return encodeBase64(der)
}

function isCertificate(der: Uint8Array): boolean {
  try {
    return new X509Certificate(der).raw.equals(der)
  } catch {
    return false
  }
}
