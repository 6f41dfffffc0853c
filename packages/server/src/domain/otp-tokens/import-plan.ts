import { DomainError } from '../errors.ts'
import type { ImportVerdict } from './import-report.ts'
import type { TokenOrigin } from './otp-token.ts'
import type { NewToken } from './otp-token-store.ts'
import {
  isGeneric,
  type OtpParameters,
  type Product,
  type ProductCodes,
  unfitParameters,
} from './product.ts'
import type { SeedEntry, SeedFile } from './seed-files/seed-file.ts'

export type Duplicates = 'REJECT' | 'SKIP'

/** An entry that can become a token of the product. */
export interface PlannedToken {
  readonly index: number
  readonly serial: string
  readonly secret: Uint8Array
  readonly parameters: OtpParameters
  readonly counter: number
  readonly driftSteps: number
  readonly description: string | null
  readonly startsAtMs: number | null
  readonly expiresAtMs: number | null
}

const shownNames = {
  type: 'type',
  algorithm: 'algorithm',
  digits: 'number of digits',
  periodSeconds: 'time interval',
} as const

/** The token that an entry becomes, or why it cannot become one. The product fills in what the file does not say. */
export function planEntry(product: Product, entry: SeedEntry): PlannedToken | ImportVerdict {
  const { index, serial, secret, counter = 0, driftSteps = 0 } = entry
  const [unfit] = unfitParameters(product, entry)
  if (unfit !== undefined) {
    const message = `The ${shownNames[unfit]} is ${entry[unfit]}, that of the product ${product[unfit]}.`
    return failed({ index, serial }, 'unsupported', message)
  }
  const isTotp = product.type === 'TOTP'
  if (isTotp ? counter !== 0 : driftSteps !== 0) {
    const message = isTotp ? 'A TOTP token has no counter.' : 'A HOTP token has no time drift.'
    return failed({ index, serial }, 'unsupported', message)
  }
  const ownValues = isGeneric(product) ? entry : product
  return {
    index,
    serial,
    secret,
    parameters: {
      type: product.type,
      algorithm: ownValues.algorithm ?? product.algorithm,
      digits: ownValues.digits ?? product.digits,
      periodSeconds: isTotp ? (ownValues.periodSeconds ?? product.periodSeconds) : null,
    },
    counter,
    driftSteps,
    description: entry.description ?? null,
    startsAtMs: entry.startsAtMs ?? null,
    expiresAtMs: entry.expiresAtMs ?? null,
  }
}

/** The row of a planned token, less what is the same for all of a file. */
export function newToken(
  planned: PlannedToken,
  common: Pick<NewToken, 'tenantId' | 'productId' | 'repositoryId' | 'createdAtMs'>,
  own: Pick<NewToken, 'id' | 'sealedSecret'>,
): NewToken {
  const { serial, parameters, counter, driftSteps, description, startsAtMs, expiresAtMs } = planned
  return {
    ...common,
    ...own,
    serial,
    identifier: serial,
    parameters,
    status: 'ACTIVE',
    description,
    origin: 'IMPORTED' satisfies TokenOrigin,
    startsAtMs,
    expiresAtMs,
    counter,
    driftSteps,
  }
}

/**
 * The entries that the reader of the file refused. A serial that came before in the file is passed over with `SKIP`,
 * just as one that is stored.
 */
export function refusedEntries({ faults }: SeedFile, duplicates: Duplicates): ImportVerdict[] {
  const verdicts = new Map<number, ImportVerdict>()
  for (const { index, serial = null, code, message } of faults) {
    const isPassedOver = code === 'duplicate' && duplicates === 'SKIP'
    const before = verdicts.get(index)
    if (isPassedOver && before === undefined) {
      verdicts.set(index, { index, serial, result: 'SKIPPED' })
    } else if (!isPassedOver && before?.result !== 'FAILED') {
      verdicts.set(index, failed({ index, serial }, code, message))
    }
  }
  return [...verdicts.values()]
}

export function alreadyStored(
  { index, serial }: PlannedToken,
  duplicates: Duplicates,
): ImportVerdict {
  return duplicates === 'SKIP'
    ? { index, serial, result: 'SKIPPED' }
    : failed({ index, serial }, 'duplicate', 'The product has a token with this serial.')
}

/**
 * The product that the file names.
 *
 * @throws DomainError `invalid_request` if another one is wanted, or neither names one.
 */
export function namedProduct({ entries }: SeedFile, wanted: Product | undefined): ProductCodes {
  const { manufacturerCode = wanted?.manufacturerCode, productCode = wanted?.productCode } =
    entries[0] ?? {}
  const refuse = (code: string, message: string) =>
    new DomainError('invalid_request', message, {
      faults: [{ pointer: '/product', code, message }],
    })
  if (manufacturerCode === undefined || productCode === undefined) {
    throw refuse('required', 'The file names no product, so one must be given.')
  }
  if (
    wanted !== undefined &&
    (wanted.manufacturerCode !== manufacturerCode || wanted.productCode !== productCode)
  ) {
    throw refuse('mutually_exclusive', 'The file is for another product.')
  }
  return { manufacturerCode, productCode }
}

export function isVerdict(made: PlannedToken | ImportVerdict): made is ImportVerdict {
  return 'result' in made
}

function failed(
  { index, serial }: { index: number; serial: string | null },
  code: string,
  message: string,
): ImportVerdict {
  return { index, serial, result: 'FAILED', code, message }
}
