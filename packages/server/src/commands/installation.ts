import type { MasterKey } from '#custody/master-key.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { SealError, Vault } from '#custody/vault.ts'
import { platformTenantId } from '#domain/callers/caller.ts'
import { Stores } from '#domain/storage.ts'
import {
  MasterKeyMismatchError,
  platformValueNames,
  platformValuePlace,
} from '#domain/tenants/platform-bootstrap.ts'
import { createIdSource } from '#domain/ulid.ts'
import type { Queries } from '#storage/queries.ts'
import { CommandError, exitCodes } from './failure.ts'

/** Where an installation keeps the value that only its master key opens. */
export const masterKeyCheckKey = {
  tenantId: platformTenantId,
  name: platformValueNames.masterKeyCheck,
} as const

/** A database's stores, read and written through the given connection. */
export function storesOf(queries: Queries): Stores {
  return new Stores(queries, Date.now, createIdSource(Date.now, systemRandomness))
}

/** Opens what the database has sealed. */
export function vaultOf(queries: Queries, masterKey: MasterKey): Vault {
  return new Vault(masterKey, storesOf(queries).tenantKeys, systemRandomness)
}

const unfinishedPrefix = 'unfinished:'

/**
 * What stands in place of the check value while a database is being filled from elsewhere. No master key opens it, so no
 * server starts on half of the data.
 *
 * @param origin names what it is filled from.
 */
export function unfinishedMark(origin: string): string {
  return unfinishedPrefix + origin
}

/**
 * The sealed value by which a database knows its master key; it is different in every installation.
 *
 * @throws CommandError when no server has made its platform in the database yet.
 */
export async function getMasterKeyCheck(queries: Queries, name: string): Promise<string> {
  const check = await storesOf(queries).platformValues.find(masterKeyCheckKey)
  if (check?.startsWith(unfinishedPrefix)) {
    throw new CommandError(exitCodes.badData, `${name} is a copy that was never finished.`)
  }
  if (check !== undefined) return check
  throw new CommandError(exitCodes.badData, `${name} is empty: no server has ever used it.`)
}

/**
 * Finds out whether the master key belongs to the database.
 *
 * @throws MasterKeyMismatchError
 */
export async function requireRightMasterKey(
  queries: Queries,
  masterKey: MasterKey,
  check: string,
): Promise<void> {
  try {
    const place = platformValuePlace(platformValueNames.masterKeyCheck)
    await vaultOf(queries, masterKey).open(place, Buffer.from(check, 'base64'))
  } catch (error) {
    if (!(error instanceof SealError)) throw error
    throw new MasterKeyMismatchError('The master key does not fit the database.', { cause: error })
  }
}
