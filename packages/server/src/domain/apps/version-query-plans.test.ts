import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import { createTestCore, engines, type TestCore, type TestEngine } from '#test/support/core.ts'

const place = { tenantId: 'acme', versionId: 'v', architecture: 'arm64' }
const vote = { ...place, deviceId: 'd', integrity: 'ab' }
const registration = { ...place, integrity: 'ab', registeredBy: 'u', sdkVersion: '1', nowMs: 1 }

describe.each(engines)('what a login asks of versions on %s', (engine: TestEngine) => {
  const watch = new StatementWatch()
  let core: TestCore
  beforeAll(async () => {
    core = await createTestCore({ engine, observer: watch })
  })
  afterAll(() => core[Symbol.asyncDispose]())

  test('is one statement, answered by the first entry of an index where the tenant has no version', async () => {
    const { rules } = core.storage.read.appVersions
    watch.clear()
    const app = { tenantId: 'acme', appName: 'a', platform: 'Android', architecture: 'arm64' }
    expect(await rules.find({ ...app, number: '' })).toBe('none')
    expect(watch.distinct).toHaveLength(1)
    const [sql = ''] = watch.distinct
    expect(sql).toContain('limit 1')
    const { accesses } = await explain(core.test.url, sql)
    if (engine === 'sqlite') {
      expect(accesses.filter((access) => access.startsWith('SEARCH'))).toEqual([
        expect.stringMatching(/^SEARCH a USING .*\(tenant_id=\?\)$/),
        expect.stringMatching(
          /^SEARCH v USING INDEX app_version_number \(tenant_id=\? AND app_name=\? AND platform=\? AND number=\?\)/,
        ),
        expect.stringMatching(
          /^SEARCH r USING PRIMARY KEY \(tenant_id=\? AND version_id=\? AND architecture=\?\)/,
        ),
      ])
    }
  })

  test('follows an index with all that it names, where a value is to be registered', async () => {
    watch.clear()
    await core.storage.read.appVersions.votes.isWaiting(vote, 3)
    await core.storage.transaction(async ({ appVersions: { versions, registrations, votes } }) => {
      await versions.holdUnlocked('acme', 'v')
      await registrations.register(registration)
      await registrations.find(place)
      await votes.put(vote, 1)
      await votes.register(registration, 3)
      await votes.removeOf(place)
      await votes.removeOfDevice('acme', 'd')
    })
    const statements = watch.distinct.filter((sql) => sql.includes('app_'))
    expect(statements).toHaveLength(8)
    // PostgreSQL holds its two indexes of an empty table for equally good.
    const telling = statements.filter((sql) => engine === 'sqlite' || !sql.includes('app_version'))
    for (const sql of telling) {
      const { faults, accesses } = await explain(core.test.url, sql)
      // A vote is counted row by row, no further than its limit.
      expect(
        faults.filter((fault) => !fault.includes(' n')),
        `${sql}\n${accesses.join('\n')}`,
      ).toEqual([])
    }
  })
})
