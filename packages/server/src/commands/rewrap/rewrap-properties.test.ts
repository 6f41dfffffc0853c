import { expect, test } from 'vitest'
import { plainTraits, type StoredProperty } from '#domain/properties/property.ts'
import { PropertyContents } from '#domain/properties/property-contents.ts'
import { createInstallation, runCommand, writeKeyFile } from '#test/support/commands.ts'
import { createTestCore } from '#test/support/core.ts'

const owner = { tenantId: 'acme', userId: 'jsmith', deviceId: null }
const times = { createdAtMs: 0, updatedAtMs: 0 }

test('property values are sealed again at a rewrap, and open', { timeout: 60_000 }, async () => {
  await using installation = await createInstallation('sqlite')
  const { url } = installation
  const masterKey = writeKeyFile(installation.keyFile, 7)
  await using core = await createTestCore({ url, masterKey })
  const contents = new PropertyContents(core)
  const add = async (id: string, encryption: 'NONE' | 'SERVER_SIDE_DB'): Promise<void> => {
    const draft = {
      ...plainTraits,
      type: 'UTF8STRING',
      value: `value of ${id}`,
      encryption,
    } as const
    const { value: _value, ...head } = draft
    const stored = await contents.store({ tenantId: 'acme', id }, draft)
    const property: StoredProperty = {
      ...owner,
      ...head,
      ...times,
      id,
      name: id,
      version: 1,
      stored,
    }
    await core.storage.transaction(({ properties }) => properties.insert(property))
  }
  await add('sealed', 'SERVER_SIDE_DB')
  await add('plain', 'NONE')
  const find = async (id: string) => {
    const property = await core.storage.read.properties.find('acme', id)
    if (property === undefined) throw new Error('Not there.')
    return property
  }
  const before = await find('sealed')

  const args = ['rewrap', '--data-keys', '--settle-seconds', '0']
  expect(await runCommand(args, { env: installation.env(url) })).toMatchObject({ code: 0 })
  const after = await find('sealed')
  expect(after.stored).not.toEqual(before.stored)
  expect(after.version).toBe(1)
  expect((await contents.open(after)).value).toBe('value of sealed')
  expect((await contents.open(await find('plain'))).value).toBe('value of plain')
})
