import type { MasterKey } from '#custody/master-key.ts'
import { systemRandomness } from '#custody/randomness.ts'
import type { Clock } from '#domain/clock.ts'
import { Storage } from '#domain/storage.ts'
import { createIdSource } from '#domain/ulid.ts'
import { openDatabase } from '#storage/database.ts'
import { openSnapshot, requireCurrentSchema } from '#storage/snapshot.ts'
import { CommandError, exitCodes } from '../failure.ts'
import { getMasterKeyCheck, requireRightMasterKey } from '../installation.ts'
import {
  configuredDatabase,
  readMasterKeyFile,
  readSettings,
  requireMasterKey,
} from '../settings.ts'
import type { Terminal } from '../terminal.ts'
import { rotateDataKeys } from './data-keys.ts'
import { MasterKeyChange } from './master-key-change.ts'

export interface RewrapOptions {
  readonly newKeyFile?: string
  readonly finish?: boolean
  readonly dataKeys?: boolean
  readonly tenant?: string
  readonly settleSeconds?: string
}

/** Twice as long as a server may use a key that was replaced, and a long transaction besides. */
const settleSecondsDefault = 60
const settleSecondsMax = 3_600
const clock: Clock = () => Date.now()

/** Changes keys while servers run; every step may be interrupted and repeated. */
export async function rewrap(terminal: Terminal, options: RewrapOptions): Promise<void> {
  requireOneJob(options)
  const settings = readSettings()
  const masterKey = requireMasterKey(settings)
  const nextKey =
    options.newKeyFile === undefined ? undefined : readMasterKeyFile(options.newKeyFile)
  const source = configuredDatabase(settings)
  await requireUsable(source.url, source.name, [masterKey, nextKey])

  const database = openDatabase(source.url, { exclusive: false })
  try {
    const storage = new Storage(database, clock, createIdSource(clock, systemRandomness))
    if (options.dataKeys === true) {
      await rotateDataKeys(terminal, {
        database,
        storage,
        masterKey,
        tenantId: options.tenant,
        settleMs: readSettleMs(options.settleSeconds),
      })
      return
    }
    const change = new MasterKeyChange({ database, storage, terminal })
    if (options.finish === true) await change.finish(nextKey ?? masterKey)
    else if (nextKey !== undefined) await change.addWraps({ from: masterKey, to: nextKey })
  } finally {
    await database.close()
  }
}

function requireOneJob({
  newKeyFile,
  finish,
  dataKeys,
  tenant,
  settleSeconds,
}: RewrapOptions): void {
  const isMasterKeyJob = newKeyFile !== undefined || finish === true
  if (isMasterKeyJob === (dataKeys === true)) {
    throw usage('Give --new-key-file, or --finish, or --data-keys.')
  }
  if (isMasterKeyJob && (tenant !== undefined || settleSeconds !== undefined)) {
    throw usage('--tenant and --settle-seconds belong to --data-keys.')
  }
}

/** The configured key fits, or, once its wraps are gone, the one that followed it. */
async function requireUsable(
  url: string,
  name: string,
  keys: readonly (MasterKey | undefined)[],
): Promise<void> {
  await using snapshot = await openSnapshot(url)
  requireCurrentSchema(snapshot)
  const check = await getMasterKeyCheck(snapshot.queries, name)
  let failure: unknown
  for (const key of keys) {
    if (key === undefined) continue
    try {
      await requireRightMasterKey(snapshot.queries, key, check)
      return
    } catch (error) {
      failure ??= error
    }
  }
  throw failure
}

function readSettleMs(text: string | undefined): number {
  if (text === undefined) return settleSecondsDefault * 1000
  const seconds = Number(text)
  if (!/^\d{1,4}$/.test(text) || seconds > settleSecondsMax) {
    throw usage(`--settle-seconds must be a whole number from 0 to ${settleSecondsMax}.`)
  }
  return seconds * 1000
}

function usage(message: string): CommandError {
  return new CommandError(exitCodes.usage, message)
}
