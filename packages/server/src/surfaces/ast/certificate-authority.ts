import type { Certificate } from '#domain/certificates/certificate.ts'
import type { Signer } from '#domain/certificates/issuer.ts'
import { type FilterProperties, parseFilters } from '#domain/filter/filter-parser.ts'
import { isAcceptable } from '#http/media-type.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import {
  filtersOf,
  pageOf,
  toBase64Certificate,
  toInstant,
  toInstantOrNull,
  totalCountHeader,
} from './wire.ts'

const json = 'application/json'
const jwt = 'application/jwt'

/** The signer that the calls of version 1 speak of. */
const current = 'current'

/** The ACTIVE signer. */
export const getTenantSigner: Endpoint<'getTenantSigner'> = async ({ core, caller, params }) => {
  const signer = await core.pki.signers.get(caller, params.tenantId, current)
  return { status: 200, body: toSignerWithCertificate(signer) }
}

/** Makes a signer where there is none; a new one in its place is a matter of version 2. */
export const createTenantSigner: Endpoint<'createTenantSigner'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { name } = body
  const made = await core.pki.signers.create(caller, params.tenantId, { name, rotates: false })
  return { status: 202, body: toSigner(made) }
}

/** Asks for a new certificate for the ACTIVE signer. */
export const reissueTenantSigner: Endpoint<'reissueTenantSigner'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const renewed = await core.pki.signers.renew(caller, params.tenantId, current, toRenewal(body))
  return { status: 202, body: toSigner(renewed) }
}

/** Deletes the ACTIVE signer while it is unused. */
export const deleteTenantSigner: Endpoint<'deleteTenantSigner'> = async ({
  core,
  caller,
  params,
}) => {
  await core.pki.signers.delete(caller, params.tenantId, current)
  return { status: 204 }
}

const signerProperties: FilterProperties = {
  name: { field: 'name', kind: 'text' },
  id: { field: 'id', kind: 'text' },
  createdAt: { field: 'createdAt', kind: 'instant' },
  updatedAt: { field: 'updatedAt', kind: 'instant' },
  generation: { field: 'generation', kind: 'number' },
  state: { field: 'state', kind: 'text' },
}

/** Signers, newest first. */
export const listSigners: Endpoint<'listSigners'> = async ({ core, caller, params, query }) => {
  const { items, totalCount } = await core.pki.certificateLists.searchSigners(
    caller,
    params.tenant,
    { ...pageOf(query), condition: parseFilters(filtersOf(query), signerProperties) },
  )
  return { status: 200, headers: totalCountHeader(totalCount), body: items.map(toSigner) }
}

/** Makes the next signer: it is ACTIVE, the one before RETIRED. */
export const createSigner: Endpoint<'createSigner'> = async ({ core, caller, params, body }) => {
  const made = await core.pki.signers.create(caller, params.tenant, { name: body?.name })
  return { status: 202, body: toSigner(made) }
}

/** One signer, by id or `current`. */
export const getSigner: Endpoint<'getSigner'> = async ({ core, caller, params }) => {
  const signer = await core.pki.signers.get(caller, params.tenant, params.signerSpec)
  return { status: 200, body: toSignerWithCertificate(signer) }
}

/** Deletes a signer that is unused. */
export const deleteSigner: Endpoint<'deleteSigner'> = async ({ core, caller, params }) => {
  await core.pki.signers.delete(caller, params.tenant, params.signerSpec)
  return { status: 204 }
}

/** The signer's certificate and its root's. */
export const getSignerChain: Endpoint<'getSignerChain'> = async ({ core, caller, params }) => {
  const chain = await core.pki.signers.chain(caller, params.tenant, params.signerSpec)
  return { status: 200, body: { chain: chain.map(toBase64Certificate) } }
}

/** Asks for a new certificate for a signer's key. */
export const renewSigner: Endpoint<'renewSigner'> = async ({ core, caller, params, body }) => {
  const { tenant, signerSpec } = params
  const renewed = await core.pki.signers.renew(caller, tenant, signerSpec, toRenewal(body))
  return { status: 202, body: toSigner(renewed) }
}

/** Ends a signer for good. */
export const revokeSigner: Endpoint<'revokeSigner'> = async ({ core, caller, params }) => {
  await core.pki.signers.revoke(caller, params.tenant, params.signerSpec)
  return { status: 204 }
}

const certificateProperties: FilterProperties = {
  certRef: { field: 'id', kind: 'text' },
  status: { field: 'requestStatus', kind: 'text' },
  user: { field: 'user', kind: 'text' },
  client: { field: 'device', kind: 'text' },
  profile: { field: 'profile', kind: 'text' },
}

/** Certificate requests, newest first. */
export const listCertificates: Endpoint<'listCertificates'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const { items, totalCount } = await core.pki.certificateLists.search(caller, params.tenantId, {
    ...pageOf(query),
    condition: parseFilters(filtersOf(query), certificateProperties),
  })
  return { status: 200, headers: totalCountHeader(totalCount), body: items.map(toCertificateInfo) }
}

/** One certificate request by its reference, which for signers is their id. */
export const getCertificateStatus: Endpoint<'getCertificateStatus'> = async ({
  core,
  caller,
  params,
}) => {
  const certificate = await core.pki.certificates.get(caller, params.tenantId, params.certRef)
  return { status: 200, body: toCertificateInfo(certificate) }
}

/** A configuration for apps, signed by the ACTIVE signer. */
export const createSdkConfig: Endpoint<'createSdkConfig'> = async ({
  core,
  caller,
  params,
  body,
  request,
}) => {
  const sdkConfig = await core.pki.sdkConfigs.sign(caller, params.tenantId, body)
  const { accept } = request.headers
  const wantsJwt = !isAcceptable(accept, [json]) && isAcceptable(accept, [jwt])
  return wantsJwt
    ? { status: 200, contentType: jwt, body: sdkConfig }
    : { status: 200, contentType: json, body: { sdkConfig } }
}

function toRenewal(body: Schemas['SignerRenew'] | undefined): { ignoresNotIssued: boolean } {
  return { ignoresNotIssued: body?.ignoreNotIssued ?? false }
}

function toSigner(signer: Signer): Schemas['Signer'] {
  return {
    id: signer.id,
    tenant: signer.tenantId,
    name: signer.name,
    createdAt: toInstant(signer.createdAtMs),
    updatedAt: toInstant(signer.updatedAtMs),
    generation: signer.generation,
    state: signer.state,
  }
}

function toSignerWithCertificate(signer: Signer): Schemas['SignerWithCertificate'] {
  const { certificate } = signer
  return {
    info: toSigner(signer),
    ...(certificate === undefined ? {} : { certificate: toBase64Certificate(certificate) }),
  }
}

function toCertificateInfo(certificate: Certificate): Schemas['CertificateInfo'] {
  const { id, profile, issuerId } = certificate
  return {
    certRef: id,
    // A certificate that was revoked had been issued; the page knows three states.
    status: certificate.status === 'REVOKED' ? 'ISSUED' : certificate.status,
    // A signer's own comes from the root, which is no signer.
    signer: profile === 'TENANT_SIGNER' ? id : issuerId,
    user: certificate.userId,
    client: certificate.deviceId,
    requestedAt: toInstant(certificate.requestedAtMs),
    issuedAt: toInstantOrNull(certificate.issuedAtMs),
    certProfile: profile,
  }
}
