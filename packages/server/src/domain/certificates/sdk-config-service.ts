import { X509Certificate } from 'node:crypto'
import {
  decodeBase64url,
  encodeBase64,
  encodeBase64url,
} from '@countersign/protocol/encoding/base64.ts'
import { rawSignature } from '@countersign/protocol/message/es256.ts'
import type { KeyCustody } from '#custody/key-custody.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import { requirePkiAdmin } from './pki-rights.ts'
import type { RootService } from './root-service.ts'

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
  readonly #custody: KeyCustody
  readonly #roots: RootService
  readonly #clock: Clock
  readonly #publicUrl: () => string

  constructor(dependencies: {
    storage: Storage
    custody: KeyCustody
    roots: RootService
    clock: Clock
    publicUrl: () => string
  }) {
    this.#storage = dependencies.storage
    this.#custody = dependencies.custody
    this.#roots = dependencies.roots
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
    const signer = await read.pki.issuers.findActive(tenantId)
    if (signer === undefined) throw new DomainError('signer_not_found', 'No such signer.')
    const { certificate, kid } = signer
    if (certificate === undefined || kid === undefined) {
      throw new DomainError('state_conflict', 'The signer has no certificate.')
    }
    const key = await read.signingKeys.find(tenantId, kid)
    // Revoked a moment ago.
    if (key === undefined) throw new DomainError('signer_not_found', 'No such signer.')
    const x5c = [certificate, await this.#roots.anchor(tenantId)].map(encodeBase64)
    const claims = {
      iss: this.#publicUrl(),
      iat: Math.floor(this.#clock() / 1000),
      tenant: tenantId,
      astUrl: draft.astUrl ?? `${this.#publicUrl()}/ast`,
      tlsBundle,
      services: draft.services ?? [],
    }
    const signingInput = `${encode({ alg: 'ES256', typ: 'JWT', kid, x5c })}.${encode(claims)}`
    const signature = await this.#custody.sign(tenantId, key, Buffer.from(signingInput))
    await this.#storage.transaction(({ journal }) =>
      journal.append(caller, tenantId, {
        action: 'sdk-config.signed',
        target: { type: 'signer', id: signer.id },
        detail: { astUrl: claims.astUrl, certificates: tlsBundle.length },
      }),
    )
    return `${signingInput}.${encodeBase64url(rawSignature(signature))}`
  }
}

function encode(part: object): string {
  return encodeBase64url(Buffer.from(JSON.stringify(part)))
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
