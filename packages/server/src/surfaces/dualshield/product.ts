import type { HashAlgorithm } from '@countersign/protocol/otp/hotp.ts'
import { single } from './body.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { getObject, returnOfCreate, searchObjects, showById } from './objects.ts'
import { tenantOf } from './references.ts'
import { missing } from './refusals.ts'

/** Defines a token model. */
export const productCreate: Endpoint<'productCreate'> = async ({ core, caller, body }) => {
  const attrs = single<Schemas['ProductCreateAttrs']>(body.attrs)
  const { name, manufacturerCode, productCode, algorithm, crypto, timeWindow, ...others } = attrs
  const wanted = returnOfCreate('product', body.return)
  if (name === undefined) throw missing('attrs.name')
  if (manufacturerCode === undefined) throw missing('attrs.manufacturerCode')
  if (productCode === undefined) throw missing('attrs.productCode')
  if (algorithm === undefined) throw missing('attrs.algorithm')
  const { id } = await core.products.create(caller, tenantOf(caller), {
    name,
    manufacturerCode,
    productCode,
    type: algorithm.endsWith('HOTP') ? 'HOTP' : 'TOTP',
    model: others.model,
    algorithm: crypto && algorithms[crypto],
    digits: others.digits,
    periodSeconds: timeWindow,
    downloadable: others.downloadable,
    acceptWindow: others.autoSync,
    hintWindow: others.checkSync,
    searchWindow: others.manualSync,
  })
  const result = await showById({ core, caller }, 'product', id, wanted)
  return { status: 200, body: { error: 0, result } }
}

const algorithms: Readonly<Record<Schemas['Crypto'], HashAlgorithm>> = {
  HmacSHA1: 'SHA1',
  HmacSHA256: 'SHA256',
  HmacSHA512: 'SHA512',
}

/** One product. */
export const productGet: Endpoint<'productGet'> = async ({ core, caller, body }) => ({
  status: 200,
  body: { error: 0, result: await getObject({ core, caller }, 'product', body) },
})

/** One page of the products that match. */
export const productSearch: Endpoint<'productSearch'> = async ({ core, caller, body }) => ({
  status: 200,
  body: { error: 0, result: await searchObjects({ core, caller }, 'product', body) },
})
