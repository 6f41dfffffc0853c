import type { HashAlgorithm } from '@countersign/protocol/otp/hotp.ts'
import { DomainError, type Fault } from '#domain/errors.ts'

export type SeedFormat = 'PSKC' | 'CSV' | 'DUALSHIELD'

/** How a secret is spelt where the format does not say it itself. */
export type SecretEncoding = 'BASE32' | 'HEX' | 'BASE64'

/** One token of a seed file. What the file does not say is absent and comes from the token's product. */
export interface SeedEntry {
  /** Position in the file, from 1. */
  readonly index: number
  readonly serial: string
  readonly secret: Uint8Array
  readonly type?: 'HOTP' | 'TOTP'
  readonly algorithm?: HashAlgorithm
  readonly digits?: number
  readonly periodSeconds?: number
  readonly counter?: number
  /** Steps that the device's clock was ahead of the server's. */
  readonly driftSteps?: number
  readonly description?: string
  readonly manufacturerCode?: string
  readonly productCode?: string
  readonly issuer?: string
  readonly manufacturer?: string
  readonly model?: string
  /** The token must not be used before. */
  readonly startsAtMs?: number
  /** The token must not be used after. */
  readonly expiresAtMs?: number
}

/** Why one entry cannot be imported. `serial` is there if it could be read. */
export interface EntryFault extends Fault {
  readonly index: number
  readonly serial?: string
}

/** What a format's reader makes of one entry: the entry, or all that is wrong with it. */
export type EntryOutcome =
  | { readonly entry: SeedEntry; readonly faults?: never }
  | { readonly entry?: never; readonly faults: readonly EntryFault[] }

/** A seed file that could be read. An entry is either in `entries` or has faults. */
export interface SeedFile {
  readonly format: SeedFormat
  readonly entries: SeedEntry[]
  readonly faults: EntryFault[]
}

export const entryCountMax = 10_000
export const secretBytesMin = 16
export const secretBytesMax = 128
export const descriptionLengthMax = 255

/** Where the native API carries the file; faults add the place inside the file to their message. */
const filePointer = '/data'

export type EntryFaultCode =
  | 'bad_secret'
  | 'bad_mac'
  | 'bad_format'
  | 'out_of_range'
  | 'required'
  | 'unsupported'
  | 'duplicate'

/** One thing is wrong with one entry; its reader collects these. The message never holds a secret. */
export class EntryProblem extends Error {
  override readonly name = 'EntryProblem'
  readonly code: EntryFaultCode

  constructor(code: EntryFaultCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Collects all problems of one entry, so that a file can be put right in one go. */
export class EntryProblems {
  readonly #problems: EntryProblem[] = []

  /** What `read` returns, or undefined after noting its EntryProblem. */
  attempt<Value>(read: () => Value): Value | undefined {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof EntryProblem)) throw error
      this.#problems.push(error)
      return undefined
    }
  }

  get isEmpty(): boolean {
    return this.#problems.length === 0
  }

  toFaults(index: number, serial: string | undefined): EntryFault[] {
    return this.#problems.map((problem) => entryFault(problem, index, serial))
  }
}

export function entryFault(
  { code, message }: EntryProblem,
  index: number,
  serial: string | undefined,
): EntryFault {
  const fault = { pointer: filePointer, code, message, index }
  return serial === undefined ? fault : { ...fault, serial }
}

/** The whole file is refused: `import_rejected` with one fault, whose message names the place. */
export function fileRejected(code: EntryFaultCode, message: string): DomainError {
  return new DomainError('import_rejected', 'The seed file was rejected.', {
    faults: [{ pointer: filePointer, code, message }],
  })
}

/** The whole file is refused for the faults of its entries. */
export function entriesRejected(faults: readonly EntryFault[]): DomainError {
  return new DomainError('import_rejected', 'The seed file was rejected.', { faults })
}

/** The file is refused for want of a key: `import_key_required`, pointing at the member that should hold it. */
export function keyRequired(member: 'key' | 'password', message: string): DomainError {
  return new DomainError('import_key_required', message, {
    faults: [{ pointer: `/${member}`, code: 'key_required', message }],
  })
}

export function formatUnknown(message: string): DomainError {
  return new DomainError('import_format_unknown', message)
}
