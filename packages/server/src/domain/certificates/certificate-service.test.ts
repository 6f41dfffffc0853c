import { X509Certificate } from 'node:crypto'
import { parseCertificate } from '@countersign/protocol/certificate/certificate.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type CertificateBench,
  createCertificateBench,
  tenantId,
} from '#test/support/certificates.ts'
import { engines, platformAdmin, refusal, testCaller, waitingRecords } from '#test/support/core.ts'
import { createTestKey, csrOf } from '#test/support/device-keys.ts'

const day = 86_400_000
const deviceRefusal = (code: string) =>
  expect.objectContaining({ name: 'DeviceRefusal', code }) as Error

describe.each(engines)('certificates on %s', (engine) => {
  let bench: CertificateBench
  beforeAll(async () => {
    bench = await createCertificateBench({ engine })
    await bench.core.tenants.create(platformAdmin, { id: 'shop', name: 'Shop' })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const certificates = () => bench.core.pki.certificates

  test.each([
    ['AST_DEVICE', undefined, ['digitalSignature']],
    ['SIGNATURE', undefined, ['digitalSignature', 'nonRepudiation']],
    ['TLS_CLIENT', ['1.3.6.1.5.5.7.3.2'], ['digitalSignature']],
  ] as const)(
    '%s is issued as its profile says, and Node validates it',
    async (profile, purposes, _usages) => {
      const device = bench.createDevice()
      const key = profile === 'AST_DEVICE' ? device.deviceKey : createTestKey()
      const issued = await bench.issue(device, profile, key)
      expect(issued).toMatchObject({ profile, status: 'ISSUED', userId: 'jsmith', failure: null })
      const der = issued.der ?? new Uint8Array()
      const [signerDer = new Uint8Array(), rootDer = new Uint8Array()] =
        await bench.core.pki.signers.chain(bench.admin, tenantId, 'current')
      const [leaf, signer, root] = [der, signerDer, rootDer].map((one) => new X509Certificate(one))
      if (leaf === undefined || signer === undefined || root === undefined) throw new Error('none')
      expect(leaf.verify(signer.publicKey) && leaf.checkIssued(signer)).toBe(true)
      expect(signer.verify(root.publicKey) && signer.checkIssued(root)).toBe(true)
      expect(root.verify(root.publicKey)).toBe(true)
      expect(leaf.keyUsage).toEqual(purposes)
      expect([leaf.ca, signer.ca, root.ca]).toEqual([false, true, true])
      expect(leaf.subject.split('\n')).toEqual([
        'O=acme',
        `CN=${device.owner.deviceId}`,
        'UID=jsmith',
      ])
      expect(leaf.publicKey.export({ format: 'der', type: 'spki' })).toEqual(Buffer.from(key.spki))
      expect(leaf.infoAccess).toContain('https://countersign.test/pki/acme/ocsp')
      expect(Number(issued.notAfterMs) - Number(issued.notBeforeMs)).toBe(730 * day)
      expect(parseCertificate(der).serial).toHaveLength(16)
    },
  )

  test.each([
    ['AST_DEVICE for another key', 'AST_DEVICE', 'own'],
    ['SIGNATURE for the device key', 'SIGNATURE', 'device'],
    ['TLS_CLIENT for the device key', 'TLS_CLIENT', 'device'],
    ['TLS_CLIENT for the biometric key', 'TLS_CLIENT', 'bio'],
  ] as const)('%s is not allowed', async (_name, profile, which) => {
    const device = bench.createDevice()
    const key = { own: createTestKey(), device: device.deviceKey, bio: device.bioKey }[which]
    const csr = await csrOf(key)
    await expect(
      certificates().request(device.caller, device.owner, { profile, csr }),
    ).rejects.toThrow(deviceRefusal('key_not_allowed'))
  })

  test('SIGNATURE takes the biometric key', async () => {
    const device = bench.createDevice()
    expect((await bench.issue(device, 'SIGNATURE', device.bioKey)).status).toBe('ISSUED')
  })

  test('a key certified for one user and device is nobody else’s, also in a race', async () => {
    const key = createTestKey()
    const csr = await csrOf(key)
    const devices = Array.from({ length: 8 }, (_, index) => bench.createDevice(`user-${index}`))
    const outcomes = await Promise.allSettled(
      devices.map(({ caller, owner }) =>
        certificates().request(caller, owner, { profile: 'SIGNATURE', csr }),
      ),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('a request that another key signed proves nothing', async () => {
    const device = bench.createDevice()
    const csr = await csrOf(device.deviceKey, createTestKey())
    await expect(
      certificates().request(device.caller, device.owner, { profile: 'AST_DEVICE', csr }),
    ).rejects.toThrow(deviceRefusal('csr_invalid'))
    await expect(
      certificates().request(device.caller, device.owner, {
        profile: 'AST_DEVICE',
        csr: Uint8Array.from([...(await csrOf(device.deviceKey)), 0]),
      }),
    ).rejects.toThrow(deviceRefusal('csr_invalid'))
  })

  test('only the device itself asks; another device, user or tenant sees nothing', async () => {
    const device = bench.createDevice()
    const issued = await bench.issue(device)
    const other = bench.createDevice()
    const csr = await csrOf(device.deviceKey)
    const request = { profile: 'AST_DEVICE', csr } as const
    await expect(certificates().request(other.caller, device.owner, request)).rejects.toThrow(
      refusal('forbidden'),
    )
    await expect(certificates().request(bench.admin, device.owner, request)).rejects.toThrow(
      refusal('forbidden'),
    )
    await expect(certificates().getOwn(other.caller, other.owner, issued.id)).rejects.toThrow(
      deviceRefusal('not_found'),
    )
    const stranger = testCaller('shop', ['tenant:write'])
    await expect(certificates().get(stranger, tenantId, issued.id)).rejects.toThrow(
      refusal('tenant_not_found'),
    )
    await expect(certificates().get(stranger, 'shop', issued.id)).rejects.toThrow(
      refusal('certificate_not_found'),
    )
    expect(await certificates().listOwn(device.caller, device.owner)).toHaveLength(1)
    expect(await certificates().listOwn(other.caller, other.owner)).toEqual([])
  })

  test('a renewal keeps the reference; the old certificate works until the new one is there', async () => {
    const device = bench.createDevice()
    const first = await bench.issue(device)
    const csr = await csrOf(device.deviceKey)
    const renewed = await certificates().renew(device.caller, device.owner, { id: first.id, csr })
    expect(renewed).toMatchObject({ id: first.id, status: 'REQUESTED', serial: first.serial })
    expect(renewed.der).toEqual(first.der)
    await bench.settle()
    const second = await certificates().getOwn(device.caller, device.owner, first.id)
    expect(second.status).toBe('ISSUED')
    expect(second.serial).not.toBe(first.serial)
  })

  test('a revocation is final, told once, and takes what came before a renewal with it', async () => {
    const device = bench.createDevice()
    const first = await bench.issue(device)
    const csr = await csrOf(device.deviceKey)
    await certificates().renew(device.caller, device.owner, { id: first.id, csr })
    await bench.settle()
    const { id } = first
    const revoke = () =>
      certificates().revoke(bench.admin, tenantId, { id, reason: 'KEY_COMPROMISE' })
    const replies = await Promise.all(Array.from({ length: 5 }, revoke))
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set(['REVOKED']))
    const records = await waitingRecords(bench.core, tenantId)
    const told = records.filter(
      ({ action, target }) => action === 'certificate.revoked' && target?.id === id,
    )
    expect(told).toHaveLength(1)
    const { issuance } = bench.core.storage.read.pki
    expect(await issuance.listUnrevoked(tenantId, id)).toEqual([])
    await expect(certificates().renew(device.caller, device.owner, { id, csr })).rejects.toThrow(
      deviceRefusal('not_found'),
    )
  })

  test('whatever a device had ends with it, or with one of its users', async () => {
    const device = bench.createDevice('one')
    const second = { ...device, owner: { ...device.owner, userId: 'two' } }
    const one = await bench.issue(device)
    const two = await bench.issue(second)
    const { deviceId } = device.owner
    await bench.core.storage.transaction((stores) =>
      certificates().revokeOfDevice(stores, bench.admin, { tenantId, deviceId, userId: 'two' }),
    )
    expect((await certificates().get(bench.admin, tenantId, two.id)).status).toBe('REVOKED')
    expect((await certificates().get(bench.admin, tenantId, one.id)).status).toBe('ISSUED')
    await bench.core.storage.transaction((stores) =>
      certificates().revokeOfDevice(stores, bench.admin, { tenantId, deviceId }),
    )
    expect((await certificates().get(bench.admin, tenantId, one.id)).status).toBe('REVOKED')
  })

  test('a renewal that failed leaves the old certificate, which ends with the device', async () => {
    const device = bench.createDevice()
    const { id } = await bench.issue(device)
    const { storage } = bench.core
    const nowMs = bench.core.clock()
    const again = { tenantId, id, issuerId: 'gone', publicKey: device.deviceKey.spki, nowMs }
    await storage.transaction(({ pki }) => pki.certificates.requestAgain(again))
    await bench.settle()
    expect((await certificates().get(bench.admin, tenantId, id)).status).toBe('FAILED')
    const { deviceId } = device.owner
    await storage.transaction((stores) =>
      certificates().revokeOfDevice(stores, bench.admin, { tenantId, deviceId }),
    )
    expect((await certificates().get(bench.admin, tenantId, id)).status).toBe('REVOKED')
  })

  test('only the present certificate of a reference signs, for its user on its device', async () => {
    const device = bench.createDevice()
    const first = await bench.issue(device)
    const { signatureCertificates } = bench.core.pki
    const check = (der: Uint8Array | null, owner = device.owner) =>
      signatureCertificates.check(parseCertificate(der ?? new Uint8Array()), owner)
    expect(await check(first.der)).toMatchObject({ certificateId: first.id, profile: 'AST_DEVICE' })
    expect(await check(first.der, bench.createDevice().owner)).toBe('other_owner')
    const tls = await bench.issue(device, 'TLS_CLIENT', createTestKey())
    expect(await check(tls.der)).toBe('other_owner')
    const csr = await csrOf(device.deviceKey)
    await certificates().renew(device.caller, device.owner, { id: first.id, csr })
    await bench.settle()
    expect(await check(first.der)).toBe('replaced')
    const second = await certificates().getOwn(device.caller, device.owner, first.id)
    expect(await check(second.der)).toMatchObject({ certificateId: first.id })
    const reason = 'SUPERSEDED'
    await certificates().revoke(bench.admin, tenantId, { id: first.id, reason })
    expect(await check(second.der)).toBe('revoked')
  })

  test('the inventory pages by reference and is filtered by user, device, status and issuer', async () => {
    const device = bench.createDevice('lister')
    const ids = [
      await bench.issue(device),
      await bench.issue(device),
      await bench.issue(device),
    ].map(({ id }) => id)
    const { certificateLists } = bench.core.pki
    const filters = { userId: 'lister' }
    const page = await certificateLists.list(bench.admin, tenantId, { filters, limit: 2 })
    const { nextCursor } = page
    const rest = await certificateLists.list(bench.admin, tenantId, {
      filters,
      limit: 2,
      cursor: nextCursor,
    })
    expect([...page.items, ...rest.items].map(({ id }) => id)).toEqual(ids)
    const roots = await certificateLists.list(bench.admin, tenantId, {
      filters: { issuer: 'root', status: 'ISSUED' },
      limit: 10,
    })
    expect(roots.items.map(({ profile }) => profile)).toEqual(['TENANT_SIGNER'])
    const untilMs = bench.core.clock() + 731 * day
    const expiring = await certificateLists.listExpiring(bench.admin, tenantId, {
      untilMs,
      limit: 200,
    })
    expect(expiring.items.length).toBeGreaterThanOrEqual(3)
    expect(expiring.items.every(({ notAfterMs }) => Number(notAfterMs) <= untilMs)).toBe(true)
  })
})
