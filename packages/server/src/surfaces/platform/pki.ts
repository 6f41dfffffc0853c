import { toPem } from '@countersign/protocol/certificate/pem.ts'
import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { nativeCertificate } from '#domain/certificates/certificate-form.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'

const hourly = { 'cache-control': 'public, max-age=3600' } as const
/** What a revocation changes: whoever asks again after a minute learns of it. */
const briefly = { 'cache-control': 'public, max-age=60' } as const

/** Certificates and requests in order of their reference, all or those that fit every filter. */
export const listCertificates: Endpoint<'listCertificates'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const { limit, cursor, ...filters } = query
  const page = await core.pki.certificateLists.list(caller, params.tenantId, {
    filters,
    limit,
    cursor,
  })
  return { status: 200, body: { ...page, items: page.items.map(nativeCertificate) } }
}

/** One certificate. */
export const getCertificate: Endpoint<'getCertificate'> = async ({ core, caller, params }) => ({
  status: 200,
  body: nativeCertificate(
    await core.pki.certificates.get(caller, params.tenantId, params.certificateId),
  ),
})

/** Revokes a certificate of a device, with those it had before its renewals. */
export const revokeCertificate: Endpoint<'revokeCertificate'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId, certificateId: id } = params
  const revoked = await core.pki.certificates.revoke(caller, tenantId, { id, ...body })
  return { status: 200, body: nativeCertificate(revoked) }
}

/** Where certificates say that their issuer's is. */
export const getIssuerCertificate: Endpoint<'getIssuerCertificate'> = async ({ core, params }) => {
  const { certificate } = await core.pki.publicIssuers.get(params.tenantId, params.issuer)
  return { status: 200, headers: hourly, body: Buffer.from(certificate) }
}

/** The issuer and its root, PEM. */
export const getIssuerChain: Endpoint<'getIssuerChain'> = async ({ core, params }) => {
  const chain = await core.pki.publicIssuers.chain(params.tenantId, params.issuer)
  return {
    status: 200,
    headers: hourly,
    body: chain.map((der) => toPem('CERTIFICATE', der)).join(''),
  }
}

/** The revocation list of an issuer's first certificates, which for most are all. */
export const getCrl: Endpoint<'getCrl'> = async ({ core, params }) => {
  const der = await core.pki.revocationLists.get(params.tenantId, params.issuer, 0)
  return { status: 200, headers: briefly, body: Buffer.from(der) }
}

/** The list of another part of its certificates. */
export const getCrlShard: Endpoint<'getCrlShard'> = async ({ core, params }) => {
  const { tenantId, issuer, shard } = params
  const der = await core.pki.revocationLists.get(tenantId, issuer, shard)
  return { status: 200, headers: briefly, body: Buffer.from(der) }
}

/** Whether certificates are revoked. */
export const queryOcsp: Endpoint<'queryOcsp'> = async ({ core, params, request }) => {
  const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0)
  const der = await core.pki.ocsp.answer(params.tenantId, body)
  return { status: 200, body: Buffer.from(der) }
}

/** As `queryOcsp`, with the request as Base64 in the path. */
export const queryOcspByGet: Endpoint<'queryOcspByGet'> = async ({ core, params }) => {
  const request = decodeBase64(params.request) ?? new Uint8Array()
  const der = await core.pki.ocsp.answer(params.tenantId, request)
  return { status: 200, headers: briefly, body: Buffer.from(der) }
}

/** The keys with which a tenant's checkpoints can be checked, retired ones too. */
export const getTenantJwks: Endpoint<'getTenantJwks'> = async ({ core, params }) => ({
  status: 200,
  headers: hourly,
  body: { keys: (await core.checkpoints.publicKeys(params.tenantId)) as Schemas['Jwks']['keys'] },
})
