import { Caller } from '../callers/caller.ts'
import type { Stores } from '../storage.ts'
import type { SigningKey } from '../tenants/signing-key-store.ts'
import { shardSize } from './certificate.ts'
import type { DraftIssuer } from './certificate-drafts.ts'
import type { ClaimedRequest } from './issuance-store.ts'
import { type Issuer, rootId } from './issuer.ts'
import { draftIssuerOf } from './root-service.ts'

/** How long a request waits before it asks again whether its signer has a certificate. */
const waitMs = 1_000
/** Why a request failed. */
export const signerRevoked = 'The signer was revoked.'

/** A request with everything that is needed to sign. */
export interface Job {
  readonly request: ClaimedRequest
  /** By which it was claimed. */
  readonly claim: string
  readonly issuer: Issuer
  readonly draftIssuer: DraftIssuer
  readonly issuerKey: SigningKey
  readonly shard: number
  /** Of a TENANT_SIGNER: the signer itself, and its key if it has one. */
  readonly signer: Issuer | undefined
  readonly signerKey: SigningKey | undefined
}

/** What is to be signed, and what waits for a root that is not there. */
export interface Plan {
  readonly jobs: Job[]
  readonly rootless: ClaimedRequest[]
}

/**
 * Decides for each claimed request who issues it, gives it a place in the lists, and ends those that cannot be issued. What
 * waits for its signer's certificate is put back.
 */
export async function planJobs(
  stores: Stores,
  requests: readonly ClaimedRequest[],
  { claim, nowMs }: { claim: string; nowMs: number },
): Promise<Plan> {
  const { issuance, issuers } = stores.pki
  const plan: Plan = { jobs: [], rootless: [] }
  const groups = Map.groupBy(requests, ({ tenantId, issuerId }) => `${tenantId}\n${issuerId}`)
  for (const group of groups.values()) {
    const [first] = group
    if (first === undefined) continue
    const { tenantId } = first
    const issuer = await issuerOf(stores, first)
    if (issuer === undefined && first.issuerId === rootId) {
      plan.rootless.push(...group)
      continue
    }
    if (issuer === undefined) {
      for (const request of group) {
        await failRequest(stores, request, { failure: signerRevoked, nowMs })
      }
      continue
    }
    const draftIssuer = draftIssuerOf(issuer)
    const issuerKey =
      issuer.kid === undefined ? undefined : await stores.signingKeys.find(tenantId, issuer.kid)
    if (draftIssuer === undefined || issuerKey === undefined) {
      const dueAtMs = nowMs + waitMs
      for (const { id } of group) await issuance.putBack({ tenantId, id, claim, dueAtMs })
      continue
    }
    const number = await issuers.takeNumbers(tenantId, issuer.id, group.length)
    for (const [index, request] of group.entries()) {
      const { id } = request
      if (request.issuerId !== issuer.id) {
        await issuance.reassign({ tenantId, id, claim, issuerId: issuer.id })
      }
      const isSigner = request.profile === 'TENANT_SIGNER'
      const signer = isSigner ? await issuers.find(tenantId, id) : undefined
      if (isSigner && signer === undefined) continue
      const signerKey =
        signer?.kid === undefined ? undefined : await stores.signingKeys.find(tenantId, signer.kid)
      const shard = Math.floor(((number ?? 0) + index) / shardSize)
      plan.jobs.push({ request, claim, issuer, draftIssuer, issuerKey, shard, signer, signerKey })
    }
  }
  return plan
}

/** The issuer that was asked; if it only verifies by now, the one that issues in its place. */
async function issuerOf(
  { pki: { issuers } }: Stores,
  { tenantId, issuerId }: ClaimedRequest,
): Promise<Issuer | undefined> {
  const asked = await issuers.find(tenantId, issuerId)
  if (asked?.state === 'ROOT' || asked?.state === 'ACTIVE') return asked
  return asked?.state === 'RETIRED' ? issuers.findActive(tenantId) : undefined
}

/** Ends a request that is still wanted. */
export async function failRequest(
  stores: Stores,
  { tenantId, id, profile, userId }: ClaimedRequest,
  { failure, nowMs }: { failure: string; nowMs: number },
): Promise<void> {
  if (!(await stores.pki.certificates.fail({ tenantId, id, failure, nowMs }))) return
  await stores.journal.append(Caller.system(), tenantId, {
    action: 'certificate.failed',
    outcome: 'FAILURE',
    target: { type: 'certificate', id },
    ...(userId === null ? {} : { userId }),
    detail: { profile, failure },
  })
}
