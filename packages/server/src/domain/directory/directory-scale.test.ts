import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createTokenBench, type TokenBench } from '#test/support/otp-tokens.ts'
import type { EntityName } from './directory.ts'
import type { Condition, Search } from './directory-query.ts'
import { DirectoryService } from './directory-service.ts'

const tenantId = 'acme'
const tokenCount = 4_500

const byId: Search = {
  conditions: [],
  sort: { path: ['id'], descending: false },
  limit: 3,
  offset: 0,
  projection: { fields: [], relations: {} },
}

/** More tokens than one window holds; every tenth one is DISABLED, the first has a user. */
async function fill({ core, admin, products, assignments }: TokenBench): Promise<void> {
  const { storage, nextId, clock } = core
  const codes = { manufacturerCode: 'CS', productCode: 'HOTP' }
  const product = await products.findByCodes(admin, tenantId, codes)
  if (product === undefined) throw new Error('The product is missing.')
  const { type, algorithm, digits, periodSeconds } = product
  const parameters = { type, algorithm, digits, periodSeconds }
  let first = ''
  await storage.transaction(async ({ otpTokens }) => {
    for (let number = 0; number < tokenCount; number++) {
      const serial = `s${String(number).padStart(5, '0')}`
      const id = nextId()
      if (number === 0) first = id
      await otpTokens.insert({
        tenantId,
        id,
        productId: product.id,
        repositoryId: null,
        serial,
        identifier: serial,
        parameters,
        status: number % 10 === 0 ? 'DISABLED' : 'ACTIVE',
        description: null,
        origin: 'IMPORTED',
        startsAtMs: null,
        expiresAtMs: null,
        sealedSecret: new Uint8Array(),
        counter: number,
        driftSteps: 0,
        createdAtMs: clock(),
      })
    }
  })
  await core.storage.transaction(async ({ otpTokens }) => {
    const token = await otpTokens.find(tenantId, first)
    if (token !== undefined) await otpTokens.update(token, { status: 'ACTIVE' }, clock())
  })
  await assignments.create(admin, tenantId, first, { user: { id: 'jsmith' } })
}

describe.each(engines)('with many tokens, on %s', (engine) => {
  let bench: TokenBench
  let directory: DirectoryService

  beforeAll(async () => {
    bench = await createTokenBench({ engine })
    const { storage, clock, settings } = bench.core
    directory = new DirectoryService({ storage, clock, policies: settings })
    await fill(bench)
  }, 60_000)
  afterAll(() => bench[Symbol.asyncDispose]())

  const search = (changes: Partial<Search>) =>
    directory.search(bench.reader, tenantId, 'token', { ...byId, ...changes })

  test('everything is counted over all windows, and the last page is found', async () => {
    const last = await search({ offset: tokenCount - 2 })
    expect(last.total).toBe(tokenCount)
    expect(last.rows).toHaveLength(2)
    const disabled = await search({
      conditions: [{ path: ['status'], op: '=', value: 'DISABLED' }],
    })
    expect(disabled.total).toBe(tokenCount / 10 - 1)
  })

  test('a page in another order is the same as one cut from the whole', async () => {
    const sort = { path: ['counter'], descending: true }
    const projection = { fields: ['counter'], relations: {} }
    const { rows } = await search({ sort, offset: 2_100, projection })
    expect(rows.map(({ fields }) => fields.counter)).toEqual([2_399, 2_398, 2_397])
  })

  test('other work gets its turn between windows', async () => {
    let turns = 0
    const timer = setInterval(() => {
      turns++
    }, 0)
    await search({})
    clearInterval(timer)
    expect(turns).toBeGreaterThan(0)
  })

  test('the user of one is found among all', async () => {
    const conditions: Condition[] = [{ path: ['tokenAssignments'], op: 'isNull', value: false }]
    expect((await search({ conditions })).total).toBe(1)
  })
})

describe('the usual questions', () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-plans-'))
  const file = join(folder, 'test.db')
  const statements: string[] = []
  let bench: TokenBench

  beforeAll(async () => {
    const observer = {
      observeDatabase: () => {},
      statementRun: (sql: string) => {
        statements.push(sql)
      },
    }
    bench = await createTokenBench({ url: `sqlite:${file}`, observer })
  }, 60_000)
  afterAll(async () => {
    await bench[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  test('are explained by a plan that shows what is read from end to end', () => {
    expect(fullScans(file, 'select id from otp_token')).toHaveLength(1)
    const wholeTenant = 'select id from otp_token where tenant_id = ? and status = ?'
    expect(fullScans(file, wholeTenant)).toHaveLength(1)
  })

  test.each<[EntityName, readonly string[]]>([
    ['token', ['id']],
    ['token', ['serial']],
    ['token', ['identifier']],
    ['token', ['users', 'loginName']],
    ['token', ['users', 'email']],
    ['token', ['owners', 'key']],
    ['token', ['tokenAssignments', 'id']],
    ['tokenAssignment', ['id']],
    ['tokenAssignment', ['token', 'serial']],
    ['tokenAssignment', ['token', 'id']],
    ['tokenAssignment', ['user', 'loginName']],
    ['tokenAssignment', ['user', 'id']],
    ['user', ['id']],
    ['user', ['key']],
    ['user', ['loginName']],
    ['user', ['email']],
    ['user', ['principalName']],
    ['user', ['tokens', 'serial']],
    ['domain', ['id']],
    ['domain', ['name']],
    ['product', ['id']],
    ['repository', ['id']],
  ])('about a %s by %j are answered from indexes, down to the relations', async (entity, path) => {
    const { storage, clock, settings } = bench.core
    const directory = new DirectoryService({ storage, clock, policies: settings })
    statements.length = 0
    await directory.search(bench.reader, tenantId, entity, {
      ...byId,
      conditions: [{ path, op: '=', value: 'x' }],
    })
    const asked = statements.filter((sql) => sql.includes('sort_key'))
    expect(asked).toHaveLength(1)
    expect(fullScans(file, asked[0] ?? '')).toEqual([])
  })
})

/** Tables that a statement reads from end to end, as SQLite explains it. */
function fullScans(file: string, sql: string): string[] {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const plan = database.prepare(`explain query plan ${sql}`).all()
    return plan
      .map(({ detail }) => String(detail))
      .filter((detail) => /^SCAN (?!q\b|\(subquery)/.test(detail) || isWholeTenant(detail))
  } finally {
    database.close()
  }
}

/** A search by the tenant alone reads all of its rows. */
function isWholeTenant(detail: string): boolean {
  return /\(tenant_id=\?\)$/.test(detail)
}
