const alphabets = {
  base64: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
  base64url: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
} as const

export type Base64Alphabet = keyof typeof alphabets

const foreign = 64
const values = { base64: valuesOf(alphabets.base64), base64url: valuesOf(alphabets.base64url) }

/**
 * Reads Base64 where there is no `Buffer`: padded in `base64`, without padding in `base64url`.
 *
 * @returns undefined for every text but the one that {@link encodePlain} writes for the same bytes.
 */
export function decodePlain(text: string, alphabet: Base64Alphabet): Uint8Array | undefined {
  const digits = alphabet === 'base64' ? digitCount(text) : text.length
  if (digits === undefined || digits % 4 === 1) return undefined
  const table = values[alphabet]
  const bytes = new Uint8Array(Math.floor((digits * 3) / 4))
  let bits = 0
  let bitCount = 0
  let length = 0
  for (let index = 0; index < digits; index++) {
    const value = table[text.charCodeAt(index)] ?? foreign
    if (value === foreign) return undefined
    bits = (bits << 6) | value
    bitCount += 6
    if (bitCount >= 8) {
      bitCount -= 8
      bytes[length++] = bits >>> bitCount
      bits &= (1 << bitCount) - 1
    }
  }
  // Bits beyond the last byte are zero in the one canonical spelling.
  return bits === 0 ? bytes : undefined
}

/** Writes Base64 where there is no `Buffer`. */
export function encodePlain(bytes: Uint8Array, alphabet: Base64Alphabet): string {
  const digits = alphabets[alphabet]
  let text = ''
  for (let index = 0; index < bytes.length; index += 3) {
    const left = bytes.length - index
    const group =
      ((bytes[index] ?? 0) << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0)
    text += digits.charAt(group >>> 18) + digits.charAt((group >>> 12) & 63)
    if (left > 1) text += digits.charAt((group >>> 6) & 63)
    if (left > 2) text += digits.charAt(group & 63)
  }
  return alphabet === 'base64' ? text.padEnd(Math.ceil(bytes.length / 3) * 4, '=') : text
}

/** Characters before the padding, which must fill the last group of four. */
function digitCount(text: string): number | undefined {
  if (text.length % 4 !== 0) return undefined
  if (text.endsWith('==')) return text.length - 2
  return text.endsWith('=') ? text.length - 1 : text.length
}

function valuesOf(alphabet: string): Uint8Array {
  const table = new Uint8Array(128).fill(foreign)
  for (let index = 0; index < alphabet.length; index++) table[alphabet.charCodeAt(index)] = index
  return table
}
