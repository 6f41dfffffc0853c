import { CommanderError } from 'commander'
import { DomainError } from '#domain/errors.ts'
import { MasterKeyMismatchError } from '#domain/tenants/platform-bootstrap.ts'
import { NewerSchemaError } from '#storage/migrations/list.ts'
import { StorageError } from '#storage/queries.ts'
import { SchemaVersionError } from '#storage/snapshot.ts'
import { DatabaseInUseError } from '#storage/sqlite.ts'
import { ConfigError } from '../config.ts'

/** How every command ends; those above 2 are the ones of sysexits.h. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  badData: 65,
  unavailable: 69,
  configuration: 78,
  interrupted: 130,
} as const
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** The text of `--help`; docs/operations.md has the same table. */
export const exitCodeHelp = `
Exit codes:
  0    done
  1    failed
  2    wrong use of the command
  65   the data is not as it must be: a chain or a backup is damaged, a target is not empty, a copy differs
  69   a database or file cannot be reached, or a server holds it
  78   the configuration is invalid, or the master key does not fit
  130  interrupted; the same command goes on where it stopped, or begins again
`

/** A command cannot do what it was asked for; the message is for the person at the terminal. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: ExitCode
  /** What a program may want to know of it. */
  readonly detail: Readonly<Record<string, unknown>>

  constructor(
    exitCode: ExitCode,
    message: string,
    options: { cause?: unknown; detail?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.exitCode = exitCode
    this.detail = options.detail ?? {}
  }
}

/** What is told of an error, and how the process ends. */
export interface Failure {
  readonly exitCode: ExitCode
  readonly message: string
  readonly detail: Readonly<Record<string, unknown>>
}

/** SQLSTATEs of PostgreSQL for a wrong password, user or database. */
const refusedConnection = /^(28|3D)/
const fileCodes: ReadonlySet<string> = new Set(['ENOENT', 'EACCES', 'EISDIR', 'EPERM', 'ENOSPC'])

export function failureOf(error: unknown): Failure {
  if (error instanceof CommandError) return error
  if (error instanceof ConfigError) {
    const faults = error.faults.map(({ variable, problem }) => `  ${variable} ${problem}`)
    return {
      exitCode: exitCodes.configuration,
      message: ['The configuration is invalid:', ...faults].join('\n'),
      detail: { faults: error.faults },
    }
  }
  return { exitCode: exitCodeOf(error), message: messageOf(error), detail: {} }
}

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  }
  if (error instanceof MasterKeyMismatchError) return exitCodes.configuration
  if (error instanceof NewerSchemaError || error instanceof SchemaVersionError) {
    return exitCodes.badData
  }
  if (error instanceof DatabaseInUseError) return exitCodes.unavailable
  if (error instanceof StorageError && error.failure === 'unavailable') return exitCodes.unavailable
  if (error instanceof DomainError && error.code === 'unavailable') return exitCodes.unavailable
  if (error instanceof DomainError && error.code.startsWith('import_')) return exitCodes.badData
  if (error instanceof Error && error.name === 'AbortError') return exitCodes.interrupted
  const code = codeOf(error)
  if (refusedConnection.test(code) || fileCodes.has(code)) return exitCodes.unavailable
  return exitCodes.failure
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'AbortError') return 'Interrupted.'
  if (error instanceof DomainError) {
    const faults = error.faults.slice(0, 20).map(({ message }) => `  ${message}`)
    return [error.message, ...faults].join('\n')
  }
  const cause = error instanceof StorageError && error.cause instanceof Error ? error.cause : error
  return cause === error ? error.message : `${error.message} (${cause.message})`
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : ''
}
