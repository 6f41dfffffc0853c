import type { Stores } from '../storage.ts'
import type { Product, ProductCodes } from './product.ts'
import { productNotFound } from './product-service.ts'
import { repositoryNotFound } from './repository-service.ts'

/** Names a product, in one of two ways. */
export type ProductReference = ProductCodes | { readonly id: string }

/** The product that a body names. @throws DomainError `product_not_found` with the pointer `/product`. */
export async function findProduct(
  { products }: Stores,
  tenantId: string,
  named: ProductReference,
): Promise<Product> {
  const product =
    'id' in named
      ? await products.find(tenantId, named.id)
      : await products.findByCodes(tenantId, named)
  if (product === undefined) throw productNotFound('/product')
  return product
}

/**
 * The repository that a body names.
 *
 * @returns the id of the default repository when none is named.
 * @throws DomainError `repository_not_found` with the pointer `/repository`.
 */
export async function findRepository(
  { repositories }: Stores,
  tenantId: string,
  wantedId: string | undefined,
): Promise<string | null> {
  if (wantedId === undefined) return (await repositories.findDefault(tenantId))?.id ?? null
  if ((await repositories.find(tenantId, wantedId)) === undefined) {
    throw repositoryNotFound('/repository')
  }
  return wantedId
}
