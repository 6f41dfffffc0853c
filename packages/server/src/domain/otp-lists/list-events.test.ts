import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { statement } from '#storage/statement.ts'
import { engines } from '#test/support/core.ts'
import { createListBench, type ListBench, listTenant } from '#test/support/otp-lists.ts'

const subscribe = statement((db, p: { tenantId: string; type: string }) =>
  db
    .insertInto('webhook_subscription')
    .values({ tenant_id: p.tenantId, event_type: p.type, endpoint_id: 'one', queue: 'one' }),
)
const listOutbox = statement((db, p: { tenantId: string }) =>
  db.selectFrom('outbox').select('payload').where('tenant_id', '=', p.tenantId).orderBy('id'),
)

interface Told {
  readonly type: string
  readonly data: { readonly list: Readonly<Record<string, unknown>> }
}

describe.each(engines)('webhook events of lists on %s', (engine) => {
  let bench: ListBench

  beforeEach(async () => {
    bench = await createListBench({ engine })
    await bench.core.test.database.transaction((queries) =>
      queries.run(subscribe, { tenantId: listTenant, type: '*' }),
    )
    await bench.addMethod({ listSize: 5, renewThreshold: 2, otpWindowSize: 2 })
  })
  afterEach(async () => {
    await bench[Symbol.asyncDispose]()
  })

  async function told(): Promise<Told[]> {
    const parameters = { tenantId: listTenant }
    const rows = await bench.core.test.database.reader.all(listOutbox, parameters)
    return rows.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()))
  }
  const types = async () => (await told()).map(({ type }) => type)
  const addList = async () => {
    const { list, codes } = await bench.addList({ user: 'jsmith' })
    return { id: list.id, codes: codes.map(({ otp }) => otp) }
  }

  test('the first code reports that the list is in use, as the platform API shows it', async () => {
    const { id, codes } = await addList()
    await bench.verifyList('A00000')
    await bench.verifyList(codes[0])
    await bench.verifyList(codes[0])
    expect(await told()).toMatchObject([
      {
        type: 'otp-list.activated',
        data: {
          tenantId: listTenant,
          list: {
            id,
            method: 'otp.1',
            status: 'ACTIVE',
            userId: 'jsmith',
            size: 5,
            remaining: 4,
            nextIndex: '2',
            expiresAt: null,
            createdAt: '2026-11-21T10:00:00.000Z',
            updatedAt: '2026-11-21T10:00:00.000Z',
          },
        },
      },
    ])
  })

  test('a renewal is due once, when few codes are left and no other list waits', async () => {
    const { codes } = await addList()
    for (const code of codes) await bench.verifyList(code)
    expect(await types()).toEqual(['otp-list.activated', 'otp-list.renew-due'])
    expect((await told())[1]?.data.list).toMatchObject({ remaining: 2 })
  })

  test('while another list waits none is due; when that one is taken away, it is', async () => {
    const { codes } = await addList()
    await bench.verifyList(codes[0])
    const next = await addList()
    for (const code of codes.slice(1, 4)) await bench.verifyList(code)
    expect(await types()).toEqual(['otp-list.activated'])
    await bench.lists.delete(bench.admin, listTenant, next.id)
    expect(await types()).toEqual(['otp-list.activated', 'otp-list.renew-due'])
  })

  test('a waiting list that lapses makes a renewal due as well', async () => {
    const { codes } = await addList()
    for (const code of codes.slice(0, 2)) await bench.verifyList(code)
    const change = { associatedListMaxAgeSeconds: 60 }
    await bench.methods.update(bench.admin, listTenant, 'otp.1', change)
    await addList()
    await bench.verifyList(codes[2])
    bench.core.clock.advance(60_000)
    await bench.expiry.removeExpired()
    expect(await types()).toEqual(['otp-list.activated', 'otp-list.renew-due'])
  })

  test('twenty racing first codes report it once', async () => {
    const { codes } = await addList()
    await Promise.all(Array.from({ length: 20 }, (_, n) => bench.verifyList(codes[n % 2])))
    expect(await types()).toContain('otp-list.activated')
    expect((await types()).filter((type) => type === 'otp-list.activated')).toHaveLength(1)
  })
})
