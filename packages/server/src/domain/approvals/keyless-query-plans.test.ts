import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Caller } from '#domain/callers/caller.ts'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import { type ApprovalBench, createApprovalBench, tenantId } from '#test/support/approvals.ts'
import { engines, testCaller } from '#test/support/core.ts'
import type { Phone } from '#test/support/phone.ts'
import { pointOfKey } from '../devices/device-key-forms.ts'

const externalId = 'customer-4711'

describe.each(engines)('what Keyless backends ask of %s', (engine) => {
  const watch = new StatementWatch()
  let bench: ApprovalBench
  let backend: Caller
  let phone: Phone
  let keylessUserId: string
  beforeAll(async () => {
    bench = await createApprovalBench(engine, { observer: watch })
    backend = testCaller(tenantId, ['keyless:backend'], { surface: 'keyless', id: 'acme-bank' })
    phone = await bench.enrol(await bench.createUser(), { pin: '4711' })
    const { identifiers } = await bench.core.users.get(bench.admin, tenantId, phone.userId)
    keylessUserId = identifiers.find(({ scheme }) => scheme === 'keyless')?.value ?? ''
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  /** Statements that read more rows than they name. */
  async function faults(): Promise<string[]> {
    const found: string[] = []
    for (const sql of watch.distinct) {
      // PostgreSQL joins by what it knows of the sizes of tables: those of a test prove nothing.
      if (engine === 'postgres' && / join |exists/.test(sql)) continue
      const { faults: wrong } = await explain(bench.url, sql)
      found.push(
        ...wrong.filter((fault) => isTelling(fault, sql)).map((fault) => `${fault}: ${sql}`),
      )
    }
    return found
  }

  test('follows an index: operations, and what became of them', async () => {
    const { core } = bench
    watch.clear()
    const draft = {
      keylessUserId,
      payload: 'Pay',
      externalUserId: undefined,
      factor: 'pin',
    } as const
    await core.operations.create(backend, tenantId, { ...draft, operationId: 'first' })
    await core.operations.listPending(backend, tenantId, keylessUserId)
    const { approval } = await core.operations.get(backend, tenantId, 'first')
    await core.operations.get(backend, tenantId, approval.id).catch(() => undefined)
    expect(watch.distinct.length).toBeGreaterThan(8)
    expect(await faults()).toEqual([])
  })

  test('follows an index: keys and JWTs of the customer', async () => {
    const { core } = bench
    watch.clear()
    await core.customerJwtChecks.keySet(tenantId)
    await core.customerJwtChecks.publicKeyPem(backend, tenantId)
    const given = { jwt: 'e30.e30.AAAA', ignoresExpiry: false }
    await core.customerJwtChecks.verify(backend, tenantId, given)
    expect(watch.distinct.length).toBeGreaterThan(3)
    expect(await faults()).toEqual([])
  })

  test('follows an index: external ids, authentications, and the end of a device and its user', async () => {
    const { core, composed } = bench
    const { externalUsers, authentications, enrolledDevices } = core
    const item = await phone.retrieve((await bench.ask(phone.userId)).id)
    await phone.decide(item.approval.id, phone.byFactor('pin', item))
    await composed.sealer.sealAll()
    watch.clear()
    await externalUsers.create(backend, tenantId, { keylessUserId, externalId: 'other' })
    await externalUsers.change(backend, tenantId, { keylessUserId, externalId })
    await externalUsers.listHolders(backend, tenantId, externalId)
    const operationId = undefined
    const ofUser = await authentications.ofUser(backend, tenantId, { keylessUserId, operationId })
    expect(ofUser).not.toEqual([])
    const ofExternal = { externalUserId: externalId, operationId }
    await authentications.ofExternalUser(backend, tenantId, ofExternal)
    await externalUsers.remove(backend, tenantId, externalId)
    await core.tenants.numberOf(backend, tenantId)
    const [enrolled] = await enrolledDevices.list(backend, tenantId, keylessUserId)
    const point = enrolled === undefined ? '' : pointOfKey(enrolled.device.publicKey)
    await enrolledDevices.remove(backend, tenantId, { keylessUserId, point })
    await core.users.deleteNamed(backend, tenantId, { scheme: 'keyless', value: keylessUserId })
    expect(watch.distinct.length).toBeGreaterThan(30)
    expect(await faults()).toEqual([])
  })
})

function isTelling(fault: string, sql: string): boolean {
  // A tenant is one row, and has few keys.
  if (fault.startsWith('SEARCH tenant ')) return false
  if (/from "tenant_key"/.test(sql)) return false
  // A user has a few devices and identifiers at most, which are sorted.
  const isSort = fault.startsWith('USE TEMP B-TREE') || fault === 'Sort'
  if (isSort) return !/from "(device_link|user_identifier)"/.test(sql)
  // Which index PostgreSQL takes in a table of three rows says nothing; that it takes one does.
  return !/^Index.* Scan /.test(fault)
}
