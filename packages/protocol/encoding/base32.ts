const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const refused = 255
const upperCaseOnly = decodingTable(alphabet)
const eitherCase = decodingTable(alphabet, alphabet.toLowerCase())

/** How many characters the last group of eight may have; the other numbers leave no whole bytes. */
const lastGroupLengths: ReadonlySet<number> = new Set([0, 2, 4, 5, 7])

/**
 * Reads Base32 (RFC 4648 section 6). One value has one spelling, apart from the padding, which may be left out, and
 * from what `anyCase` allows: bits beyond the last byte must be zero, padding must be complete, and nothing is skipped.
 *
 * @param options.anyCase accepts lower-case letters too.
 * @returns undefined for any text that is not such a spelling.
 */
export function decodeBase32(
  text: string,
  options: { readonly anyCase?: boolean } = {},
): Uint8Array | undefined {
  const digitCount = unpaddedLength(text)
  if (digitCount === undefined) return undefined
  const table = options.anyCase ? eitherCase : upperCaseOnly
  const bytes = new Uint8Array(Math.floor((digitCount * 5) / 8))
  let pending = 0
  let pendingBits = 0
  let written = 0
  for (let index = 0; index < digitCount; index++) {
    const digit = table[text.charCodeAt(index)] ?? refused
    if (digit === refused) return undefined
    pending = (pending << 5) | digit
    pendingBits += 5
    if (pendingBits >= 8) {
      pendingBits -= 8
      bytes[written++] = pending >> pendingBits
      pending &= (1 << pendingBits) - 1
    }
  }
  return pending === 0 ? bytes : undefined
}

/** Writes Base32 in upper case without padding, as otpauth URIs want it. */
export function encodeBase32(bytes: Uint8Array): string {
  let text = ''
  let pending = 0
  let pendingBits = 0
  for (const byte of bytes) {
    pending = (pending << 8) | byte
    pendingBits += 8
    while (pendingBits >= 5) {
      pendingBits -= 5
      text += alphabet[pending >> pendingBits]
      pending &= (1 << pendingBits) - 1
    }
  }
  return pendingBits === 0 ? text : text + alphabet[pending << (5 - pendingBits)]
}

function unpaddedLength(text: string): number | undefined {
  let length = text.length
  while (length > 0 && text[length - 1] === '=') length--
  if (length < text.length && (text.length % 8 !== 0 || text.length - length > 6)) return undefined
  return lastGroupLengths.has(length % 8) ? length : undefined
}

function decodingTable(...alphabets: string[]): Uint8Array {
  const table = new Uint8Array(128).fill(refused)
  for (const letters of alphabets) {
    for (let digit = 0; digit < letters.length; digit++) table[letters.charCodeAt(digit)] = digit
  }
  return table
}
