import { digitsMax, digitsMin, type HashAlgorithm } from '@countersign/protocol/otp/hotp.ts'
import { periodSecondsMax, periodSecondsMin } from '@countersign/protocol/otp/totp.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import { type Storage, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { MemberCheck } from '../users/name-text.ts'
import type { Product, ProductCodes, TokenType } from './product.ts'
import { requireTokenAdmin, requireTokenReader } from './token-rights.ts'

/** A product to be made. Absent: SHA1, 6 digits, 30 seconds, a hardware product, windows as the tenant's settings say. */
export interface NewProduct extends ProductCodes {
  readonly name: string
  readonly type: TokenType
  readonly model?: string | null | undefined
  readonly algorithm?: HashAlgorithm | undefined
  readonly digits?: number | undefined
  /** TOTP only. */
  readonly periodSeconds?: number | undefined
  readonly downloadable?: boolean | undefined
  readonly acceptWindow?: number | undefined
  readonly hintWindow?: number | undefined
  readonly searchWindow?: number | undefined
}

const codePattern = /^[\x21-\x7e]{1,32}$/
/** A wrong code costs one HMAC for each step or counter of the hint window, a resynchronisation one for each searched. */
const windowMax = { acceptWindow: 100, hintWindow: 1_000, searchWindow: 10_000 } as const

/** Token models. */
export class ProductService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: { storage: Storage; clock: Clock; nextId: IdSource }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`; `already_exists` when the codes are taken. */
  async create(caller: Caller, tenantId: string, draft: NewProduct): Promise<Product> {
    requireTokenAdmin(caller, tenantId)
    checkProduct(draft)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const product: Product = {
      tenantId,
      id: this.#nextId(),
      manufacturerCode: draft.manufacturerCode,
      productCode: draft.productCode,
      name: draft.name,
      model: draft.model ?? null,
      type: draft.type,
      algorithm: draft.algorithm ?? 'SHA1',
      digits: draft.digits ?? 6,
      periodSeconds: draft.type === 'TOTP' ? (draft.periodSeconds ?? 30) : null,
      downloadable: draft.downloadable ?? false,
      acceptWindow: draft.acceptWindow ?? null,
      hintWindow: draft.hintWindow ?? null,
      searchWindow: draft.searchWindow ?? null,
      createdAtMs: this.#clock(),
    }
    try {
      await this.#storage.transaction(async ({ products, journal }) => {
        await products.insert(product)
        await journal.append(caller, tenantId, {
          action: 'otp-product.created',
          target: { type: 'otp-product', id: product.id },
          detail: { ...codesOf(product), type: product.type, digits: product.digits },
        })
      })
    } catch (error) {
      if (takenKey(error) === undefined) throw error
      const message = 'A product with these codes exists.'
      const fault = { pointer: '/productCode', code: 'not_unique', message }
      throw new DomainError('already_exists', message, { faults: [fault] })
    }
    return product
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `product_not_found`. */
  async get(caller: Caller, tenantId: string, productId: string): Promise<Product> {
    requireTokenReader(caller, tenantId)
    const product = await this.#storage.read.products.find(tenantId, productId)
    if (product === undefined) throw productNotFound()
    return product
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`. */
  async findByCodes(
    caller: Caller,
    tenantId: string,
    codes: ProductCodes,
  ): Promise<Product | undefined> {
    requireTokenReader(caller, tenantId)
    return this.#storage.read.products.findByCodes(tenantId, codes)
  }

  /** In order of creation. @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`. */
  async list(caller: Caller, tenantId: string, request: PageRequest): Promise<Page<Product>> {
    requireTokenReader(caller, tenantId)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const scope = { list: 'otp-products', tenantId, nowMs: this.#clock() }
    const [afterId = ''] = decodeCursor(request.cursor, ['text'], scope) ?? []
    const { limit } = request
    const products = await this.#storage.read.products.list(tenantId, { afterId, limit: limit + 1 })
    return pageOf(
      products,
      limit,
      scope,
      ({ id }) => [id],
      (product) => product,
    )
  }
}

export function productNotFound(pointer?: string): DomainError {
  return new DomainError(
    'product_not_found',
    'No such product.',
    pointer === undefined ? {} : { pointer },
  )
}

/** How the journal names a product. */
export function codesOf({ manufacturerCode, productCode }: ProductCodes): {
  manufacturerCode: string
  productCode: string
} {
  return { manufacturerCode, productCode }
}

function checkProduct(draft: NewProduct): void {
  const check = new MemberCheck()
  const checkRange = (name: keyof NewProduct, min: number, max: number) => {
    const value = draft[name]
    if (value === undefined) return
    if (!Number.isInteger(value) || Number(value) < min || Number(value) > max) {
      check.add(`/${name}`, 'out_of_range', `must be from ${min} to ${max}`)
    }
  }
  for (const name of ['manufacturerCode', 'productCode'] as const) {
    if (!codePattern.test(draft[name])) {
      check.add(`/${name}`, 'bad_format', 'must be 1 to 32 visible ASCII characters')
    }
  }
  if (draft.name === '') check.add('/name', 'out_of_range', 'must not be empty')
  check.text('/name', draft.name)
  check.text('/model', draft.model)
  checkRange('digits', digitsMin, digitsMax)
  checkRange('periodSeconds', periodSecondsMin, periodSecondsMax)
  if (draft.type === 'HOTP' && draft.periodSeconds !== undefined) {
    check.add('/periodSeconds', 'mutually_exclusive', 'belongs to TOTP')
  }
  checkRange('acceptWindow', 0, windowMax.acceptWindow)
  checkRange('hintWindow', 0, windowMax.hintWindow)
  checkRange('searchWindow', 1, windowMax.searchWindow)
  check.finish()
}
