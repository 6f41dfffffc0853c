import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type CertificateBench,
  createCertificateBench,
  type TestDevice,
  tenantId,
} from '#test/support/certificates.ts'
import { engines, testCaller, waitingRecords } from '#test/support/core.ts'
import { createTestKey, csrOf } from '#test/support/device-keys.ts'
import { claimedAtOnce } from './issuance-store.ts'

/** What one user may have on one device. */
const liveMax = 100
const deviceRefusal = (code: string) =>
  expect.objectContaining({ name: 'DeviceRefusal', code }) as Error

describe.each(engines)('issuance on %s', (engine) => {
  let bench: CertificateBench
  beforeAll(async () => {
    bench = await createCertificateBench({ engine })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const certificates = () => bench.core.pki.certificates
  const request = ({ caller, owner }: TestDevice, csr: Uint8Array) =>
    certificates().request(caller, owner, { profile: 'AST_DEVICE', csr })

  /** As if `count` had been asked for before and issued. */
  async function fill({ owner }: TestDevice, count: number): Promise<void> {
    const { id: issuerId } = await bench.core.pki.signers.get(bench.admin, tenantId, 'current')
    const { deviceId, userId } = owner
    await bench.core.storage.transaction(async ({ pki }) => {
      for (let index = 0; index < count; index++) {
        const id = bench.core.nextId()
        const claim = 'filled'
        const nowMs = bench.core.clock()
        await pki.certificates.insert({
          ...{ tenantId, id, profile: 'AST_DEVICE', issuerId, userId, deviceId, nowMs },
          publicKey: new Uint8Array(),
        })
        await pki.issuance.claimDue({ nowMs, untilMs: nowMs, claim })
        const serial = index.toString(16).padStart(32, '1')
        await pki.issuance.finish({ tenantId, id, claim, serial, notAfterMs: nowMs + 1, nowMs })
      }
    })
  }

  test('of many that are asked for at once each is issued once, with a number, a place and a record of its own', async () => {
    const before = (await waitingRecords(bench.core, tenantId)).length
    const count = 3 * claimedAtOnce
    const devices = Array.from({ length: count }, (_, index) => bench.createDevice(`many-${index}`))
    const csrs = await Promise.all(devices.map(({ deviceKey }) => csrOf(deviceKey)))
    const asked = await Promise.all(
      devices.map((device, index) => request(device, csrs[index] ?? new Uint8Array())),
    )
    await bench.settle()
    const issued = await Promise.all(
      asked.map(({ id }) => certificates().get(bench.admin, tenantId, id)),
    )
    expect(new Set(issued.map(({ status }) => status))).toEqual(new Set(['ISSUED']))
    expect(new Set(issued.map(({ serial }) => serial)).size).toBe(count)
    const records = (await waitingRecords(bench.core, tenantId)).slice(before)
    const of = (action: string) =>
      records.filter((record) => record.action === action).map(({ target }) => target?.id)
    expect(of('certificate.issued')).toHaveLength(count)
    expect(new Set(of('certificate.issued'))).toEqual(new Set(asked.map(({ id }) => id)))
    expect(of('certificate.requested')).toHaveLength(count)
    const signer = await bench.core.pki.signers.get(bench.admin, tenantId, 'current')
    expect(signer.issuedCount).toBeGreaterThanOrEqual(count)
  })

  test('of twenty requests at once as many are taken as there is room for', async () => {
    const device = bench.createDevice('collector')
    await fill(device, liveMax - 3)
    const csr = await csrOf(device.deviceKey)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => request(device, csr)),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    const reasons = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    )
    expect(reasons).toEqual(Array.from({ length: 17 }, () => deviceRefusal('limit_reached')))
    await bench.settle()
    const { caller, owner } = device
    const own = await certificates().listOwn(caller, owner)
    expect(own.filter(({ status }) => status === 'ISSUED')).toHaveLength(liveMax)
  })

  test('whoever has no room does not make a key theirs', async () => {
    const full = bench.createDevice('full')
    await fill(full, liveMax)
    const key = createTestKey()
    const wanted = { profile: 'SIGNATURE', csr: await csrOf(key) } as const
    await expect(certificates().request(full.caller, full.owner, wanted)).rejects.toThrow(
      deviceRefusal('limit_reached'),
    )
    const other = bench.createDevice('other')
    expect((await bench.issue(other, 'SIGNATURE', key)).status).toBe('ISSUED')
  })

  test('a signer of a tenant that is older than roots is issued by the root that is made then', async () => {
    const { core } = bench
    await core.storage.transaction(async ({ tenants, tenantKeys }) => {
      await tenants.insert({ id: 'older', number: 99, name: 'Older', nowMs: 1 })
      await tenantKeys.insert('older', core.vault.createWrappedKey('older', 1), 1)
    })
    const admin = testCaller('older', ['tenant:write', 'ast:write'])
    const { id } = await core.pki.signers.create(admin, 'older')
    await bench.settle()
    expect((await certificates().get(admin, 'older', id)).status).toBe('ISSUED')
    const [, root] = await core.pki.signers.chain(admin, 'older', 'current')
    expect(root).toEqual(await core.pki.roots.anchor('older'))
  })
})
