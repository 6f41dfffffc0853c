import { decodeBase64, encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import type { Certificate } from '#domain/certificates/certificate.ts'
import type { DeviceOwner } from '#domain/certificates/certificate-service.ts'
import type { Core } from '#domain/core.ts'
import type { DeviceSession } from '#domain/devices/device-gate.ts'
import { DeviceRefusal } from '#domain/devices/device-refusal.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { instant } from './wire.ts'

/** When to ask again for a certificate that is queued. */
const pollAgain = { 'retry-after': '1' } as const

/** Anchors and signers of the tenant. */
export const getTrustAnchors: Endpoint<'getTrustAnchors'> = async ({ core, caller }) => ({
  status: 200,
  body: await readTrust(core, caller.tenantId),
})

/** Puts a CSR into the queue. */
export const requestCertificate: Endpoint<'requestCertificate'> = async ({
  core,
  caller,
  body,
}) => {
  requireVerified(caller)
  const owner = await ownerOf(core, caller)
  const { certificates } = core.pki
  const { profile } = body
  const made = await certificates.request(caller.caller, owner, { profile, csr: read(body.csr) })
  return {
    status: 202,
    headers: { ...pollAgain, location: `/device/v1/certificates/${made.id}` },
    body: toCertificate(made),
  }
}

/** Newest first, without certificate and chain. */
export const listCertificates: Endpoint<'listCertificates'> = async ({ core, caller }) => {
  const own = await core.pki.certificates.listOwn(caller.caller, ownOf(caller))
  return { status: 200, body: own.map((certificate) => toCertificate(certificate)) }
}

/** A request, with certificate and chain once issued. */
export const getCertificate: Endpoint<'getCertificate'> = async ({ core, caller, params }) => {
  const { certificates, publicIssuers } = core.pki
  const certificate = await certificates.getOwn(caller.caller, ownOf(caller), params.certRef)
  const { status, der, issuerId, tenantId } = certificate
  // A signer that was revoked has no certificate, and what it issued is revoked.
  const isShown = der !== null && status !== 'REVOKED' && status !== 'FAILED'
  const chain = isShown ? await publicIssuers.chain(tenantId, issuerId) : undefined
  return {
    status: 200,
    headers: status === 'REQUESTED' ? pollAgain : {},
    body: toCertificate(certificate, chain),
  }
}

/** A new CSR under the same reference. */
export const renewCertificate: Endpoint<'renewCertificate'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  requireVerified(caller)
  const owner = await ownerOf(core, caller)
  const renewed = await core.pki.certificates.renew(caller.caller, owner, {
    id: params.certRef,
    csr: read(body.csr),
  })
  return { status: 202, headers: pollAgain, body: toCertificate(renewed) }
}

/** The tenant's anchor, and its ACTIVE and RETIRED signers, newest first. */
export async function readTrust(core: Core, tenantId: string): Promise<Schemas['Trust']> {
  const { anchor, signers } = await core.pki.publicIssuers.trust(tenantId)
  return {
    anchors: [encodeBase64(anchor)],
    signers: signers.map(({ id, state, certificate }) => ({
      signerId: id,
      state,
      chain: [encodeBase64(certificate), encodeBase64(anchor)],
    })),
  }
}

async function ownerOf(core: Core, session: DeviceSession): Promise<DeviceOwner> {
  const { links } = await core.ownDevice.get(session)
  return {
    ...ownOf(session),
    deviceKey: session.keyThumbprint,
    bioKey: links[0]?.bioThumbprint ?? null,
  }
}

function ownOf({
  tenantId,
  deviceId,
  userId,
}: DeviceSession): Pick<DeviceOwner, 'tenantId' | 'deviceId' | 'userId'> {
  if (userId === null) throw new DeviceRefusal('not_linked')
  return { tenantId, deviceId, userId }
}

function requireVerified({ factor }: DeviceSession): void {
  if (factor === null) throw new DeviceRefusal('verification_required')
}

/** @throws DeviceRefusal `csr_invalid` for base64 that is not canonical. */
function read(base64: string): Uint8Array {
  const der = decodeBase64(base64)
  if (der === undefined) throw new DeviceRefusal('csr_invalid')
  return der
}

/** @param chain of its issuer, DER; undefined: certificate and chain are not shown. */
function toCertificate(
  certificate: Certificate,
  chain?: readonly Uint8Array[],
): Schemas['Certificate'] {
  const { der, serial, notBeforeMs, notAfterMs, issuedAtMs, revokedAtMs, failure } = certificate
  return {
    certRef: certificate.id,
    profile: certificate.profile as Schemas['CertificateProfile'],
    status: certificate.status,
    signerId: certificate.issuerId,
    requestedAt: instant(certificate.requestedAtMs),
    ...(issuedAtMs === null ? {} : { issuedAt: instant(issuedAtMs) }),
    ...(serial === null ? {} : { serialNumber: serial }),
    ...(notBeforeMs === null ? {} : { notBefore: instant(notBeforeMs) }),
    ...(notAfterMs === null ? {} : { notAfter: instant(notAfterMs) }),
    ...(revokedAtMs === null ? {} : { revokedAt: instant(revokedAtMs) }),
    ...(failure === null ? {} : { failure }),
    ...(chain === undefined || der === null
      ? {}
      : { certificate: encodeBase64(der), chain: chain.map((one) => encodeBase64(one)) }),
  }
}
