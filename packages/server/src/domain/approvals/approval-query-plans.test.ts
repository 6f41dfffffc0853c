import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import { type ApprovalBench, createApprovalBench, tenantId } from '#test/support/approvals.ts'
import { engines } from '#test/support/core.ts'
import type { Phone } from '#test/support/phone.ts'

const ours =
  /"(approval\w*|device\w*|enrolled_key|enrolment_code|certificate\w*|issued_certificate|crl_shard)"/

describe.each(engines)('what devices and approvals ask of %s', (engine) => {
  const watch = new StatementWatch()
  let bench: ApprovalBench
  let phone: Phone
  beforeAll(async () => {
    bench = await createApprovalBench(engine, { observer: watch })
    phone = await bench.enrol(await bench.createUser(), { pin: '4711' })
    await phone.certify()
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  /** Those that read more rows than they name. */
  async function faults(): Promise<string[]> {
    const found: string[] = []
    for (const sql of watch.distinct) {
      if (!ours.test(sql)) continue
      // PostgreSQL joins by what it knows of the sizes of tables: those of a test prove nothing.
      if (engine === 'postgres' && / join |exists/.test(sql)) continue
      const { faults: wrong } = await explain(bench.url, sql)
      found.push(
        ...wrong.filter((fault) => isTelling(fault, sql)).map((fault) => `${fault}: ${sql}`),
      )
    }
    return found
  }

  test('follows an index: approvals from the question to the evidence, by every proof', async () => {
    const { core, admin, ast } = bench
    const { userId } = phone
    watch.clear()
    for (const type of ['pin', 'bio'] as const) {
      const { id } = await bench.ask(userId, { reference: `by-${type}` })
      const item = await phone.retrieve(id)
      await phone.decide(id, phone.byFactor(type, item, { transactionData: 'a=1' }))
    }
    const { id } = await bench.ask(userId, {}, ast)
    await core.approvalInbox.list(await phone.session())
    await phone.decide(id, await phone.bySignature(await phone.retrieve(id)))
    await core.evidence.get(admin, tenantId, id)
    const { id: rejected } = await bench.ask(userId)
    await phone.decide(rejected, phone.bySignedRejection(await phone.retrieve(rejected)))
    const { id: taken } = await bench.ask(userId, { kind: 'MESSAGE' })
    await core.approvals.cancel(admin, tenantId, taken)
    await core.approvals.getByReference(admin, tenantId, 'by-pin')
    await core.approvals.cancelAllOf(admin, tenantId, userId)
    await core.approvalEnding.expireDue()
    await core.approvalEnding.eraseDue()
    expect(watch.distinct.length).toBeGreaterThan(30)
    expect(await faults()).toEqual([])
  })

  test('follows an index: devices, their events, locks and ends', async () => {
    const { core, admin } = bench
    const other = await bench.enrol(phone.userId, { pin: '4711' })
    watch.clear()
    const following = await core.eventFeed.follow(await other.session(), 'poll', undefined)
    following.close()
    await core.devices.get(admin, tenantId, other.id)
    await core.devices.list(admin, tenantId, { userId: other.userId, limit: 5, cursor: undefined })
    await core.devices.lock(admin, tenantId, { id: other.id, reason: null })
    await core.devices.unlock(admin, tenantId, other.id)
    await core.devices.delete(admin, tenantId, other.id)
    expect(watch.distinct.length).toBeGreaterThan(15)
    expect(await faults()).toEqual([])
  })

  test.each([
    ['user', 'jsmith'],
    ['device', 'd1'],
    ['id', 'c1'],
    ['issuer', 'root'],
    ['requestStatus', 'REQUESTED'],
  ])('follows the index of a certificate filter that says %s =', async (field, value) => {
    const { read } = bench.storage
    watch.clear()
    await read.pki.search.searchCertificates(
      tenantId,
      {
        op: 'and',
        conditions: [
          { op: '!=', field: 'profile', value: 'TENANT_SIGNER' },
          { op: '=', field, value },
        ],
      },
      { offset: 0, limit: 10 },
    )
    expect(watch.distinct).toHaveLength(2)
    for (const sql of watch.distinct) {
      const { accesses, faults: wrong } = await explain(bench.url, sql)
      expect(wrong, sql).toEqual([])
      if (engine === 'sqlite' && field !== 'id') {
        const column =
          { user: 'user_id', device: 'device_id', issuer: 'issuer_id' }[field] ?? 'status'
        expect(accesses.join(), sql).toContain(`tenant_id=? AND ${column}=?`)
      }
    }
  })
})

function isTelling(fault: string, sql: string): boolean {
  // A tenant is one row. A device has a few users at most, who are sorted.
  if (fault.startsWith('SEARCH tenant ')) return false
  if (fault.startsWith('USE TEMP B-TREE')) return !sql.includes('from "device_link"')
  // Which index PostgreSQL takes in a table of three rows says nothing; that it takes one does.
  return !/^Index.* Scan /.test(fault)
}
