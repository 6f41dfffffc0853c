import { expect, test } from 'vitest'
import { AppService } from '#domain/apps/app-service.ts'
import { allRows, createInstallation, runCommand, writeKeyFile } from '#test/support/commands.ts'
import { createTestCore, testCaller } from '#test/support/core.ts'

test('push credentials are sealed again at a rewrap, and open', { timeout: 60_000 }, async () => {
  await using installation = await createInstallation('sqlite')
  const { url } = installation
  const masterKey = writeKeyFile(installation.keyFile, 7)
  const admin = testCaller('acme', ['ast:write'])
  const appRows = async () => (await allRows(url)).app
  await using core = await createTestCore({ url, masterKey })
  const apps = new AppService(core)
  // More than are read at once, and one that has nothing to seal.
  const names = Array.from({ length: 22 }, (_, index) => `app ${index}`)
  for (const name of names) {
    const secrets = { hpkClientId: '1', hpkClientSecret: `secret of ${name}` }
    await apps.create(admin, 'acme', name, { categories: ['tms'], ...secrets })
  }
  await apps.create(admin, 'acme', 'plain', { categories: ['tms'] })
  const before = await appRows()

  const args = ['rewrap', '--data-keys', '--settle-seconds', '0']
  expect(await runCommand(args, { env: installation.env(url) })).toMatchObject({ code: 0 })
  const after = await appRows()
  expect(after?.filter((row) => before?.includes(row))).toHaveLength(1)
  for (const name of names) {
    const credentials = await apps.pushCredentials('acme', name)
    expect(credentials?.hpk).toEqual({ clientId: '1', clientSecret: `secret of ${name}` })
  }
})
