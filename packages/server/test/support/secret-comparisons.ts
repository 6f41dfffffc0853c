import { isTest, type SourceFile, withoutComments } from './architecture.ts'

/** Last words of names that hold something an attacker may try to guess byte by byte. */
const secretWords = new Set([
  'hash',
  'mac',
  'hmac',
  'digest',
  'secret',
  'password',
  'pin',
  'signature',
  'proof',
  'otp',
  'token',
  'nonce',
  'verifier',
])

/** A name that ends in one of these is judged by the word before. */
const formWords = new Set(['hex', 'base64', 'base64url', 'bytes', 'text', 'value', 'string'])

const operand = String.raw`[\w$.#?!]+(?:\[[^\]\n]*\]|\([^()\n]*\))?[\w$.#?!]*`
const comparison = new RegExp(
  String.raw`(typeof\s+)?(${operand})\s*([!=]==?)\s*(${operand}|['"\`])`,
  'g',
)
const bufferComparison = new RegExp(
  String.raw`(${operand})\.(equals|localeCompare)\(|\bBuffer\.compare\(\s*(${operand})`,
  'g',
)

/**
 * R20: comparisons that stop at the first difference, of values whose names say that they are secret. Comparing with a
 * literal, undefined, null or a length tells nothing about a secret.
 *
 * @returns `<path>: <comparison>`.
 */
export function secretComparisons({ path, text }: SourceFile): readonly string[] {
  if (isTest(path) || path.endsWith('.gen.ts')) return []
  const code = withoutComments(text)
  const found: string[] = []
  for (const [, isTypeof, left = '', sign, right = ''] of code.matchAll(comparison)) {
    if (isTypeof || isPlain(left) || isPlain(right)) continue
    if (isSecret(left) || isSecret(right)) found.push(`${path}: ${left} ${sign} ${right}`)
  }
  for (const [whole, object, , compared] of code.matchAll(bufferComparison)) {
    if (isSecret(object ?? compared ?? '')) found.push(`${path}: ${whole}`)
  }
  return found
}

function isPlain(text: string): boolean {
  return (
    /^(['"`\d]|-|undefined\b|null\b|true\b|false\b|this$)/.test(text) ||
    /\.(length|byteLength|size|type|kind|status|id)[!?]*$/i.test(text) ||
    // SCREAMING and PascalCase names are constants and types.
    /^[A-Z][A-Za-z]*$/.test(text)
  )
}

function isSecret(text: string): boolean {
  const name = text
    .replace(/(\[[^\]]*\]|\([^)]*\))/g, '')
    .replace(/[!?]+$/, '')
    .split(/[.#?]+/)
    .at(-1)
  const words = (name ?? '')
    .replace(/base64url/gi, 'Base64url')
    .split(/(?=[A-Z])|_|(?<=[a-z])(?=\d)/)
    .map((word) => word.toLowerCase())
  while (words.length > 1 && formWords.has(words.at(-1) ?? '')) words.pop()
  // A tag alone is a heading of a contract; the one of a cipher says whose it is.
  return (
    secretWords.has(words.at(-1) ?? '') || /^(auth|gcm|mac) tag$/.test(words.slice(-2).join(' '))
  )
}
