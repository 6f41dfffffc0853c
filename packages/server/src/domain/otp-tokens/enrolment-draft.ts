import {
  counterMax,
  digitsMax,
  digitsMin,
  type HashAlgorithm,
} from '@countersign/protocol/otp/hotp.ts'
import { periodSecondsMax, periodSecondsMin } from '@countersign/protocol/otp/totp.ts'
import { MemberCheck } from '../users/name-text.ts'
import type { UserReference } from '../users/user-resolver.ts'
import { checkPin } from './assignment.ts'
import { descriptionLengthMax, identifierLengthMax, serialPattern } from './otp-token.ts'
import {
  isGeneric,
  type OtpParameters,
  type Product,
  type TokenType,
  unfitParameters,
} from './product.ts'
import { EntryProblem, type SecretEncoding } from './seed-files/seed-file.ts'
import { readSecret } from './seed-files/seed-values.ts'
import type { ProductReference } from './token-references.ts'

/** A software token to be made. */
export interface TokenDraft {
  /** Absent: the generic product of the type. */
  readonly product?: ProductReference | undefined
  /** This and the next four: absent, what the product says; the generic products say SHA1, 6 digits, 30 seconds. */
  readonly type?: TokenType | undefined
  readonly algorithm?: HashAlgorithm | undefined
  readonly digits?: number | undefined
  /** TOTP only. */
  readonly periodSeconds?: number | undefined
  /** HOTP only: next expected counter; absent: 0. */
  readonly counter?: number | undefined
  /** Absent: generated. */
  readonly serial?: string | undefined
  /** Absent: the serial. */
  readonly identifier?: string | undefined
  /** Absent: generated, as long as the hash. */
  readonly secret?: { readonly encoding: SecretEncoding; readonly value: string } | undefined
  readonly description?: string | null | undefined
  readonly status?: 'ACTIVE' | 'DISABLED' | undefined
  /** Absent: the default repository. */
  readonly repositoryId?: string | undefined
  /** Becomes the owner. */
  readonly user?: UserReference | undefined
  /** Only with a user. */
  readonly pin?: string | undefined
  /** In the key URI; absent: the tenant's name. */
  readonly issuer?: string | undefined
}

/**
 * What can be said about a draft before anything is looked up.
 *
 * @returns the given secret's bytes.
 * @throws DomainError `invalid_request` naming every member that does not fit.
 */
export function checkDraft(draft: TokenDraft): Uint8Array | undefined {
  const check = new MemberCheck()
  const checkRange = (name: 'digits' | 'periodSeconds' | 'counter', min: number, max: number) => {
    const value = draft[name]
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= min && value <= max)) {
      check.add(pointers[name], 'out_of_range', `must be from ${min} to ${max}`)
    }
  }
  checkRange('digits', digitsMin, digitsMax)
  checkRange('periodSeconds', periodSecondsMin, periodSecondsMax)
  checkRange('counter', 0, counterMax)
  if (draft.serial !== undefined && !serialPattern.test(draft.serial)) {
    check.add('/serial', 'bad_format', 'must be 1 to 64 visible ASCII characters')
  }
  if (draft.identifier === '') check.add('/identifier', 'out_of_range', 'must not be empty')
  check.text('/identifier', draft.identifier, identifierLengthMax)
  check.text('/description', draft.description, descriptionLengthMax)
  if (draft.pin !== undefined && draft.user === undefined) {
    check.add('/user', 'required', 'must be there when there is a PIN')
  }
  const secret = readGivenSecret(check, draft.secret)
  check.finish()
  if (draft.pin !== undefined) checkPin(draft.pin)
  return secret
}

/**
 * What the token will be.
 *
 * @throws DomainError `invalid_request` naming every member that a token of this product cannot have.
 */
export function parametersOf(draft: TokenDraft, product: Product): OtpParameters {
  const check = new MemberCheck()
  for (const name of unfitParameters(product, draft)) {
    check.add(pointers[name], 'mutually_exclusive', 'must be as the product has it, or absent')
  }
  if (product.type === 'TOTP' && draft.counter !== undefined) {
    check.add(pointers.counter, 'mutually_exclusive', 'belongs to HOTP')
  }
  check.finish()
  const { type, algorithm, digits, periodSeconds } = product
  if (!isGeneric(product)) return { type, algorithm, digits, periodSeconds }
  return {
    type,
    algorithm: draft.algorithm ?? algorithm,
    digits: draft.digits ?? digits,
    periodSeconds: type === 'TOTP' ? (draft.periodSeconds ?? periodSeconds) : null,
  }
}

/** Bytes of a generated secret: as many as the hash gives out (RFC 4226 section 4, RFC 6238 section 5.1). */
export const secretBytes: Readonly<Record<HashAlgorithm, number>> = {
  SHA1: 20,
  SHA256: 32,
  SHA512: 64,
}

const pointers = {
  type: '/type',
  algorithm: '/algorithm',
  digits: '/digits',
  periodSeconds: '/period',
  counter: '/counter',
} as const

function readGivenSecret(check: MemberCheck, given: TokenDraft['secret']): Uint8Array | undefined {
  if (given === undefined) return undefined
  try {
    return readSecret(given.value, given.encoding)
  } catch (error) {
    if (!(error instanceof EntryProblem)) throw error
    check.add('/secret/value', error.code, error.message)
    return undefined
  }
}
