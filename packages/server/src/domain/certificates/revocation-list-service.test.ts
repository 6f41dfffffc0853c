import { parseRevocationList } from '@countersign/protocol/certificate/revocation-list.ts'
import { encodeHex } from '@countersign/protocol/encoding/hex.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { statement } from '#storage/statement.ts'
import {
  type CertificateBench,
  createCertificateBench,
  tenantId,
} from '#test/support/certificates.ts'
import { engines, refusal } from '#test/support/core.ts'
import { shardSize } from './certificate.ts'

const listBytesMax = 300_000
const dayMs = 86_400_000

const insertRevoked = statement(
  (db, p: { tenantId: string; serial: string; issuerId: string; shard: number; number: number }) =>
    db.insertInto('issued_certificate').values({
      tenant_id: p.tenantId,
      serial: p.serial,
      certificate_id: p.serial,
      issuer_id: p.issuerId,
      shard: p.shard,
      der: new Uint8Array(),
      not_before: 0,
      not_after: 0,
      issued_at: 0,
      revoked_at: 1_700_000_000_000,
      revocation_reason: 'SUPERSEDED',
      revocation_number: p.number,
    }),
)

const setCounts = statement((db, p: { tenantId: string; issuerId: string; revoked: number }) =>
  db
    .updateTable('crl_shard')
    .set({ revoked_count: p.revoked })
    .where('tenant_id', '=', p.tenantId)
    .where('issuer_id', '=', p.issuerId),
)

describe.each(engines)('revocation lists on %s', (engine) => {
  let bench: CertificateBench
  let issuerId: string
  beforeEach(async () => {
    bench = await createCertificateBench({ engine })
    issuerId = (await bench.core.pki.signers.get(bench.admin, tenantId, 'current')).id
  })
  afterEach(() => bench[Symbol.asyncDispose]())

  const list = async (shard = 0) =>
    parseRevocationList(
      await bench.core.pki.revocationLists.get(tenantId, issuerId, shard),
      listBytesMax,
    )
  const numberOf = ({ extensions }: Awaited<ReturnType<typeof list>>) =>
    extensions.find(({ id }) => id === '2.5.29.20')?.value.at(-1)

  test('the last list of a revoked signer has all that it revoked, and stays when its key is gone', async () => {
    const { pki, clock } = bench.core
    const { id, serial } = await bench.issue(bench.createDevice())
    const before = await list()
    const reason = 'KEY_COMPROMISE'
    await pki.certificates.revoke(bench.admin, tenantId, { id, reason })
    clock.advance(1_500)
    await pki.signers.revoke(bench.admin, tenantId, issuerId)
    await pki.signerClosing.closeDue()
    const last = await list()
    expect(last.entries.map((entry) => encodeHex(entry.serial))).toEqual([serial])
    expect(last.thisUpdateMs).toBe(before.thisUpdateMs + 1_000)
    expect(new Date(last.nextUpdateMs).toISOString()).toBe('9999-12-31T23:59:59.000Z')
    clock.advance(30 * dayMs)
    const { revocationLists } = pki
    const later = await revocationLists.get(tenantId, issuerId, 0, { notBeforeMs: clock() })
    expect(parseRevocationList(later, listBytesMax)).toEqual(last)
    await expect(revocationLists.get(tenantId, issuerId, 1)).rejects.toThrow(
      refusal('signer_not_found'),
    )
  })

  test('a list is signed again after a revocation or a day, and otherwise kept', async () => {
    const first = await list()
    expect(first.entries).toEqual([])
    expect(numberOf(await list())).toBe(1)
    bench.core.clock.advance(dayMs)
    expect(numberOf(await list())).toBe(2)
    const { id, serial } = await bench.issue(bench.createDevice())
    const reason = 'KEY_COMPROMISE'
    await bench.core.pki.certificates.revoke(bench.admin, tenantId, { id, reason })
    const after = await list()
    expect(numberOf(after)).toBe(3)
    expect(after.entries.map((entry) => [encodeHex(entry.serial), entry.reason])).toEqual([
      [serial, 1],
    ])
  })

  test('of twenty who ask at once all get the same list, signed once', async () => {
    const lists = await Promise.all(
      Array.from({ length: 20 }, () => bench.core.pki.revocationLists.get(tenantId, issuerId, 0)),
    )
    expect(new Set(lists.map((der) => encodeHex(der))).size).toBe(1)
    const stored = await bench.core.storage.read.pki.revocations.find({
      tenantId,
      issuerId,
      shard: 0,
    })
    expect(stored?.crlNumber).toBe(1)
  })

  test('R11: whatever was revoked, a list holds one part of it, and grows by what came since', async () => {
    await list()
    const { database } = bench.core.test
    const insert = (from: number, to: number) =>
      database.transaction(async (queries) => {
        for (let number = from; number <= to; number++) {
          const serial = (0x4000_0000 + number).toString(16).padStart(32, '40')
          await queries.run(insertRevoked, { tenantId, serial, issuerId, shard: 0, number })
        }
        await queries.run(setCounts, { tenantId, issuerId, revoked: to })
      })
    for (let from = 1; from <= shardSize; from += 512) await insert(from, from + 511)
    const full = await list()
    expect(full.entries).toHaveLength(shardSize)
    expect(full.tbs.length).toBeLessThan(listBytesMax)
    const stored = await bench.core.storage.read.pki.revocations.find({
      tenantId,
      issuerId,
      shard: 0,
    })
    expect(stored).toMatchObject({ listedCount: shardSize, revokedCount: shardSize })
    await insert(shardSize + 1, shardSize + 1)
    const after = await list()
    expect(after.entries).toHaveLength(shardSize + 1)
    expect(encodeHex(after.tbs)).toContain(encodeHex(stored?.entries ?? new Uint8Array()))
  }, 60_000)

  test('the next part has a list of its own; then each says which part it is about', async () => {
    const idp = '2.5.29.28'
    expect((await list()).extensions.map(({ id }) => id)).not.toContain(idp)
    await expect(list(1)).rejects.toThrow(refusal('signer_not_found'))
    await bench.core.storage.transaction(({ pki: { issuers } }) =>
      issuers.takeNumbers(tenantId, issuerId, shardSize),
    )
    const { id, serial } = await bench.issue(bench.createDevice())
    await bench.core.pki.certificates.revoke(bench.admin, tenantId, { id, reason: 'UNSPECIFIED' })
    const [first, second] = [await list(0), await list(1)]
    expect(first.entries).toEqual([])
    expect(second.entries.map((entry) => [encodeHex(entry.serial), entry.reason])).toEqual([
      [serial, 0],
    ])
    for (const { extensions } of [first, second]) {
      expect(extensions.find((extension) => extension.id === idp)?.critical).toBe(true)
    }
  })

  test('a foreign tenant has no list, a signer that nobody knows neither; the root lists a revoked one', async () => {
    await bench.core.pki.signers.revoke(bench.admin, tenantId, issuerId)
    const { revocationLists } = bench.core.pki
    await expect(revocationLists.get('nobody', issuerId, 0)).rejects.toThrow(
      refusal('signer_not_found'),
    )
    await expect(revocationLists.get(tenantId, 'nobody', 0)).rejects.toThrow(
      refusal('signer_not_found'),
    )
    await expect(revocationLists.get('nobody', 'root', 0)).rejects.toThrow(
      refusal('tenant_not_found'),
    )
    const root = parseRevocationList(await revocationLists.get(tenantId, 'root', 0), listBytesMax)
    expect(root.entries).toHaveLength(1)
  })
})
