import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SqliteDatabase } from '#storage/sqlite.ts'
import { explain } from '#test/storage/query-plans.ts'
import { createTestCore, engines, type TestCore, type TestEngine } from '#test/support/core.ts'
import { createTestDatabase } from '#test/support/postgres.ts'

const place = { tenantId: 'acme', versionId: 'v', architecture: 'arm64' }
const vote = { ...place, deviceId: 'd', integrity: 'ab' }
const registration = { ...place, integrity: 'ab', registeredBy: 'u', sdkVersion: '1', nowMs: 1 }

describe.each(engines)('what a login asks of versions on %s', (engine: TestEngine) => {
  const seen = new Set<string>()
  let core: TestCore
  let url: string
  let drop = async () => {}
  beforeAll(async () => {
    const own = engine === 'postgres' ? await createTestDatabase() : undefined
    drop = async () => own?.drop()
    core = await createTestCore({
      ...(own === undefined ? {} : { url: own.url }),
      observer: { observeDatabase: () => {}, statementRun: (sql) => seen.add(sql) },
    })
    url = own?.url ?? `sqlite:${pathOf(core)}`
  })
  afterAll(async () => {
    await core[Symbol.asyncDispose]()
    await drop()
  })

  test('is one statement, answered by the first entry of an index where the tenant has no version', async () => {
    const { rules } = core.storage.read.appVersions
    seen.clear()
    const app = { tenantId: 'acme', appName: 'a', platform: 'Android', architecture: 'arm64' }
    expect(await rules.find({ ...app, number: '' })).toBe('none')
    expect(seen.size).toBe(1)
    const [sql = ''] = seen
    expect(sql).toContain('limit 1')
    const { accesses } = await explain(engine, url, sql)
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
    seen.clear()
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
    const statements = [...seen].filter((sql) => sql.includes('app_'))
    expect(statements).toHaveLength(8)
    // PostgreSQL holds its two indexes of an empty table for equally good.
    const telling = statements.filter((sql) => engine === 'sqlite' || !sql.includes('app_version'))
    for (const sql of telling) {
      const { faults, accesses } = await explain(engine, url, sql)
      // A vote is counted row by row, no further than its limit.
      expect(
        faults.filter((fault) => !fault.includes(' n')),
        `${sql}\n${accesses.join('\n')}`,
      ).toEqual([])
    }
  })
})

function pathOf({ test: { database } }: TestCore): string {
  if (!(database instanceof SqliteDatabase)) throw new Error('Not SQLite.')
  return database.path
}
