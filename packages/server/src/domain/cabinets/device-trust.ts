import { X509Certificate } from 'node:crypto'
import { type AddressRange, isAddressIn } from '../address-range.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { foldSerial } from './cabinet.ts'

/** How the server knows that a call comes from a cabinet: COUNTERSIGN_OKM_DEVICE_TRUST. */
export type DeviceTrustRule =
  | { readonly kind: 'allowlist'; readonly ranges: readonly AddressRange[] }
  /** `caCertificates`: PEM. */
  | { readonly kind: 'mtls'; readonly caCertificates: readonly string[] }
  | { readonly kind: 'open' }

/** What is known of whoever calls as a cabinet. */
export interface DeviceConnection {
  /** Of the client; that of a proxy only counts if the proxy is trusted. */
  readonly address: string | null
  /** DER of the certificate with which it proved itself to the TLS server in front; undefined without one. */
  readonly certificate: Uint8Array | undefined
}

/** More than any certificate needs. */
const certificateBytesMax = 12_288
const keptAddressesMax = 10_000
const clientAuthentication = '1.3.6.1.5.5.7.3.2'
const anyExtendedUsage = '2.5.29.37.0'

/** Decides who may call as a cabinet. Published texts know no credential of cabinets but their serial. */
export class DeviceTrust {
  readonly #rule: DeviceTrustRule
  readonly #clock: Clock
  readonly #authorities: readonly X509Certificate[]
  readonly #listed = new Map<string, boolean>()

  constructor({ rule, clock }: { rule: DeviceTrustRule; clock: Clock }) {
    this.#rule = rule
    this.#clock = clock
    this.#authorities =
      rule.kind === 'mtls' ? rule.caCertificates.map((pem) => new X509Certificate(pem)) : []
  }

  /**
   * @param serial of the cabinet that the call names; undefined for one that names none, where any certificate of the
   * authorities will do.
   * @throws DomainError `device_not_trusted`.
   */
  require(connection: DeviceConnection, serial: string | undefined): void {
    if (!this.#trusts(connection, serial)) {
      throw new DomainError('device_not_trusted', 'Device not allowed')
    }
  }

  #trusts({ address, certificate }: DeviceConnection, serial: string | undefined): boolean {
    switch (this.#rule.kind) {
      case 'open':
        return true
      case 'allowlist':
        return address !== null && this.#isListed(this.#rule.ranges, address)
      case 'mtls':
        return certificate !== undefined && this.#trustsCertificate(certificate, serial)
    }
  }

  /** Devices call from the same addresses again and again. */
  #isListed(ranges: readonly AddressRange[], address: string): boolean {
    const kept = this.#listed.get(address)
    if (kept !== undefined) return kept
    const isListed = isAddressIn(ranges, address)
    if (this.#listed.size >= keptAddressesMax) this.#listed.clear()
    this.#listed.set(address, isListed)
    return isListed
  }

  /** One step from an authority: that is how the certificates of devices are issued. */
  #trustsCertificate(der: Uint8Array, serial: string | undefined): boolean {
    if (der.length > certificateBytesMax) return false
    const certificate = readCertificate(der)
    if (certificate === undefined || !mayAuthenticateClients(certificate)) return false
    const nowMs = this.#clock()
    const isIssued = this.#authorities.some(
      (authority) =>
        authority.ca &&
        isValidAt(authority, nowMs) &&
        certificate.checkIssued(authority) &&
        certificate.verify(authority.publicKey),
    )
    if (!isIssued || certificate.ca || !isValidAt(certificate, nowMs)) return false
    return serial === undefined || namesOf(certificate).includes(foldSerial(serial))
  }
}

function readCertificate(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der)
  } catch {
    return undefined
  }
}

/** Extended usages are optional; where they stand they are a closed list. */
function mayAuthenticateClients({ keyUsage }: X509Certificate): boolean {
  const usages: readonly string[] | undefined = keyUsage
  if (usages === undefined) return true
  return usages.includes(clientAuthentication) || usages.includes(anyExtendedUsage)
}

function isValidAt({ validFromDate, validToDate }: X509Certificate, nowMs: number): boolean {
  return validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime()
}

/** The common names, DNS names and URIs, in the form in which serials are compared. */
function namesOf({ subject, subjectAltName }: X509Certificate): string[] {
  const common = (subject ?? '').split('\n').filter((part) => part.startsWith('CN='))
  // Node quotes names that hold a separator: a list with one of them cannot be taken apart without doubt.
  const isPlain = subjectAltName !== undefined && !subjectAltName.includes('"')
  const alternative = (isPlain ? subjectAltName : '')
    .split(', ')
    .filter((part) => part.startsWith('DNS:') || part.startsWith('URI:'))
  return [...common.map((part) => part.slice(3)), ...alternative.map((part) => part.slice(4))].map(
    foldSerial,
  )
}
