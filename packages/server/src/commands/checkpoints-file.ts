import { decodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { isJsonObject } from '@countersign/protocol/encoding/json.ts'
import type { JWK } from 'jose'
import { checkpointTyp, JwsVerifier } from '#custody/signer.ts'
import { CommandError, exitCodes } from './failure.ts'
import { readWhole } from './lines.ts'

/** What a checkpoint states: this chain has a record `seq` with this hash. */
export interface CheckpointStatement {
  readonly tenantId: string
  readonly seq: number
  readonly hash: string
  /** False when keys were given and none of them has signed it; undefined without keys. */
  readonly isSigned: boolean | undefined
}

/**
 * Reads checkpoints that were kept outside: one compact JWS a line, or JSON as the API answers it (one checkpoint, a
 * page, or a list of either).
 *
 * @throws CommandError for a file that holds anything else.
 */
export async function readCheckpoints(
  path: string,
  keys: readonly JWK[] | undefined,
): Promise<CheckpointStatement[]> {
  const verifier = new JwsVerifier()
  const statements: CheckpointStatement[] = []
  for (const jws of jwsTextsOf(readWhole(path), path)) {
    const statement = parseStatement(jws)
    if (statement === undefined) throw malformed(path)
    const isSigned = keys && (await verifier.verify(jws, checkpointTyp, keys)) !== undefined
    statements.push({ ...statement, isSigned })
  }
  return statements
}

/** A JWK set, or a single key. @throws CommandError */
export function readJwks(path: string): JWK[] {
  const value = parseJson(readWhole(path))
  const keys = isJsonObject(value) && Array.isArray(value.keys) ? value.keys : [value]
  if (!keys.every((key) => isJsonObject(key) && typeof key.kty === 'string')) {
    throw new CommandError(exitCodes.badData, `${path} is not a JWK set.`)
  }
  return keys as JWK[]
}

function jwsTextsOf(text: string, path: string): string[] {
  const whole = parseJson(text)
  if (whole !== undefined) return jwsOf(whole, path)
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.flatMap((line) => jwsOf(parseJson(line) ?? line.trim(), path))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function jwsOf(value: unknown, path: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => jwsOf(item, path))
  if (isJsonObject(value) && Array.isArray(value.items)) return jwsOf(value.items, path)
  if (isJsonObject(value) && typeof value.jws === 'string') return [value.jws]
  if (typeof value === 'string') return [value]
  throw malformed(path)
}

function parseStatement(jws: string): Omit<CheckpointStatement, 'isSigned'> | undefined {
  const payload = decodeBase64url(jws.split('.')[1] ?? '')
  if (payload === undefined) return undefined
  const value = parseJson(Buffer.from(payload).toString('utf8'))
  if (!isJsonObject(value)) return undefined
  const { tenantId, seq, hash } = value
  return typeof tenantId === 'string' && typeof seq === 'number' && typeof hash === 'string'
    ? { tenantId, seq, hash }
    : undefined
}

function malformed(path: string): CommandError {
  return new CommandError(
    exitCodes.badData,
    `${path} does not hold checkpoints: one JWS a line, or JSON as the API answers it.`,
  )
}
