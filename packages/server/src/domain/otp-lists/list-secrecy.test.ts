import { readdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dynamicStatement } from '#storage/statement.ts'
import { listTables } from '#storage/tables.ts'
import { createPlace, type DatabasePlace } from '#test/storage/databases.ts'
import { engines } from '#test/support/core.ts'
import { createListBench, type ListBench, listTenant } from '#test/support/otp-lists.ts'

describe.each(engines)('what is kept of codes on %s', (engine) => {
  let place: DatabasePlace
  let bench: ListBench

  beforeAll(async () => {
    place = await createPlace(engine)
    bench = await createListBench({ url: place.url })
  })
  afterAll(async () => {
    await bench[Symbol.asyncDispose]()
    await place[Symbol.asyncDispose]()
  })

  /** Everything that the database holds, as bytes: its files, or every value of every table. */
  async function everything(): Promise<Buffer> {
    if (engine === 'sqlite') {
      const folder = dirname(place.path)
      return Buffer.concat(readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`)))
    }
    const client = new Client({ connectionString: place.url })
    await client.connect()
    try {
      const values: Buffer[] = []
      for (const { name } of listTables()) {
        const { rows } = await client.query<unknown[]>({
          text: `select * from ${name}`,
          rowMode: 'array',
        })
        for (const value of rows.flat()) {
          values.push(Buffer.isBuffer(value) ? value : Buffer.from(`${String(value)}\n`))
        }
      }
      return Buffer.concat(values)
    } finally {
      await client.end()
    }
  }

  test('no code is in the database, before use, after use, and after every kind of failure', async () => {
    // Long codes, so that none of them is there by chance.
    const form = { otpLength: 16, otpAlphabet: '0123456789ABCDEFGHJKMNPQRSTVWXYZ', listSize: 20 }
    await bench.addMethod({ ...form, otpWindowSize: 3, maxFailures: 2 })
    const one = await bench.addList({ user: 'jsmith' })
    const other = await bench.addList({ user: 'mjones' })
    const codes = [...one.codes, ...other.codes].map(({ otp }) => otp)
    for (const at of [0, 2, 1, 9, 0, 3]) await bench.verifyList(codes[at])
    await bench.lists.delete(bench.admin, listTenant, other.list.id)

    const bytes = await everything()
    expect(bytes.includes(one.list.id)).toBe(true)
    for (const code of codes) {
      expect(bytes.includes(code)).toBe(false)
      expect(bytes.includes(code.toLowerCase())).toBe(false)
      expect(bytes.includes(Buffer.from(code).toString('base64').slice(0, 20))).toBe(false)
      expect(bytes.includes(Buffer.from(code).toString('hex'))).toBe(false)
    }
  })

  test('equal codes leave nothing equal behind, in one list or in two', async () => {
    const form = { otpAlphabet: '01', otpLength: 4, listSize: 200 } as const
    await bench.addMethod({ name: 'tiny', ...form })
    await bench.addList({ method: 'tiny' })
    await bench.addList({ method: 'tiny' })
    const bytes = await keptTags()
    expect(bytes.length).toBeGreaterThanOrEqual(400)
    expect(new Set(bytes).size).toBe(bytes.length)
  })

  /** Every tag that is kept, as hex. */
  async function keptTags(): Promise<string[]> {
    const rows = await bench.core.test.database.reader.all(
      dynamicStatement((db) =>
        db.selectFrom('otp_list_code').select('code_tags').where('tenant_id', '=', listTenant),
      ),
      {},
    )
    return rows.flatMap(({ code_tags }) => {
      const hex = Buffer.from(code_tags).toString('hex')
      return hex.match(/.{64}/g) ?? []
    })
  }
})
