import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { isLocal } from '#domain/tenants/outbound-rule.ts'

/** The addresses of a name. @throws when it has none. */
export type AddressSource = (host: string) => Promise<readonly string[]>

const queryMsMax = 2_000
const queryTries = 2
const addressesMax = 16
/** Addresses from names that the name servers do not know are looked up one at a time, and few may wait. */
const systemLookupsMax = 64

/**
 * Asks the name servers; names that they do not know are looked for as the system does (`/etc/hosts`). The system's own
 * lookup holds a thread that other work needs, so there is never more than one of those.
 */
export function systemAddresses(): AddressSource {
  const resolver = new Resolver({ timeout: queryMsMax, tries: queryTries })
  let waiting = 0
  let lastLookup: Promise<unknown> = Promise.resolve()

  async function lookUp(host: string): Promise<readonly string[]> {
    if (waiting >= systemLookupsMax) throw new Error('Too many names wait to be looked up.')
    waiting += 1
    const turn = lastLookup.then(() => lookup(host, { all: true }))
    lastLookup = turn.catch(() => {})
    try {
      return (await turn).map(({ address }) => address)
    } finally {
      waiting -= 1
    }
  }

  return async (host) => {
    if (isLocal(host)) return ['127.0.0.1', '::1']
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    return found.length > 0 ? found : lookUp(host)
  }
}

interface Kept {
  readonly addresses: Promise<readonly string[]>
  readonly untilMs: number
}

const keptMs = 5_000
const keptHostsMax = 1_000

/** Resolves each name once for all calls of a few seconds. */
export class AddressResolver {
  readonly #source: AddressSource
  readonly #kept = new Map<string, Kept>()

  constructor(source: AddressSource) {
    this.#source = source
  }

  /** @param host a name, or an address as it stands, IPv6 without brackets. */
  async resolve(host: string): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [host]
    const nowMs = performance.now()
    const kept = this.#kept.get(host)
    if (kept !== undefined && nowMs < kept.untilMs) return kept.addresses
    if (this.#kept.size >= keptHostsMax) this.#kept.clear()
    const addresses = this.#source(host).then((found) => found.slice(0, addressesMax))
    this.#kept.set(host, { addresses, untilMs: nowMs + keptMs })
    // A failure is nobody's but its own call's.
    addresses.catch(() => this.#kept.delete(host))
    return addresses
  }
}
