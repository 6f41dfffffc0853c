import { createHash, createHmac, createPublicKey, verify as verifySignature } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { derFromRaw } from '../certificate/ecdsa-signature.ts'
import { spkiFromJwk } from '../certificate/public-key.ts'

interface Signed {
  readonly jws: string
}

/** The contract's published vectors, as far as certificates and messages are concerned. */
interface DeviceVectors {
  readonly keys: Record<KeyLabel, { privateJwk: { x: string; y: string; d: string } }>
  readonly enrolment: { readonly proof: Signed; readonly bioProof: Signed }
  readonly token: { readonly clientAssertion: Signed; readonly bio: { readonly assertion: Signed } }
  readonly operation: { readonly pin: { readonly assertion: Signed } }
  readonly certificate: {
    readonly csr: string
    readonly csrSubject: { readonly CN: string }
    readonly certificate: string
    readonly chain: readonly string[]
    readonly trustAnchors: readonly string[]
    readonly subject: { readonly CN: string; readonly UID: string }
    readonly serialNumber: string
    readonly notBefore: string
    readonly notAfter: string
  }
  readonly tms: {
    readonly contentBytes: string
    readonly signingTime: number
    readonly signedAttributesDer: string
    readonly signedData: string
    readonly reject: { readonly assertion: Signed }
  }
  readonly negative: readonly { readonly name: string; readonly signedData?: string }[]
}

export const deviceVectors = JSON.parse(
  readFileSync(new URL('./device-vectors.json', import.meta.url), 'utf8'),
) as DeviceVectors
const vectors = deviceVectors

export type KeyLabel = 'device' | 'bio' | 'bio-2' | 'root' | 'signer' | 'other-device'

export const sha256 = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.from(createHash('sha256').update(bytes).digest())
export const sha1 = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.from(createHash('sha1').update(bytes).digest())

export function verify(spki: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    return verifySignature('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature)
  } catch {
    // A point that is not on the curve.
    return false
  }
}

export function spkiOf(label: KeyLabel): Uint8Array {
  const spki = spkiFromJwk(vectors.keys[label].privateJwk)
  if (spki === undefined) throw new Error('No such key.')
  return spki
}

/** r and s of RFC 6979 with SHA-256: the vectors' signatures, byte for byte. */
export function signRaw(label: KeyLabel): (bytes: Uint8Array) => Promise<Uint8Array> {
  const d = toNumber(Buffer.from(vectors.keys[label].privateJwk.d, 'base64url'))
  return async (bytes) => {
    const z = sha256(bytes)
    let k = Buffer.alloc(32, 0)
    let v = Buffer.alloc(32, 1)
    const mac = (key: Uint8Array, ...parts: Uint8Array[]) =>
      createHmac('sha256', key).update(Buffer.concat(parts)).digest()
    const seed = Buffer.concat([toBytes(d), toBytes(toNumber(z) % n)])
    for (const step of [0, 1]) {
      k = mac(k, v, Uint8Array.of(step), seed)
      v = mac(k, v)
    }
    for (;;) {
      v = mac(k, v)
      const nonce = toNumber(v)
      if (nonce > 0n && nonce < n) {
        const [x] = multiply(nonce)
        const r = x % n
        const s = (inverse(nonce, n) * (toNumber(z) + r * d)) % n
        if (r !== 0n && s !== 0n) return Buffer.concat([toBytes(r), toBytes(s)])
      }
      k = mac(k, v, Uint8Array.of(0))
      v = mac(k, v)
    }
  }
}

export function signDer(label: KeyLabel): (bytes: Uint8Array) => Promise<Uint8Array> {
  return async (bytes) => derFromRaw(await signRaw(label)(bytes))
}

const p = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn
const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
type Point = readonly [bigint, bigint]
const generator: Point = [
  0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
]

function multiply(scalar: bigint): Point {
  let result: Point | undefined
  let doubled: Point = generator
  for (let rest = scalar; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = result === undefined ? doubled : add(result, doubled)
    doubled = add(doubled, doubled)
  }
  if (result === undefined) throw new Error('Nothing was multiplied.')
  return result
}

function add([x1, y1]: Point, [x2, y2]: Point): Point {
  const slope =
    x1 === x2 ? (3n * x1 * x1 - 3n) * inverse(2n * y1, p) : (y2 - y1) * inverse(x2 - x1, p)
  const x = mod(slope * slope - x1 - x2, p)
  return [x, mod(slope * (x1 - x) - y1, p)]
}

function mod(value: bigint, modulus: bigint): bigint {
  return ((value % modulus) + modulus) % modulus
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b] = [mod(value, modulus), modulus]
  let [x, y] = [1n, 0n]
  while (a > 1n) {
    const quotient = a / b
    ;[a, b] = [b, a % b]
    ;[x, y] = [y, x - quotient * y]
    if (b === 0n) break
  }
  return mod(x, modulus)
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

function toBytes(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
}

/** Texts that differ in one byte: at each place a bit (another one at each), the next value, and none. */
export function* singleByteMutations(bytes: Uint8Array): Generator<Uint8Array> {
  for (let index = 0; index < bytes.length; index++) {
    const original = bytes[index] ?? 0
    const others = new Set([0, (original + 1) & 0xff, original ^ (1 << (index % 8))])
    others.delete(original)
    for (const other of others) {
      const mutated = Uint8Array.from(bytes)
      mutated[index] = other
      yield mutated
    }
  }
}

export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'))
}
