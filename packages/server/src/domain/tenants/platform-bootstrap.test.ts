import { describe, expect, test } from 'vitest'
import { MasterKey } from '#custody/master-key.ts'
import { createTestCore, engines, platformAdmin, type TestCore } from '#test/support/core.ts'
import { createTestDatabase } from '#test/support/postgres.ts'
import { MasterKeyMismatchError } from './platform-bootstrap.ts'

const otherKey = () => new MasterKey(Buffer.alloc(32, 8))

async function platformKeys(core: TestCore): Promise<string[]> {
  const { signingKeys } = core.storage.read
  const keys = await Promise.all([
    signingKeys.list('_platform', 'audit'),
    signingKeys.list('_platform', 'oauth'),
  ])
  return keys.flat().map(({ purpose, kid }) => `${purpose} ${kid}`)
}

describe.each(engines)('the platform on %s', (engine) => {
  test('is made once: a second start finds it and changes nothing', async () => {
    await using core = await createTestCore({ engine })
    await core.platform.ensurePlatform()
    const keys = await platformKeys(core)
    expect(keys.map((key) => key.split(' ')[0])).toEqual(['audit', 'oauth'])
    await core.platform.ensurePlatform()
    expect(await platformKeys(core)).toEqual(keys)
    expect(await core.storage.read.tenantKeys.listWrappedKeys('_platform')).toHaveLength(1)
  })

  test('of many starts at once one makes it, and all of them work', async () => {
    await using core = await createTestCore({ engine })
    await Promise.all(Array.from({ length: 8 }, () => core.platform.ensurePlatform()))
    expect(await platformKeys(core)).toHaveLength(2)
    expect(await core.tenants.create(platformAdmin, { id: 'acme', name: 'x' })).toMatchObject({
      number: 1,
    })
  })
})

test('a wrong master key is refused before anything is read or written with it', async () => {
  const database = await createTestDatabase()
  try {
    await using core = await createTestCore({ url: database.url })
    await core.platform.ensurePlatform()
    await using wrong = await createTestCore({ url: database.url, masterKey: otherKey() })
    await expect(wrong.platform.ensurePlatform()).rejects.toThrow(MasterKeyMismatchError)
    expect(await core.storage.read.tenantKeys.listWrappedKeys('_platform')).toHaveLength(1)
  } finally {
    await database.drop()
  }
})

test('two first starts with different master keys: one makes the platform, the other is refused', async () => {
  const database = await createTestDatabase()
  try {
    await using one = await createTestCore({ url: database.url })
    await using other = await createTestCore({ url: database.url, masterKey: otherKey() })
    const results = await Promise.allSettled([
      one.platform.ensurePlatform(),
      other.platform.ensurePlatform(),
    ])
    const refused = results.filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(1)
    expect(refused[0]).toMatchObject({ reason: { name: 'MasterKeyMismatchError' } })
  } finally {
    await database.drop()
  }
})
