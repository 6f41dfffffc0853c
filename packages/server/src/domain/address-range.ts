import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** An IP address or a prefix of addresses, such as `192.0.2.7`, `10.0.0.0/8` or `fc00::/7`. */
export class AddressRange {
  readonly #first: Address
  readonly #prefixLength: number

  private constructor(first: Address, prefixLength: number) {
    this.#first = first
    this.#prefixLength = prefixLength
  }

  /**
   * Undefined for anything that could be read in two ways: IPv4 with fewer than four parts or in octal, a prefix with bits
   * set behind its length, a zone, IPv4 written as IPv6.
   */
  static parse(text: string): AddressRange | undefined {
    const [addressText = '', lengthText, ...rest] = text.split('/')
    if (rest.length > 0) return undefined
    const first = parseAddress(addressText)
    if (!first || isMapped(first)) return undefined
    const bits = first.kind() === 'ipv4' ? 32 : 128
    if (lengthText === undefined) return new AddressRange(first, bits)
    if (!/^(0|[1-9]\d{0,2})$/.test(lengthText)) return undefined
    const prefixLength = Number(lengthText)
    if (prefixLength > bits || !isZeroBehind(first, prefixLength)) return undefined
    return new AddressRange(first, prefixLength)
  }

  /** False also for what is no address. An IPv4 address that a dual-stack socket shows as IPv6 counts as IPv4. */
  contains(address: string): boolean {
    let candidate = parseAddress(address)
    if (candidate && isMapped(candidate)) candidate = (candidate as ipaddr.IPv6).toIPv4Address()
    if (candidate?.kind() !== this.#first.kind()) return false
    return candidate.match([this.#first, this.#prefixLength])
  }

  toString(): string {
    return `${this.#first.toString()}/${this.#prefixLength}`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** True when one of the ranges holds the address. */
export function isAddressIn(ranges: readonly AddressRange[], address: string): boolean {
  return ranges.some((range) => range.contains(address))
}

function parseAddress(text: string): Address | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text)
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined
  return ipaddr.IPv6.parse(text)
}

function isMapped(address: Address): boolean {
  return address.kind() === 'ipv6' && (address as ipaddr.IPv6).isIPv4MappedAddress()
}

function isZeroBehind(address: Address, prefixLength: number): boolean {
  return address.toByteArray().every((byte, index) => {
    const keptBits = Math.min(8, Math.max(0, prefixLength - index * 8))
    return (byte & (0xff >> keptBits)) === 0
  })
}
