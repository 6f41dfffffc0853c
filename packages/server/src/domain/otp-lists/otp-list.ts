import { DomainError } from '../errors.ts'
import type { AskOrder, IndexFormat } from './otp-list-method.ts'

/** FREE: nobody's. ASSOCIATED: somebody's, no code was accepted yet. ACTIVE: in use, or used up. */
export type OtpListStatus = 'FREE' | 'ASSOCIATED' | 'ACTIVE'

/** What a list keeps of the settings under which it was made. */
export interface ListForm {
  readonly size: number
  readonly otpLength: number
  readonly otpAlphabet: string
  readonly order: AskOrder
  readonly indexFormat: IndexFormat
  readonly indexBlockSize: number
}

/** A printed list, never with its codes. From the instant of its expiry it does not exist. */
export interface OtpList extends ListForm {
  readonly tenantId: string
  /** ULID. */
  readonly id: string
  /** Name of the method. */
  readonly method: string
  readonly status: OtpListStatus
  /** Null while FREE. */
  readonly userId: string | null
  /** The user's identifier of scheme `uniqueID`, else the user's id; null while FREE. */
  readonly userUniqueId: string | null
  /** Codes that can still be used, the next one included. */
  readonly remaining: number
  /** The code that is asked for next, from 1; null when used up. */
  readonly nextPosition: number | null
  /** Its label on the sheet. */
  readonly nextIndex: string | null
  readonly expiresAtMs: number | null
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** A code in the clear, as it leaves the server once. */
export interface PrintedCode {
  /** Label on the sheet. */
  readonly index: string
  readonly otp: string
}

/** A new list; the only place where its codes ever appear. */
export interface OtpListWithCodes {
  readonly list: OtpList
  /** In the order of the sheet. */
  readonly codes: readonly PrintedCode[]
}

/** The label of a position on the sheet (OTP Server contract, `index-format`). */
export function labelOf(
  { indexFormat, indexBlockSize }: Pick<ListForm, 'indexFormat' | 'indexBlockSize'>,
  position: number,
): string {
  if (indexFormat === 'NUMERIC') return String(position)
  const block = Math.floor((position - 1) / indexBlockSize)
  return blockLetters(block) + String(((position - 1) % indexBlockSize) + 1)
}

/** 0 is A, 25 is Z, 26 is AA, 701 is ZZ. */
function blockLetters(block: number): string {
  const letter = (n: number) => String.fromCharCode(65 + n)
  return block < 26 ? letter(block) : letter(Math.floor(block / 26) - 1) + letter(block % 26)
}

/** A new sheet should be on its way: few codes are left, and no other list waits. */
export function isRenewalDue(
  remaining: number,
  hasWaiting: boolean,
  { renewThreshold }: { readonly renewThreshold: number },
): boolean {
  return !hasWaiting && remaining <= renewThreshold
}

export function methodNotFound(pointer?: string): DomainError {
  return new DomainError('method_not_found', 'No such method.', pointed(pointer))
}

export function listNotFound(): DomainError {
  return new DomainError('list_not_found', 'No such list.')
}

export function listNotFree(): DomainError {
  return new DomainError('list_not_free', 'The list is not free.')
}

function pointed(pointer: string | undefined): { pointer?: string } {
  return pointer === undefined ? {} : { pointer }
}

/** How the journal names a list. */
export function listTarget(id: string): { type: string; id: string } {
  return { type: 'otp-list', id }
}
