import { isIP, type LookupFunction } from 'node:net'
import type { AttemptError } from '#domain/outbox/outbox-message.ts'
import { isLocal, type OutboundRule } from '#domain/tenants/outbound-rule.ts'
import type { AddressResolver } from './address-resolver.ts'

/** Where a URL leads: what may be connected to, and nothing else. */
export interface OutboundTarget {
  readonly url: URL
  /** Lower case, IPv6 without brackets, no dot at the end. */
  readonly host: string
  readonly port: number
  readonly isTls: boolean
  /** All that the name has, every one of them allowed. */
  readonly addresses: readonly string[]
}

/**
 * Says where an address that a tenant chose leads. The name is resolved once; connect to `addresses` alone, by
 * {@link pinned}.
 *
 * @param signal ends the wait for the name servers.
 */
export async function findTarget(
  text: string,
  { rule, resolver }: { readonly rule: OutboundRule; readonly resolver: AddressResolver },
  signal: AbortSignal,
): Promise<OutboundTarget | AttemptError> {
  if (!rule.permits(text)) return 'ADDRESS_REFUSED'
  const url = new URL(text)
  const isTls = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
  let addresses: readonly string[]
  try {
    addresses = await Promise.race([resolver.resolve(host), rejectedBy(signal)])
  } catch {
    return signal.aborted ? 'TIMEOUT' : 'CONNECTION'
  }
  if (addresses.length === 0) return 'CONNECTION'
  const allowed = addresses.filter((address) => rule.permitsAddress(host, address))
  // A name that leads to one forbidden address is refused whole; only this machine may be named in one family.
  const isRefused = isLocal(host) ? allowed.length === 0 : allowed.length < addresses.length
  if (isRefused) return 'ADDRESS_REFUSED'
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port)
  return { url, host, port, isTls, addresses: allowed }
}

/** Answers every lookup of the connection with the addresses that were checked. */
export function pinned({ addresses }: OutboundTarget): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_host, options, callback) => {
    const [first] = found
    if (options.all === true) callback(null, found)
    else callback(null, first?.address ?? '', first?.family)
  }
}

/** Options of TLS: the certificate must be for the name of the URL; an address is never sent as a name. */
export function tlsOptions({ host }: OutboundTarget): {
  rejectUnauthorized: true
  servername?: string
} {
  return { rejectUnauthorized: true, ...(isIP(host) === 0 ? { servername: host } : {}) }
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(new Error('The time is over.'))
    signal.addEventListener('abort', () => reject(new Error('The time is over.')), { once: true })
  })
}
