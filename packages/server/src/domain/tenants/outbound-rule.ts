import ipaddr from 'ipaddr.js'
import { type AddressRange, isAddressIn } from '../address-range.ts'

/** What outgoing calls may reach beyond public addresses over https: COUNTERSIGN_OUTBOUND_ALLOW. */
export interface OutboundAllow {
  readonly hosts: readonly string[]
  readonly ranges: readonly AddressRange[]
}

/** Which addresses a tenant may have the server call. A name is judged by its spelling here, by its address when called. */
export class OutboundRule {
  readonly #allow: OutboundAllow

  constructor(allow: OutboundAllow) {
    this.#allow = allow
  }

  /** True for https to a public address or any name, and for what the operator has named. */
  permits(url: string): boolean {
    const parsed = URL.canParse(url) ? new URL(url) : undefined
    if (parsed === undefined || parsed.username !== '' || parsed.password !== '') return false
    if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') return false
    const host = hostOf(parsed)
    if (this.#names(host)) return true
    return parsed.protocol === 'https:' && (ipaddr.isValid(host) ? isPublic(host) : !isLocal(host))
  }

  /** As {@link permits}, within a tenant's settings.callbacks: while its list is empty, anything that is permitted. */
  permitsWithin(url: string, allowedOrigins: readonly string[]): boolean {
    return (
      this.permits(url) && (allowedOrigins.length === 0 || isOriginAllowed(url, allowedOrigins))
    )
  }

  /**
   * True when a connection to this address may be made for the host of a URL that {@link permits}. Whatever the name
   * says, what counts is where it leads.
   *
   * @param host of the URL, IPv6 without brackets.
   */
  permitsAddress(host: string, address: string): boolean {
    if (this.#allow.hosts.includes(host)) return true
    return isAddressIn(this.#allow.ranges, address) || isPublic(address)
  }

  #names(host: string): boolean {
    if (this.#allow.hosts.includes(host)) return true
    const addresses = isLocal(host) ? ['127.0.0.1', '::1'] : [host]
    return addresses.some((address) => isAddressIn(this.#allow.ranges, address))
  }
}

/**
 * True when the URL's origin is one of the list: scheme, host (`*.` in front stands for every sub-domain) and port.
 *
 * @param allowedOrigins as in settings.callbacks.
 */
export function isOriginAllowed(url: string, allowedOrigins: readonly string[]): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, hostname, port } = new URL(url)
  return allowedOrigins.some((entry) => {
    const star = '://*.'
    const anyHost = entry.includes(star)
    const plain = entry.replace(star, '://')
    if (!URL.canParse(plain)) return false
    const allowed = new URL(plain)
    if (allowed.protocol !== protocol || allowed.port !== port) return false
    return anyHost ? hostname.endsWith(`.${allowed.hostname}`) : hostname === allowed.hostname
  })
}

/** Lower case, no brackets, no dot at the end. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
}

/** RFC 6761, section 6.3: names that always mean this machine. */
export function isLocal(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost')
}

/** Global unicast IPv6: all others, known and unknown, lead to special places. */
const globalUnicast = ipaddr.parseCIDR('2000::/3')

function isPublic(text: string): boolean {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.process(text)
  if (address.range() !== 'unicast') return false
  return address.kind() === 'ipv4' || address.match(globalUnicast)
}
