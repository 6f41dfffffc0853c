import type { PinHasher } from '#custody/pin-hasher.ts'
import type { BoundedWork } from '../bounded-work.ts'
import type { ErrorCode } from '../errors.ts'
import type { Stores } from '../storage.ts'
import type { BatchLine, BatchRow } from './batch-file.ts'
import { inPinQueue } from './pin.ts'
import type { Product } from './product.ts'

/** A row whose user and token are there. */
export interface ResolvedRow {
  readonly row: BatchRow
  readonly userId: string
  readonly tokenId: string
  /** Of the row's PIN; the stored hash itself when the user has this PIN already. */
  readonly pinHash: string | undefined
}

/** A row that cannot be carried out. */
export interface BatchFault {
  readonly line: number
  readonly serial: string | null
  readonly code: ErrorCode
  readonly message: string
}

/** Rows that are looked up side by side. */
export const rowsLookedUpAtOnce = 16

/**
 * Finds what the rows of one batch name, and computes their PINs: all that needs no transaction, or may not be done in
 * one.
 */
export class BatchResolver {
  readonly #stores: Stores
  readonly #pins: PinHasher
  readonly #turns: BoundedWork
  readonly #tenantId: string
  readonly #domains = new Map<string, boolean>()
  readonly #products = new Map<string, Product | undefined>()
  /** Hashes of this batch, by token, user and PIN: a row that repeats another one changes nothing. */
  readonly #hashes = new Map<string, Promise<string>>()

  /** @param turns in which PINs are computed, so that those of batches do not fill the queue of all PINs. */
  constructor(stores: Stores, pins: PinHasher, turns: BoundedWork, tenantId: string) {
    this.#stores = stores
    this.#pins = pins
    this.#turns = turns
    this.#tenantId = tenantId
  }

  /** In order. @throws DomainError `too_many_requests` when too many PINs wait. */
  async resolve(lines: readonly BatchLine[]): Promise<(ResolvedRow | BatchFault)[]> {
    const resolved: (ResolvedRow | BatchFault)[] = []
    for (let start = 0; start < lines.length; start += rowsLookedUpAtOnce) {
      const some = lines.slice(start, start + rowsLookedUpAtOnce)
      resolved.push(...(await Promise.all(some.map((line) => this.#resolve(line)))))
    }
    return resolved
  }

  async #resolve(line: BatchLine): Promise<ResolvedRow | BatchFault> {
    if ('problem' in line) {
      const { serial, problem } = line
      return { line: line.line, serial, code: 'invalid_request', message: problem }
    }
    const { domain, loginName, serial } = line
    const fault = (code: ErrorCode, message: string) => ({ line: line.line, serial, code, message })
    if (!(await this.#hasDomain(domain))) return fault('domain_not_found', 'No such domain.')
    const user = { loginName, domain }
    const userId = await this.#stores.userResolver.findUserId(this.#tenantId, user)
    if (userId === undefined) return fault('user_not_found', 'No such user.')
    const product = await this.#findProduct(line)
    if (product === undefined) return fault('product_not_found', 'No such product.')
    const { otpTokens } = this.#stores
    const token = await otpTokens.findBySerial(this.#tenantId, { productId: product.id, serial })
    if (token === undefined) return fault('token_not_found', 'No such token.')
    const pinHash =
      line.pin === undefined ? undefined : await this.#hash(token.id, userId, line.pin)
    return { row: line, userId, tokenId: token.id, pinHash }
  }

  async #hasDomain(name: string): Promise<boolean> {
    const known = this.#domains.get(name)
    if (known !== undefined) return known
    const found = (await this.#stores.userDomains.find(this.#tenantId, name)) !== undefined
    this.#domains.set(name, found)
    return found
  }

  async #findProduct({ manufacturerCode, productCode }: BatchRow): Promise<Product | undefined> {
    const name = JSON.stringify([manufacturerCode, productCode])
    if (!this.#products.has(name)) {
      const codes = { manufacturerCode, productCode }
      this.#products.set(name, await this.#stores.products.findByCodes(this.#tenantId, codes))
    }
    return this.#products.get(name)
  }

  #hash(tokenId: string, userId: string, pin: string): Promise<string> {
    const name = JSON.stringify([tokenId, userId, pin])
    const hash = this.#hashes.get(name) ?? this.#hashAnew(tokenId, userId, pin)
    this.#hashes.set(name, hash)
    return hash
  }

  async #hashAnew(tokenId: string, userId: string, pin: string): Promise<string> {
    const held = await this.#stores.assignments.find({ tenantId: this.#tenantId, tokenId, userId })
    const stored = held?.pinHash ?? undefined
    return this.#turns.run(async () => {
      const isSame =
        stored !== undefined && (await inPinQueue(() => this.#pins.verify(stored, pin)))
      return isSame ? stored : inPinQueue(() => this.#pins.hash(pin))
    })
  }
}
