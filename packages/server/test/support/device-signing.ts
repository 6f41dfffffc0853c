import { hash, randomBytes, sign } from 'node:crypto'
import { jwkFromSpki } from '@countersign/protocol/certificate/public-key.ts'
import {
  type DecisionClaims,
  type DeviceJwsKind,
  deviceSigningInput,
  type EcPublicJwk,
} from '@countersign/protocol/message/device-jws.ts'
import type { TestKey } from './device-keys.ts'

/** SHA-256, base64url. */
export function hashOf(value: string | Uint8Array): string {
  return hash('sha256', value, 'base64url')
}

export function jwkOf({ spki }: TestKey): EcPublicJwk {
  return jwkFromSpki(spki)
}

/** A JWS whose key is named in the header as its kind has it. */
export function signJws(kind: DeviceJwsKind, key: TestKey, claims: object): string {
  const named = kind === 'keys' || kind === 'dpop' ? { jwk: jwkOf(key) } : { kid: key.thumbprint }
  return withSignature(key, deviceSigningInput(kind, named, claims))
}

/** Appends the signature to header and payload. */
export function withSignature({ privateKey }: TestKey, input: string): string {
  const signature = sign('sha256', Buffer.from(input, 'ascii'), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  })
  return `${input}.${signature.toString('base64url')}`
}

/** A random `jti`. */
export function newJti(): string {
  return randomBytes(16).toString('base64url')
}

/** What a decision says beside who decides and when. */
export type Decided = Omit<DecisionClaims, 'iss' | 'sub' | 'aud' | 'iat' | 'jti'>
