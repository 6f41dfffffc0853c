import { isOriginAllowed, type OutboundRule } from '../tenants/outbound-rule.ts'

/** RFC 1035, section 2.3.4: no name is longer. The host names the queue in which callbacks wait. */
const hostLengthMax = 253

/**
 * Whether a callback may go to an address: only where the tenant's list says so, and where the server may call at all. Asked
 * when a nonce is made, and again at each call.
 *
 * @param allowedOrigins settings.callbacks.allowedOrigins; an empty list allows none.
 */
export function isCallbackAllowed(
  outbound: OutboundRule,
  url: string,
  allowedOrigins: readonly string[],
): boolean {
  if (!outbound.permits(url) || !isOriginAllowed(url, allowedOrigins)) return false
  return new URL(url).hostname.length <= hostLengthMax
}
