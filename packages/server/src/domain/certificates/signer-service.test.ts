import { parseCertificate } from '@countersign/protocol/certificate/certificate.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { statement } from '#storage/statement.ts'
import {
  type CertificateBench,
  createCertificateBench,
  tenantId,
} from '#test/support/certificates.ts'
import { engines, platformAdmin, refusal, testCaller } from '#test/support/core.ts'
import { csrOf } from '#test/support/device-keys.ts'
import { writtenRecords } from '#test/support/journal.ts'

const breakKey = statement((db, p: { kid: string }) =>
  db
    .updateTable('signing_key')
    .set({ sealed_private: Buffer.alloc(64) })
    .where('tenant_id', '=', tenantId)
    .where('kid', '=', p.kid),
)

describe.each(engines)('signers on %s', (engine) => {
  let bench: CertificateBench
  beforeEach(async () => {
    bench = await createCertificateBench({ engine, hasSigner: false })
  })
  afterEach(() => bench[Symbol.asyncDispose]())

  const signers = () => bench.core.pki.signers
  const certificates = () => bench.core.pki.certificates

  test('a tenant is made with a root; a signer is ACTIVE at once, its certificate follows', async () => {
    const root = await bench.core.storage.read.pki.issuers.find(tenantId, 'root')
    expect(root).toMatchObject({ state: 'ROOT', generation: -1 })
    await expect(signers().get(bench.admin, tenantId, 'current')).rejects.toThrow(
      refusal('signer_not_found'),
    )
    const created = await signers().create(bench.admin, tenantId)
    expect(created).toMatchObject({ state: 'ACTIVE', generation: 0, name: 'signer-0' })
    await bench.settle()
    const signer = await signers().get(bench.admin, tenantId, 'current')
    expect(signer.id).toBe(created.id)
    const request = await certificates().get(bench.admin, tenantId, signer.id)
    expect(request).toMatchObject({ status: 'ISSUED', profile: 'TENANT_SIGNER', issuerId: 'root' })
    const [own, anchor] = await signers().chain(bench.admin, tenantId, 'current')
    expect(own).toEqual(signer.certificate)
    expect(anchor).toEqual(root?.certificate)
  })

  test('of ten that are created at once one is ACTIVE, the others were', async () => {
    await Promise.all(Array.from({ length: 10 }, () => signers().create(bench.admin, tenantId)))
    await bench.settle()
    const all = await Promise.all(
      (
        await bench.core.pki.certificateLists.list(bench.admin, tenantId, {
          filters: { issuer: 'root' },
          limit: 20,
        })
      ).items.map(({ id }) => signers().get(bench.admin, tenantId, id)),
    )
    expect(all.filter(({ state }) => state === 'ACTIVE')).toHaveLength(1)
    expect(all.map(({ generation }) => generation).sort((one, other) => one - other)).toEqual(
      Array.from({ length: 10 }, (_, index) => index),
    )
    expect(all.find(({ state }) => state === 'ACTIVE')?.generation).toBe(9)
  })

  test('what waits for a RETIRED signer is issued by its successor', async () => {
    const first = await signers().create(bench.admin, tenantId)
    await bench.settle()
    const device = bench.createDevice()
    const csr = await csrOf(device.deviceKey)
    const [requested, second] = await Promise.all([
      certificates().request(device.caller, device.owner, { profile: 'AST_DEVICE', csr }),
      signers().create(bench.admin, tenantId),
    ])
    await bench.settle()
    bench.core.clock.advance(2_000)
    await bench.settle()
    const issued = await certificates().getOwn(device.caller, device.owner, requested.id)
    expect(issued.status).toBe('ISSUED')
    expect([first.id, second.id]).toContain(issued.issuerId)
    const later = await bench.issue(bench.createDevice())
    expect(later.issuerId).toBe(second.id)
  })

  test('v1 does not rotate', async () => {
    await signers().create(bench.admin, tenantId, { rotates: false })
    await expect(signers().create(bench.admin, tenantId, { rotates: false })).rejects.toThrow(
      refusal('already_exists'),
    )
  })

  test('a renewal keeps key, id, state and generation', async () => {
    await signers().create(bench.admin, tenantId)
    await bench.settle()
    const before = await signers().get(bench.admin, tenantId, 'current')
    bench.core.clock.advance(86_400_000)
    await signers().renew(bench.admin, tenantId, 'current')
    await bench.settle()
    const after = await signers().get(bench.admin, tenantId, 'current')
    expect(after).toMatchObject({ id: before.id, state: 'ACTIVE', generation: 0, kid: before.kid })
    const [one, other] = [before, after].map(({ certificate }) =>
      parseCertificate(certificate ?? new Uint8Array()),
    )
    expect(other?.publicKey).toEqual(one?.publicKey)
    expect(other?.serial).not.toEqual(one?.serial)
  })

  test('a renewal is refused while one is asked for, and when none was issued', async () => {
    const { id } = await signers().create(bench.admin, tenantId)
    await bench.settle()
    const again = { tenantId, id, issuerId: 'root', publicKey: null, nowMs: bench.core.clock() }
    await bench.core.storage.transaction((stores) => stores.pki.certificates.requestAgain(again))
    await expect(signers().renew(bench.admin, tenantId, id)).rejects.toThrow(
      refusal('state_conflict'),
    )
    const failed = { tenantId, id, failure: 'test', nowMs: bench.core.clock() }
    await bench.core.storage.transaction((stores) => stores.pki.certificates.fail(failed))
    expect((await signers().renew(bench.admin, tenantId, id)).id).toBe(id)
  })

  test('a revoked signer issues nothing, signs nothing, and none takes its place', async () => {
    const signer = await signers().create(bench.admin, tenantId)
    await bench.settle()
    const issued = await bench.issue(bench.createDevice())
    await signers().revoke(bench.admin, tenantId, signer.id)
    await expect(signers().revoke(bench.admin, tenantId, signer.id)).rejects.toThrow(
      refusal('state_conflict'),
    )
    const after = await signers().get(bench.admin, tenantId, signer.id)
    expect(after).toMatchObject({ state: 'REVOKED', certificate: undefined })
    await expect(signers().chain(bench.admin, tenantId, signer.id)).rejects.toThrow(
      refusal('state_conflict'),
    )
    await expect(signers().get(bench.admin, tenantId, 'current')).rejects.toThrow(
      refusal('signer_not_found'),
    )
    const keys = bench.core.storage.read.signingKeys
    expect(await keys.list(tenantId, 'certificates')).toHaveLength(2)
    await bench.core.pki.signerClosing.closeDue()
    expect(await keys.list(tenantId, 'certificates')).toHaveLength(1)
    await bench.core.pki.signerClosing.closeDue()
    const records = await writtenRecords(bench.core.test.database, tenantId)
    const ends = records.filter(({ target }) => target?.id === signer.id).slice(-2)
    expect(ends.map(({ action }) => action)).toEqual(['signer.revoked', 'signer.key-destroyed'])
    const device = bench.createDevice()
    const csr = await csrOf(device.deviceKey)
    await expect(
      certificates().request(device.caller, device.owner, { profile: 'AST_DEVICE', csr }),
    ).rejects.toThrow(expect.objectContaining({ code: 'signer_unavailable' }))
    const { signatureCertificates } = bench.core.pki
    const leaf = parseCertificate(issued.der ?? new Uint8Array())
    const owner = { tenantId, deviceId: issued.deviceId ?? '', userId: issued.userId ?? '' }
    expect(await signatureCertificates.check(leaf, owner)).toBe('revoked')
  })

  test('however many are revoked, and whichever of them cannot be closed, the others are', async () => {
    const { core, admin } = bench
    const ids: string[] = []
    for (let index = 0; index < 25; index++) {
      const { id } = await signers().create(admin, tenantId)
      await bench.settle()
      await signers().revoke(admin, tenantId, id)
      ids.push(id)
    }
    const { signingKeys } = core.storage.read
    const left = async () => (await signingKeys.list(tenantId, 'certificates')).length
    const before = await left()
    const kids = await Promise.all(
      ids.slice(0, 20).map((id) => core.storage.read.pki.issuers.find(tenantId, id)),
    )
    await core.test.database.transaction(async (queries) => {
      for (const signer of kids) await queries.run(breakKey, { kid: signer?.kid ?? '' })
    })
    await expect(core.pki.signerClosing.closeDue()).rejects.toThrow('were not signed')
    expect(await left()).toBe(before - 5)
  })

  test('a request that waits when its signer is revoked is FAILED', async () => {
    const signer = await signers().create(bench.admin, tenantId)
    await bench.settle()
    const device = bench.createDevice()
    const csr = await csrOf(device.deviceKey)
    const { storage } = bench.core
    const { id } = await certificates().request(device.caller, device.owner, {
      profile: 'AST_DEVICE',
      csr,
    })
    await bench.settle()
    const nowMs = bench.core.clock()
    await storage.transaction(({ pki: { certificates: store } }) =>
      store.requestAgain({
        tenantId,
        id,
        issuerId: signer.id,
        publicKey: device.deviceKey.spki,
        nowMs,
      }),
    )
    await signers().revoke(bench.admin, tenantId, signer.id)
    await bench.settle()
    expect(await certificates().getOwn(device.caller, device.owner, id)).toMatchObject({
      status: 'FAILED',
      failure: 'The signer was revoked.',
    })
  })

  test('only an unused signer can be deleted, with its certificate', async () => {
    const unused = await signers().create(bench.admin, tenantId)
    await bench.settle()
    await signers().delete(bench.admin, tenantId, unused.id)
    await expect(signers().get(bench.admin, tenantId, unused.id)).rejects.toThrow(
      refusal('signer_not_found'),
    )
    const used = await signers().create(bench.admin, tenantId)
    await bench.settle()
    await bench.issue(bench.createDevice())
    await expect(signers().delete(bench.admin, tenantId, used.id)).rejects.toThrow(
      refusal('in_use'),
    )
    await expect(signers().delete(bench.admin, tenantId, 'root')).rejects.toThrow(
      refusal('signer_not_found'),
    )
  })

  test('the first device makes the signer `default`, once, and never again', async () => {
    const ensure = () =>
      bench.core.storage.transaction((stores) =>
        signers().ensureSigner(stores, bench.admin, tenantId),
      )
    await Promise.all([ensure(), ensure(), ensure()])
    await bench.settle()
    const signer = await signers().get(bench.admin, tenantId, 'current')
    expect(signer).toMatchObject({ name: 'default', generation: 0 })
    await signers().revoke(bench.admin, tenantId, 'current')
    await ensure()
    await expect(signers().get(bench.admin, tenantId, 'current')).rejects.toThrow(
      refusal('signer_not_found'),
    )
  })

  test('a tenant that is older than roots gets one when it is asked for, whoever asks first', async () => {
    await bench.core.storage.transaction(async ({ tenants, tenantKeys }) => {
      await tenants.insert({ id: 'old', number: 99, name: 'Old', nowMs: 1 })
      await tenantKeys.insert('old', bench.core.vault.createWrappedKey('old', 1), 1)
    })
    const roots = await Promise.all(
      Array.from({ length: 5 }, () => bench.core.pki.roots.anchorHash('old')),
    )
    expect(new Set(roots).size).toBe(1)
    await expect(bench.core.pki.roots.anchorHash('nobody')).rejects.toThrow(
      refusal('tenant_not_found'),
    )
  })

  test('another tenant does not see it, and a reader changes nothing', async () => {
    await bench.core.tenants.create(platformAdmin, { id: 'shop', name: 'Shop' })
    const signer = await signers().create(bench.admin, tenantId)
    const stranger = testCaller('shop', ['tenant:write'])
    await expect(signers().get(stranger, tenantId, signer.id)).rejects.toThrow(
      refusal('tenant_not_found'),
    )
    await expect(signers().get(stranger, 'shop', signer.id)).rejects.toThrow(
      refusal('signer_not_found'),
    )
    const reader = testCaller(tenantId, ['ast:read'])
    expect((await signers().get(reader, tenantId, 'current')).id).toBe(signer.id)
    await expect(signers().create(reader, tenantId)).rejects.toThrow(refusal('forbidden'))
    await expect(signers().revoke(reader, tenantId, 'current')).rejects.toThrow(
      refusal('forbidden'),
    )
  })

  test('a customer key is RSA, made once, whoever asks first', async () => {
    const { customerKeys } = bench.core.pki
    const keys = await Promise.all(Array.from({ length: 4 }, () => customerKeys.active(tenantId)))
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(1)
    expect(keys[0]?.publicJwk).toMatchObject({ kty: 'RSA', alg: 'RS256' })
  })
})
