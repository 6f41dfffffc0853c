import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApprovalBench, createApprovalBench, tenantId } from '#test/support/approvals.ts'
import { engines } from '#test/support/core.ts'
import type { Phone } from '#test/support/phone.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'

const rounds = 8

describe.each(engines)('races for an approval on %s', (engine) => {
  let bench: ApprovalBench
  let userId: string
  let phones: Phone[]
  beforeAll(async () => {
    bench = await createApprovalBench(engine)
    userId = await bench.createUser()
    phones = []
    for (let index = 0; index < 3; index++) {
      const phone = await bench.enrol(userId, { pin: '4711' })
      await phone.certify()
      phones.push(phone)
    }
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const one = (): Phone => phones[0] as Phone
  const statusOf = async (id: string) =>
    (await bench.core.approvals.get(bench.admin, tenantId, id)).status
  const evidenceOf = (id: string) =>
    bench.storage.read.approvals.evidence.find({ tenantId, approvalId: id })
  const endsOf = async (id: string) =>
    (await bench.records())
      .filter(({ target, action }) => target?.id === id && /ed$/.test(action))
      .map(({ action }) => action)
      .filter((action) => !['approval.created', 'approval.retrieved'].includes(action))

  /** The decisions of a device as they ended: `done`, or the code of the refusal. */
  async function outcomes(work: readonly Promise<unknown>[]): Promise<string[]> {
    const settled = await Promise.allSettled(work)
    return settled.map((end) => {
      if (end.status === 'fulfilled') return 'done'
      if (end.reason instanceof DeviceRefusal) return end.reason.code
      return (end.reason as { code?: string }).code ?? String(end.reason)
    })
  }

  test('R4: of devices that decide at once one wins, with the only evidence', async () => {
    for (let round = 0; round < rounds; round++) {
      const { id } = await bench.ask(userId, {}, bench.ast)
      const work = await Promise.all(
        phones.map(async (phone) => {
          const item = await phone.retrieve(id)
          return { phone, decision: await phone.bySignature(item) }
        }),
      )
      const ends = await Promise.allSettled(
        work.map(({ phone, decision }) => phone.decide(id, decision)),
      )
      const winner = ends.findIndex(({ status }) => status === 'fulfilled')
      const losers = ends.filter((end) => end.status === 'rejected')
      expect(losers).toHaveLength(phones.length - 1)
      for (const { reason } of losers) {
        expect(reason).toMatchObject({
          code: 'approval_final',
          facts: { approvalStatus: 'APPROVED', decidedByThisDevice: false },
        })
      }
      expect((await evidenceOf(id))?.deviceId).toBe(phones[winner]?.id)
      expect(await endsOf(id)).toEqual(['approval.approved'])
    }
  })

  test.runIf(engine === 'postgres')(
    'R4: of two processes that decide at once one does',
    async () => {
      const { url = '' } = bench
      await using elsewhere = await createApprovalBench(engine, { url, isMade: true })
      for (let round = 0; round < rounds; round++) {
        const { id } = await bench.ask(userId, {}, bench.ast)
        const decision = await one().bySignature(await one().retrieve(id))
        const session = await one().session()
        const ends = await outcomes(
          [bench, elsewhere].map(({ core }) => core.decisions.decide(session, id, decision)),
        )
        expect(ends.toSorted()).toEqual(['approval_final', 'done'])
        expect(await endsOf(id)).toEqual(['approval.approved'])
      }
    },
  )

  test('R4: one decision sent twenty times at once is made once', async () => {
    const { id } = await bench.ask(userId)
    const item = await one().retrieve(id)
    const decision = one().byFactor('bio', item)
    const ends = await outcomes(Array.from({ length: 20 }, () => one().decide(id, decision)))
    expect(ends.filter((end) => end === 'done')).toHaveLength(1)
    expect(ends.filter((end) => end === 'approval_final')).toHaveLength(19)
    expect(await endsOf(id)).toEqual(['approval.approved'])
  })

  test('R4: a decision against a cancellation: one of them holds, and both are told which', async () => {
    for (let round = 0; round < rounds; round++) {
      const { id } = await bench.ask(userId)
      const item = await one().retrieve(id)
      const decision = one().byFactor('bio', item)
      const [decided, cancelled] = await outcomes([
        one().decide(id, decision),
        bench.core.approvals.cancel(bench.admin, tenantId, id),
      ])
      const status = await statusOf(id)
      expect([decided, cancelled]).toEqual(
        status === 'APPROVED' ? ['done', 'approval_final'] : ['approval_final', 'done'],
      )
      expect((await evidenceOf(id)) !== undefined).toBe(status === 'APPROVED')
      expect(await endsOf(id)).toEqual([`approval.${status.toLowerCase()}`])
    }
  })

  test('R4: a decision against the timer: what is past its deadline is not decided', async () => {
    for (let round = 0; round < rounds; round++) {
      const { id } = await bench.ask(userId, { timeouts: { decisionSeconds: 5 } })
      const item = await one().retrieve(id)
      const decision = one().byFactor('bio', item)
      const work = [one().decide(id, decision)]
      bench.clock.advance(round % 2 === 0 ? 5_000 : 4_999)
      const [decided] = await outcomes([...work, bench.core.approvalEnding.expireDue()])
      const status = await statusOf(id)
      expect(decided).toBe(status === 'APPROVED' ? 'done' : 'approval_final')
      await bench.core.approvalEnding.expireDue()
      expect(await endsOf(id)).toEqual([`approval.${status.toLowerCase()}`])
      expect((await evidenceOf(id)) !== undefined).toBe(status === 'APPROVED')
    }
  })

  test('R4: a decision against a lock of its device: afterwards nothing is decided any more', async () => {
    const { devices } = bench.core
    for (let round = 0; round < rounds; round++) {
      const phone = await bench.enrol(userId, { pin: '4711' })
      const { id } = await bench.ask(userId)
      const later = await bench.ask(userId)
      const item = await phone.retrieve(id)
      const after = await phone.retrieve(later.id)
      const session = await phone.session()
      const [decided, locked] = await outcomes([
        phone.decide(id, phone.byFactor('bio', item)),
        devices.lock(bench.admin, tenantId, { id: phone.id, reason: 'lost' }),
      ])
      expect(locked).toBe('done')
      expect(['done', 'device_locked', 'token_invalid']).toContain(decided)
      expect(await statusOf(id)).toBe(decided === 'done' ? 'APPROVED' : 'RETRIEVED')
      // The session that was opened before the lock is worth nothing, even if nobody looks at it again.
      const decision = phone.byFactor('bio', after)
      const [late] = await outcomes([bench.core.decisions.decide(session, later.id, decision)])
      expect(late).toBe('device_locked')
      expect(await statusOf(later.id)).toBe('RETRIEVED')
      await devices.delete(bench.admin, tenantId, phone.id)
    }
  })

  test('R4: a decision against the revocation of its certificate: never after it', async () => {
    for (let round = 0; round < rounds; round++) {
      const phone = await bench.enrol(userId, { pin: '4711' })
      await phone.certify()
      const { id } = await bench.ask(userId, {}, bench.ast)
      const later = await bench.ask(userId, {}, bench.ast)
      const decision = await phone.bySignature(await phone.retrieve(id))
      const after = await phone.bySignature(await phone.retrieve(later.id))
      const [decided, revoked] = await outcomes([
        phone.decide(id, decision),
        bench.core.pki.certificates.revoke(bench.admin, tenantId, {
          id: phone.certificateId,
          reason: 'KEY_COMPROMISE',
        }),
      ])
      expect(revoked).toBe('done')
      expect(['done', 'certificate_not_usable']).toContain(decided)
      expect((await evidenceOf(id)) !== undefined).toBe(decided === 'done')
      expect(await outcomes([phone.decide(later.id, after)])).toEqual(['certificate_not_usable'])
      await bench.core.devices.delete(bench.admin, tenantId, phone.id)
    }
  })

  test('R4: a decision against the revocation of the signer: never after it', async () => {
    const { pki } = bench.core
    for (let round = 0; round < rounds / 2; round++) {
      await pki.signers.create(bench.admin, tenantId)
      await pki.issuance.issueDue()
      const phone = await bench.enrol(userId, { pin: '4711' })
      await phone.certify()
      const { id } = await bench.ask(userId, {}, bench.ast)
      const later = await bench.ask(userId, {}, bench.ast)
      const decision = await phone.bySignature(await phone.retrieve(id))
      const after = await phone.bySignature(await phone.retrieve(later.id))
      const [decided, revoked] = await outcomes([
        phone.decide(id, decision),
        pki.signers.revoke(bench.admin, tenantId, 'current'),
      ])
      expect(revoked).toBe('done')
      expect(['done', 'certificate_not_usable']).toContain(decided)
      expect((await evidenceOf(id)) !== undefined).toBe(decided === 'done')
      expect(await outcomes([phone.decide(later.id, after)])).toEqual(['certificate_not_usable'])
      await bench.core.devices.delete(bench.admin, tenantId, phone.id)
    }
  })

  test('R4: of twenty retrievals at once one is the first', async () => {
    const { id } = await bench.ask(userId)
    const items = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (phones[index % 3] as Phone).retrieve(id)),
    )
    expect(new Set(items.map(({ approval }) => approval.retrievedAtMs)).size).toBe(1)
    expect(new Set(items.map(({ delivery }) => delivery?.challenge)).size).toBe(3)
    const records = await bench.records()
    const first = records.filter(
      ({ action, target }) => action === 'approval.retrieved' && target?.id === id,
    )
    expect(first).toHaveLength(1)
  })

  test('R4: a reference that twenty ask for at once is taken once', async () => {
    const reference = `race-${engine}`
    const ends = await outcomes(Array.from({ length: 20 }, () => bench.ask(userId, { reference })))
    expect(ends.filter((end) => end === 'done')).toHaveLength(1)
    expect(ends.filter((end) => end === 'already_exists')).toHaveLength(19)
  })
})
