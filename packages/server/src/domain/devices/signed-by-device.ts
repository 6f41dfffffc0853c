import type { KeyObject } from 'node:crypto'
import {
  type DeviceJws,
  type DeviceJwsKind,
  type EcPublicJwk,
  readDeviceJws,
} from '@countersign/protocol/message/device-jws.ts'
import {
  importEcPublicJwk,
  jwkThumbprint,
  verifyEs256OnPool,
} from '@countersign/protocol/message/es256.ts'
import { RecentKeys } from '#custody/recent-keys.ts'
import { secretsEqual } from '#custody/secrets.ts'
import { DeviceRefusal } from './device-refusal.ts'

/** Signed times may differ from the server's by this much. */
export const clockSkewSeconds = 120
/** How long a `jti` is remembered; longer than any signed time counts. */
export const replayMemoryMs = 600_000

const keptKeys = new RecentKeys()

/** Whether the key that a device is known by signed this; found out beside the event loop. */
export async function isSignedBy<Kind extends DeviceJwsKind>(
  jws: DeviceJws<Kind>,
  key: EcPublicJwk,
): Promise<boolean> {
  const imported = keyObjectOf(key)
  if (imported === undefined) return false
  return verifyEs256OnPool(imported, jws.signingInput, jws.signature)
}

/** A JWS whose key stands in its header, checked with that key. */
export async function readSelfSigned<Kind extends 'keys' | 'dpop'>(
  kind: Kind,
  compact: string,
): Promise<{ jws: DeviceJws<Kind>; jwk: EcPublicJwk; thumbprint: string } | undefined> {
  const jws = readDeviceJws(kind, compact)
  if (jws?.jwk === undefined || !(await isSignedBy(jws, jws.jwk))) return undefined
  return { jws, jwk: jws.jwk, thumbprint: jwkThumbprint(jws.jwk) }
}

/** @throws DeviceRefusal `clock_skew` with the server's time. */
export function requireCloseTime(iatSeconds: number, nowMs: number): void {
  if (Math.abs(iatSeconds - Math.floor(nowMs / 1000)) > clockSkewSeconds) {
    throw new DeviceRefusal('clock_skew', { serverTimeMs: nowMs })
  }
}

function keyObjectOf(key: EcPublicJwk): KeyObject | undefined {
  return keptKeys.get(key.x + key.y, () => importEcPublicJwk(key))
}

/** Compares what was signed with what is expected, in constant time; absent on both sides is equal. */
export function saysTheSame(signed: string | undefined, expected: string | undefined): boolean {
  if (signed === undefined || expected === undefined) return signed === expected
  return secretsEqual(signed, expected)
}
