import { X509Certificate } from 'node:crypto'

/** Extended key usage of TLS clients (RFC 5280 section 4.2.1.12), and the one that stands for all. */
const clientUsages = ['1.3.6.1.5.5.7.3.2', '2.5.29.37.0']
/** More than any cabinet's certificate has. */
const namesMax = 20

/**
 * Says whom a TLS client certificate names, if one of our authorities issued it directly: both are valid now, the
 * authority is one, the certificate is none, and may be used by clients. Revocation is whoever's who ends the TLS
 * connection.
 */
export class CertificateNames {
  readonly #authorities: readonly X509Certificate[]

  /** @param authorities PEM, one certificate each. @throws for what is no certificate. */
  constructor(authorities: readonly string[]) {
    this.#authorities = authorities
      .map((pem) => new X509Certificate(pem))
      .filter((authority) => authority.ca)
  }

  /** @returns common names, DNS names and URIs of the subject; undefined for a certificate that does not count. */
  read(der: Uint8Array, nowMs: number): readonly string[] | undefined {
    const certificate = parse(der)
    if (certificate === undefined || certificate.ca || !isForClients(certificate)) return undefined
    const isIssued = this.#authorities.some(
      (authority) =>
        isValidAt(authority, nowMs) &&
        isValidAt(certificate, nowMs) &&
        issued(authority, certificate),
    )
    return isIssued ? namesOf(certificate) : undefined
  }
}

function parse(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der)
  } catch {
    return undefined
  }
}

function issued(authority: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
  } catch {
    // A key or a signature of a kind that OpenSSL does not know.
    return false
  }
}

function isValidAt({ validFromDate, validToDate }: X509Certificate, nowMs: number): boolean {
  return validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime()
}

/** Without the extension a certificate is for everything. */
function isForClients({ keyUsage }: X509Certificate): boolean {
  const usages: readonly string[] | undefined = keyUsage
  return usages === undefined || usages.some((usage) => clientUsages.includes(usage))
}

function namesOf(certificate: X509Certificate): readonly string[] {
  const { subject } = certificate.toLegacyObject()
  const commonNames = [subject?.CN ?? []].flat()
  return [...commonNames, ...alternativeNames(certificate)].slice(0, namesMax)
}

/** Node writes `DNS:a, URI:"b, c"`: whatever could be read in two ways is a JSON string. */
function alternativeNames({ subjectAltName = '' }: X509Certificate): readonly string[] {
  const entries = subjectAltName.matchAll(/(?:^|, )([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)/g)
  const names: string[] = []
  for (const [, kind, value = ''] of entries) {
    if (kind !== 'DNS' && kind !== 'URI') continue
    names.push(value.startsWith('"') ? String(JSON.parse(value)) : value)
  }
  return names
}
