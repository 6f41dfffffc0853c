import type { HashAlgorithm } from '@countersign/protocol/otp/hotp.ts'

export type TokenType = 'HOTP' | 'TOTP'

/** What of a token's codes can differ. `periodSeconds` is null for HOTP. */
export interface OtpParameters {
  readonly type: TokenType
  readonly algorithm: HashAlgorithm
  readonly digits: number
  readonly periodSeconds: number | null
}

/** The pair that names a product, unique in the tenant; case counts. */
export interface ProductCodes {
  readonly manufacturerCode: string
  readonly productCode: string
}

/** A token model. */
export interface Product extends ProductCodes, OtpParameters {
  readonly tenantId: string
  readonly id: string
  readonly name: string
  readonly model: string | null
  /** True for software products: the credential may be fetched by the user's device. */
  readonly downloadable: boolean
  /** In steps or counters; null: the tenant's settings rule. */
  readonly acceptWindow: number | null
  readonly hintWindow: number | null
  readonly searchWindow: number | null
  readonly createdAtMs: number
}

const genericManufacturer = 'CS'

/** The built-in product of tokens for which no product is named. */
export function genericCodes(type: TokenType): ProductCodes {
  return { manufacturerCode: genericManufacturer, productCode: type }
}

/** True for the two built-in products whose tokens bring their own algorithm, digits and period. */
export function isGeneric(product: Product): boolean {
  return product.manufacturerCode === genericManufacturer && product.productCode === product.type
}

/** The members of given parameters that a token of this product cannot have; absent ones fit. */
export function unfitParameters(
  product: Product,
  given: { readonly [Name in keyof OtpParameters]?: OtpParameters[Name] | undefined },
): (keyof OtpParameters)[] {
  const names: (keyof OtpParameters)[] = isGeneric(product)
    ? ['type', ...(product.type === 'HOTP' ? (['periodSeconds'] as const) : [])]
    : ['type', 'algorithm', 'digits', 'periodSeconds']
  return names.filter((name) => given[name] !== undefined && given[name] !== product[name])
}

/** What a product is made of, before it has an id. */
export type ProductDraft = Omit<Product, 'tenantId' | 'id' | 'createdAtMs'>

const settingsRule = { acceptWindow: null, hintWindow: null, searchWindow: null }
const timeWindows = { acceptWindow: 2, hintWindow: 10, searchWindow: 120 }
const eventWindows = { acceptWindow: 10, hintWindow: 50, searchWindow: 1000 }
const sixDigits = { algorithm: 'SHA1', digits: 6 } as const
const totp = { ...sixDigits, type: 'TOTP' } as const
const hotp = { ...sixDigits, type: 'HOTP', periodSeconds: null } as const
const timeBased = { ...totp, ...timeWindows, model: 'Time-Based' } as const
const eventBased = { ...hotp, ...eventWindows, model: 'Event-Based' } as const

/** What every tenant has from the start: the generic products, and the DualShield contract's `x-default-products`. */
export const defaultProducts: readonly ProductDraft[] = [
  {
    ...genericCodes('TOTP'),
    ...totp,
    ...settingsRule,
    name: 'TOTP',
    model: null,
    periodSeconds: 30,
    downloadable: true,
  },
  {
    ...genericCodes('HOTP'),
    ...hotp,
    ...settingsRule,
    name: 'HOTP',
    model: null,
    downloadable: true,
  },
  {
    ...timeBased,
    manufacturerCode: 'DN',
    productCode: 'MT',
    name: 'MobileID',
    periodSeconds: 30,
    downloadable: true,
  },
  {
    ...eventBased,
    manufacturerCode: 'DN',
    productCode: 'ME',
    name: 'MobileID',
    downloadable: true,
  },
  {
    ...timeBased,
    manufacturerCode: 'DN',
    productCode: 'ST',
    name: 'SafeID',
    periodSeconds: 60,
    downloadable: false,
  },
  {
    ...eventBased,
    manufacturerCode: 'DN',
    productCode: 'SE',
    name: 'SafeID',
    downloadable: false,
  },
  {
    ...timeBased,
    manufacturerCode: 'GG',
    productCode: 'GT',
    name: 'GoogleAuthenticator',
    periodSeconds: 30,
    downloadable: true,
  },
]
