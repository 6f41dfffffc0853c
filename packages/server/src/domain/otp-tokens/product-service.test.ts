import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { createTokenBench, type TokenBench, tenantId } from '#test/support/otp-tokens.ts'

describe.each(engines)('products and repositories on %s', (engine) => {
  let bench: TokenBench

  beforeAll(async () => {
    bench = await createTokenBench({ engine })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const product = {
    manufacturerCode: 'DN',
    productCode: 'STE',
    name: 'SafeID',
    type: 'TOTP',
  } as const

  test('a tenant starts with the generic products and those of the DualShield contract', async () => {
    const { items } = await bench.products.list(bench.reader, tenantId, { limit: 200 })
    const shown = items.map((item) => [
      `${item.manufacturerCode}/${item.productCode}`,
      item.name,
      item.type,
      item.periodSeconds,
      item.downloadable,
      item.acceptWindow,
      item.hintWindow,
      item.searchWindow,
    ])
    expect(shown.slice(0, 7)).toEqual([
      ['CS/TOTP', 'TOTP', 'TOTP', 30, true, null, null, null],
      ['CS/HOTP', 'HOTP', 'HOTP', null, true, null, null, null],
      ['DN/MT', 'MobileID', 'TOTP', 30, true, 2, 10, 120],
      ['DN/ME', 'MobileID', 'HOTP', null, true, 10, 50, 1000],
      ['DN/ST', 'SafeID', 'TOTP', 60, false, 2, 10, 120],
      ['DN/SE', 'SafeID', 'HOTP', null, false, 10, 50, 1000],
      ['GG/GT', 'GoogleAuthenticator', 'TOTP', 30, true, 2, 10, 120],
    ])
  })

  test('the codes are unique together, also when two come at once', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 4 }, () => bench.products.create(bench.admin, tenantId, product)),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({ code: 'already_exists' })
    }
    const made = await bench.products.findByCodes(bench.reader, tenantId, product)
    expect(made).toMatchObject({ ...product, algorithm: 'SHA1', digits: 6, periodSeconds: 30 })
    expect(await bench.products.get(bench.reader, tenantId, made?.id ?? '')).toEqual(made)
    const records = await bench.journal('otp-product.created')
    expect(records).toMatchObject([{ target: { id: made?.id } }])
  })

  test('case counts in codes, and another tenant’s product does not exist', async () => {
    const lower = { ...product, productCode: 'ste' }
    const made = await bench.products.create(bench.admin, tenantId, lower)
    await expect(bench.products.get(bench.stranger, 'other', made.id)).rejects.toMatchObject({
      code: 'product_not_found',
    })
    expect(await bench.products.findByCodes(bench.stranger, 'other', lower)).toBeUndefined()
    await expect(bench.products.create(bench.reader, tenantId, product)).rejects.toMatchObject({
      code: 'forbidden',
    })
  })

  test.each([
    [{ manufacturerCode: '' }, '/manufacturerCode'],
    [{ productCode: 'has blank' }, '/productCode'],
    [{ name: '' }, '/name'],
    [{ digits: 5 }, '/digits'],
    [{ periodSeconds: 3601 }, '/periodSeconds'],
    [{ type: 'HOTP', periodSeconds: 30 }, '/periodSeconds'],
    [{ acceptWindow: 101 }, '/acceptWindow'],
    [{ hintWindow: -1 }, '/hintWindow'],
    [{ searchWindow: 0 }, '/searchWindow'],
  ] as const)('%j is refused with its place', async (change, pointer) => {
    const request = bench.products.create(bench.admin, tenantId, {
      ...product,
      productCode: 'X',
      ...change,
    })
    await expect(request).rejects.toMatchObject({ code: 'invalid_request', faults: [{ pointer }] })
  })

  test('a repository’s name is unique below its parent, also when two come at once', async () => {
    const { repositories } = bench
    const [root] = (await repositories.list(bench.reader, tenantId, { limit: 10 })).items
    expect(root).toMatchObject({ name: 'Default', parentId: null })
    const create = (parentId: string | undefined) =>
      repositories.create(bench.admin, tenantId, {
        name: 'Head office',
        parentId,
        domain: 'DEFAULT',
      })
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 3 }, () => create(root?.id)),
      ...Array.from({ length: 3 }, () => create(undefined)),
    ])
    const made = outcomes.flatMap((outcome) =>
      outcome.status === 'fulfilled' ? [outcome.value] : [],
    )
    expect(new Set(made.map(({ parentId }) => parentId))).toEqual(new Set([root?.id, null]))
    expect(made).toHaveLength(2)
    expect(made[0]?.domain).toBe('default')
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({ code: 'already_exists' })
    }
    const id = made[0]?.id ?? ''
    expect(await repositories.get(bench.reader, tenantId, id)).toEqual(made[0])
    await expect(repositories.get(bench.stranger, 'other', id)).rejects.toMatchObject({
      code: 'repository_not_found',
    })
  })

  test('what a repository refers to must be there; nesting ends', async () => {
    const { repositories } = bench
    const create = (draft: Parameters<TokenBench['repositories']['create']>[2]) =>
      repositories.create(bench.admin, tenantId, draft)
    await expect(create({ name: 'a', parentId: 'none' })).rejects.toMatchObject({
      code: 'repository_not_found',
      pointer: '/parent',
    })
    await expect(create({ name: 'a', domain: 'none' })).rejects.toMatchObject({
      code: 'domain_not_found',
      pointer: '/domain',
    })
    await expect(create({ name: '' })).rejects.toMatchObject({ code: 'invalid_request' })
    let parentId: string | undefined
    for (let depth = 0; depth <= 16; depth++)
      parentId = (await create({ name: 'deep', parentId })).id
    await expect(create({ name: 'deep', parentId })).rejects.toMatchObject({
      code: 'limit_reached',
    })
  })

  test('lists page by key', async () => {
    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = await bench.products.list(bench.reader, tenantId, { limit: 3, cursor })
      found.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    } while (cursor !== undefined)
    expect(new Set(found).size).toBe(found.length)
    expect(found.length).toBeGreaterThanOrEqual(9)
    const platform = testCaller(null, ['platform:admin'])
    await expect(bench.products.list(platform, 'nowhere', { limit: 3 })).rejects.toMatchObject({
      code: 'tenant_not_found',
    })
  })
})
