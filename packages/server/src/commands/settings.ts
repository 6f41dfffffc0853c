import { existsSync, readFileSync } from 'node:fs'
import { MasterKey } from '#custody/master-key.ts'
import { readConfig, type Settings } from '../config.ts'
import { databaseUrl, masterKey } from '../config-values.ts'
import { CommandError, exitCodes } from './failure.ts'
import type { Terminal } from './terminal.ts'

const filePrefix = 'file:'

/** The server's own settings: commands work on the installation that the environment names. */
export function readSettings(): Settings {
  return readConfig(process.env, readText)
}

/**
 * The master key of the settings. Never made here: only a server's first start does that.
 *
 * @throws CommandError when there is none.
 */
export function requireMasterKey({ config, secrets }: Settings): MasterKey {
  if (secrets.masterKey !== undefined) return new MasterKey(secrets.masterKey.reveal())
  const path = config.masterKeyFile ?? ''
  if (!existsSync(path)) {
    throw new CommandError(
      exitCodes.configuration,
      `There is no master key: give COUNTERSIGN_MASTER_KEY_FILE, or start where ${path} is.`,
    )
  }
  return readMasterKeyFile(path)
}

/** @throws CommandError for a file that does not hold a key. */
export function readMasterKeyFile(path: string): MasterKey {
  const parsed = masterKey.safeParse(readText(path).trim())
  if (parsed.success) return new MasterKey(parsed.data)
  throw new CommandError(
    exitCodes.configuration,
    `${path} does not hold a master key: it must be base64 of exactly 32 bytes, as "openssl rand -base64 32" prints.`,
  )
}

/** The text of a file that holds one secret, without the line end that editors put behind it. */
export function readSecretFile(path: string): string {
  return readText(path).replace(/\r?\n$/, '')
}

/** A database as named on the command line. */
export interface DatabaseReference {
  /** Whole; may hold a password. */
  readonly url: string
  /** Without anything secret. */
  readonly name: string
  readonly engine: 'sqlite' | 'postgres'
}

/**
 * Reads `sqlite:<path>`, `postgres://...`, or `file:<path>` of a file that holds one of these. A password on the command
 * line can be seen by others on the machine, so it is remarked on.
 *
 * @throws CommandError for anything else.
 */
export function readDatabaseReference(
  text: string,
  option: string,
  terminal: Terminal,
): DatabaseReference {
  const isFile = text.startsWith(filePrefix)
  const url = isFile ? readSecretFile(text.slice(filePrefix.length)) : text
  const parsed = databaseUrl.safeParse(url)
  if (!parsed.success) {
    throw new CommandError(
      exitCodes.usage,
      `${option} must be sqlite:<path>, postgres://<user>@<host>/<database> or file:<path of a file that holds one>.`,
    )
  }
  const { place } = parsed.data
  if (!isFile && place.engine === 'postgres' && new URL(url).password !== '') {
    terminal.note(
      `${option}: the password can be seen by others on this machine; use file:<path> or PGPASSWORD.`,
    )
  }
  return place.engine === 'sqlite'
    ? { url, name: `sqlite:${place.path}`, engine: 'sqlite' }
    : { url, name: place.place, engine: 'postgres' }
}

/** The database of the settings. */
export function configuredDatabase({ config, secrets }: Settings): DatabaseReference {
  const url = secrets.databaseUrl.reveal()
  return config.database.engine === 'sqlite'
    ? { url, name: `sqlite:${config.database.path}`, engine: 'sqlite' }
    : { url, name: config.database.place, engine: 'postgres' }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8')
}
