import { afterAll, beforeAll, expect, test } from 'vitest'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import {
  type CertificateBench,
  createCertificateBench,
  tenantId,
} from '#test/support/certificates.ts'
import { csrOf } from '#test/support/device-keys.ts'

const watch = new StatementWatch()
let bench: CertificateBench

beforeAll(async () => {
  bench = await createCertificateBench({
    observer: watch,
  })
})
afterAll(() => bench[Symbol.asyncDispose]())

test('no statement of the certificate authority reads a tenant from end to end', async () => {
  const { admin, core } = bench
  const { pki } = core
  const device = bench.createDevice()
  watch.clear()
  const { id } = await bench.issue(device)
  const csr = await csrOf(device.deviceKey)
  await pki.certificates.renew(device.caller, device.owner, { id, csr })
  await bench.settle()
  await pki.certificates.listOwn(device.caller, device.owner)
  for (const filters of [
    { userId: 'jsmith' },
    { deviceId: device.owner.deviceId },
    { status: 'ISSUED' as const },
    { issuer: 'root' },
    { issuer: 'root', status: 'ISSUED' as const },
  ]) {
    await pki.certificateLists.list(admin, tenantId, { filters, limit: 5 })
  }
  const { id: issuerId } = await pki.signers.get(admin, tenantId, 'current')
  await pki.certificates.revoke(admin, tenantId, { id, reason: 'SUPERSEDED' })
  await pki.revocationLists.get(tenantId, issuerId, 0)
  await pki.signers.create(admin, tenantId)
  await bench.settle()
  const { deviceId } = device.owner
  await core.storage.transaction((stores) =>
    pki.certificates.revokeOfDevice(stores, admin, { tenantId, deviceId }),
  )

  const ours = watch.distinct.filter((sql) =>
    /"(certificate\w*|issued_certificate|crl_shard)"/.test(sql),
  )
  expect(ours.length).toBeGreaterThan(25)
  const found = await Promise.all(ours.map((sql) => explain(core.test.url, sql)))
  // Of a tenant this index has one entry at most: the ACTIVE signer.
  const grows = found.flatMap(({ sql, faults }) =>
    faults
      .filter((fault) => !fault.includes('certificate_issuer_active'))
      .map((fault) => `${fault}: ${sql}`),
  )
  expect(grows).toEqual([])
})
