import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { MasterKey } from '#custody/master-key.ts'
import type { Randomness } from '#custody/randomness.ts'
import { newTicket } from '#custody/secrets.ts'

const keyLength = 32

/** The file is there and holds no master key. */
export class MasterKeyFileError extends Error {
  override readonly name = 'MasterKeyFileError'
}

/**
 * Reads the master key that an embedded installation keeps beside its database, making it (0600) on first start. Of
 * several processes that start at once, one makes the file and the others read it.
 *
 * @throws MasterKeyFileError
 */
export function readOrMakeMasterKey(path: string, randomness: Randomness): MasterKey {
  return new MasterKey(readKey(path) ?? makeKey(path, randomness))
}

function readKey(path: string): Uint8Array | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new MasterKeyFileError(`${path} cannot be read.`, { cause: error })
  }
  const key = decodeBase64(text.trim())
  if (key?.length !== keyLength) {
    throw new MasterKeyFileError(`${path} does not hold 32 bytes as base64.`)
  }
  return key
}

function makeKey(path: string, randomness: Randomness): Uint8Array {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${newTicket(randomness).slice(0, 12)}`
  writeFileSync(draft, `${Buffer.from(randomness(keyLength)).toString('base64')}\n`, {
    mode: 0o600,
    flag: 'wx',
    flush: true,
  })
  chmodSync(draft, 0o600)
  try {
    // Linking fails when somebody was faster, so the file is never replaced and never seen half written.
    linkSync(draft, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    rmSync(draft)
  }
  const key = readKey(path)
  if (key === undefined) throw new MasterKeyFileError(`${path} has vanished.`)
  return key
}
