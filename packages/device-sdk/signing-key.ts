import { derFromRaw } from '@countersign/protocol/certificate/ecdsa-signature.ts'
import { jwkFromSpki, spkiFromJwk } from '@countersign/protocol/certificate/public-key.ts'
import { encodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { encodeUtf8 } from '@countersign/protocol/encoding/utf8.ts'
import {
  type DeviceJwsKind,
  deviceSigningInput,
  type EcPublicJwk,
} from '@countersign/protocol/message/device-jws.ts'
import { es256, own, p256, textHash, type WebKey } from './web-crypto.ts'

const { subtle } = globalThis.crypto

/** A P-256 key that signs. Where its private part is kept is the storage's matter: WebCrypto, a file, a secure element. */
export interface SigningKey {
  readonly jwk: EcPublicJwk
  /** RFC 7638, base64url. */
  readonly thumbprint: string
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** ECDSA with SHA-256. @returns r and s, 32 bytes each. */
  readonly signRaw: (bytes: Uint8Array) => Promise<Uint8Array>
}

export interface WebKeyPair {
  readonly privateKey: WebKey
  readonly publicKey: WebKey
}

/** @param extractable false where the platform can keep the key itself. */
export async function createKeyPair(extractable: boolean): Promise<WebKeyPair> {
  return subtle.generateKey(p256, extractable, ['sign', 'verify'])
}

export async function signingKeyOf({ privateKey, publicKey }: WebKeyPair): Promise<SigningKey> {
  const spki = new Uint8Array(await subtle.exportKey('spki', publicKey))
  return signingKey(
    jwkFromSpki(spki),
    async (bytes) => new Uint8Array(await subtle.sign(es256, privateKey, own(bytes))),
  )
}

/** A key whose private part is elsewhere, such as in a secure element. */
export async function signingKey(
  jwk: EcPublicJwk,
  signRaw: SigningKey['signRaw'],
): Promise<SigningKey> {
  const { crv, kty, x, y } = jwk
  const spki = spkiFromJwk(jwk)
  if (spki === undefined) throw new TypeError('The key is no P-256 key.')
  return { jwk, thumbprint: await textHash(JSON.stringify({ crv, kty, x, y })), spki, signRaw }
}

/** ECDSA-Sig-Value, as CSR and CMS carry it. */
export function derSignerOf(key: SigningKey): (bytes: Uint8Array) => Promise<Uint8Array> {
  return async (bytes) => derFromRaw(await key.signRaw(bytes))
}

/** Kinds whose header brings the key itself; the others name it. */
const selfSigned: ReadonlySet<DeviceJwsKind> = new Set(['keys', 'dpop'])

/** A compact JWS of the device protocol. Claims are written in the order given; undefined ones are left out. */
export async function signJws(
  kind: DeviceJwsKind,
  key: SigningKey,
  claims: object,
): Promise<string> {
  const named = selfSigned.has(kind) ? { jwk: key.jwk } : { kid: key.thumbprint }
  const input = deviceSigningInput(kind, named, claims)
  return `${input}.${encodeBase64url(await key.signRaw(encodeUtf8(input)))}`
}
