import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApprovalBench, createApprovalBench, tenantId } from '#test/support/approvals.ts'
import { engines } from '#test/support/core.ts'
import { createTestKey } from '#test/support/device-keys.ts'
import type { Phone } from '#test/support/phone.ts'
import type { DeviceRefusalCode, DeviceRefusalFacts } from '../devices/device-refusal.ts'

const refused = (code: DeviceRefusalCode, facts: DeviceRefusalFacts = {}) =>
  expect.objectContaining({
    name: 'DeviceRefusal',
    code,
    facts: expect.objectContaining(facts) as DeviceRefusalFacts,
  }) as Error

describe.each(engines)('decisions on %s', (engine) => {
  let bench: ApprovalBench
  let userId: string
  let phone: Phone
  let other: Phone
  beforeAll(async () => {
    bench = await createApprovalBench(engine)
    userId = await bench.createUser()
    phone = await bench.enrol(userId, { pin: '4711' })
    await phone.certify()
    other = await bench.enrol(userId, { pin: '4711', platform: 'iOS' })
    await other.certify()
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const evidenceOf = (approvalId: string) =>
    bench.storage.read.approvals.evidence.find({ tenantId, approvalId })

  test('a signature over the delivered bytes approves, once, with its evidence and its record', async () => {
    const { id } = await bench.ask(userId, {}, bench.ast)
    const item = await phone.retrieve(id)
    const decision = await phone.bySignature(item)
    const { approval } = await phone.decide(id, decision)
    expect(approval).toMatchObject({
      status: 'APPROVED',
      decision: { deviceId: phone.id, factor: null },
      expiresAtMs: null,
    })
    const evidence = await evidenceOf(id)
    expect(evidence?.signatures).toMatchObject([{ signer: 'DEVICE_KEY', format: 'CMS' }])
    expect(evidence?.signatures[0]?.certificateChain).toHaveLength(3)
    const [record] = (await bench.records()).filter(({ target }) => target?.id === id).slice(-1)
    expect(record).toMatchObject({ action: 'approval.approved', id: evidence?.journalId })
    await expect(phone.decide(id, decision)).rejects.toThrow(
      refused('approval_final', { approvalStatus: 'APPROVED', decidedByThisDevice: true }),
    )
    await other.retrieve(id)
    await expect(other.decide(id, decision)).rejects.toThrow(
      refused('approval_final', { approvalStatus: 'APPROVED', decidedByThisDevice: false }),
    )
  })

  test('what is asked of this device is found behind a hundred that another one is asked', async () => {
    const owner = await bench.createUser()
    const mine = await bench.enrol(owner)
    const theirs = await bench.enrol(owner, { platform: 'iOS' })
    const { admin, composed } = bench
    for (let index = 0; index < 100; index++) {
      await composed.core.approvals.create(admin, tenantId, {
        user: { id: owner },
        text: `Payment ${index}`,
        devices: { deviceIds: [theirs.id] },
      })
    }
    const { id: first } = await bench.ask(owner, { devices: { deviceIds: [mine.id] } })
    const { id: second } = await bench.ask(owner, { devices: { platform: 'Android' } })
    const { approvalInbox } = composed.core
    const waiting = await approvalInbox.list(await mine.session())
    expect(waiting.map(({ id }) => id)).toEqual([first, second])
    expect(await approvalInbox.list(await theirs.session())).toHaveLength(100)
  })

  test('PIN and biometric key approve; the biometric one brings its key statement', async () => {
    for (const type of ['pin', 'bio'] as const) {
      const { id } = await bench.ask(userId)
      const item = await phone.retrieve(id)
      const { approval } = await phone.decide(id, phone.byFactor(type, item))
      expect(approval.decision?.factor).toBe(type)
      const evidence = await evidenceOf(id)
      expect(evidence?.signatures[0]?.signer).toBe(type === 'bio' ? 'USER_KEY' : 'DEVICE_KEY')
      expect(typeof evidence?.keyStatement).toBe(type === 'bio' ? 'string' : 'object')
    }
  })

  test('transaction data gives a JWT that the customer key signed, kept as evidence', async () => {
    const { id } = await bench.ask(userId, { reference: `td-${engine}` })
    const item = await phone.retrieve(id)
    const decision = phone.byFactor('pin', item, { transactionData: 'a=1' })
    const { signedJwt } = await phone.decide(id, decision)
    expect(signedJwt?.split('.')).toHaveLength(3)
    const evidence = await evidenceOf(id)
    expect(evidence?.signatures.map(({ signer }) => signer)).toEqual(['DEVICE_KEY', 'SERVER_KEY'])
    expect(evidence?.transactionData).toBe('a=1')
  })

  test('a rejection needs nothing, and is provable when it was signed', async () => {
    const silent = await bench.ask(userId)
    await phone.retrieve(silent.id)
    const rejected = await phone.decide(silent.id, { decision: 'reject', reason: 'suspicious' })
    expect(rejected.approval).toMatchObject({ status: 'REJECTED', failureReason: 'SUSPICIOUS' })
    expect(await evidenceOf(silent.id)).toBeUndefined()
    const signed = await bench.ask(userId)
    await phone.decide(signed.id, phone.bySignedRejection(await phone.retrieve(signed.id)))
    expect((await evidenceOf(signed.id))?.signatures).toHaveLength(1)
  })

  test('what is shown is frozen at the first retrieval, with one challenge for each device', async () => {
    const { id } = await bench.ask(userId, { data: { amount: '500.00' } })
    const items = await Promise.all(Array.from({ length: 20 }, () => phone.retrieve(id)))
    expect(new Set(items.map(({ delivery }) => delivery?.challenge)).size).toBe(1)
    const [record, ...more] = (await bench.records()).filter(
      ({ action, target }) => action === 'approval.retrieved' && target?.id === id,
    )
    expect(record).toBeDefined()
    expect(more).toEqual([])
    const shown = Buffer.from(items[0]?.delivery?.bytes ?? []).toString()
    const text = 'Pay 500 EUR to Max Muster'
    expect(shown).toBe(JSON.stringify({ id, text, data: { amount: '500.00' } }))
    const second = await other.retrieve(id)
    expect(second.delivery?.challenge).not.toBe(items[0]?.delivery?.challenge)
    const { retrievedAtMs } = second.approval
    bench.clock.advance(1000)
    expect((await phone.retrieve(id)).approval.retrievedAtMs).toBe(retrievedAtMs)
  })

  test('only a device that was shown it may decide', async () => {
    const { id } = await bench.ask(userId)
    const item = await other.retrieve(id)
    await expect(phone.decide(id, phone.byFactor('pin', item))).rejects.toThrow(
      refused('approval_not_retrieved'),
    )
    // The challenge of another device is no challenge of this one.
    await phone.retrieve(id)
    await expect(phone.decide(id, phone.byFactor('bio', item))).rejects.toThrow(
      refused('factor_rejected'),
    )
  })

  test('of the wrong user, or a device that is not asked, nothing is there', async () => {
    const stranger = await bench.enrol(await bench.createUser())
    const { id } = await bench.ask(userId, { devices: { platform: 'Android' } })
    await expect(stranger.retrieve(id)).rejects.toThrow(refused('not_found'))
    await expect(other.retrieve(id)).rejects.toThrow(refused('not_found'))
    expect((await phone.retrieve(id)).delivery).toBeDefined()
    const inbox = bench.core.approvalInbox
    const listed = await inbox.list(await phone.session())
    expect(listed.map((one) => one.id)).toContain(id)
    expect((await inbox.list(await other.session())).map((one) => one.id)).not.toContain(id)
    expect(await inbox.list(await stranger.session())).toEqual([])
  })

  test('a message is fetched by every device until its time ends, and never decided', async () => {
    const { id } = await bench.ask(userId, { kind: 'MESSAGE', timeouts: { retrievalSeconds: 60 } })
    const first = await phone.retrieve(id)
    expect(first.approval).toMatchObject({ status: 'RETRIEVED', expiresAtMs: null })
    const inbox = bench.core.approvalInbox
    const ids = async (device: Phone) =>
      (await inbox.list(await device.session())).map((one) => one.id)
    expect(await ids(phone)).not.toContain(id)
    expect(await ids(other)).toContain(id)
    expect((await other.retrieve(id)).delivery).toBeDefined()
    await expect(phone.decide(id, { decision: 'reject' })).rejects.toThrow(
      refused('no_decision_expected'),
    )
    await expect(bench.core.approvals.cancel(bench.admin, tenantId, id)).rejects.toThrow(
      expect.objectContaining({ code: 'approval_final' }) as Error,
    )
    const late = await bench.enrol(userId, { pin: '4711', platform: 'Linux' })
    bench.clock.advance(60_000)
    expect((await late.retrieve(id)).delivery).toBeUndefined()
  })

  test('the scope and the age of the login are asked for as the freshness table says', async () => {
    const nowMs = bench.clock()
    const { id } = await bench.ask(userId, {
      authentication: { explicit: true, maxAgeSeconds: 0 },
    })
    const item = await phone.retrieve(id)
    const decision = () => phone.byFactor('bio', item)
    await expect(phone.decide(id, decision(), { verifiedAtMs: nowMs })).rejects.toThrow(
      refused('scope_missing', { scope: 'tms' }),
    )
    const scopes = ['device', 'tms']
    const atLeast = Math.floor(nowMs / 1000) - 2
    for (const verifiedAtMs of [null, (atLeast - 1) * 1000]) {
      await expect(phone.decide(id, decision(), { scopes, verifiedAtMs })).rejects.toThrow(
        refused('authentication_too_old', { authTimeAtLeast: atLeast }),
      )
    }
    const { approval } = await phone.decide(id, decision(), {
      scopes,
      verifiedAtMs: atLeast * 1000,
    })
    expect(approval.status).toBe('APPROVED')
  })

  test('a demanded factor is that factor, and signatures do not stand in for it', async () => {
    const { id } = await bench.ask(userId, { authentication: { factor: 'bio' } })
    const item = await phone.retrieve(id)
    await expect(phone.decide(id, phone.byFactor('pin', item))).rejects.toThrow(
      refused('factor_not_allowed'),
    )
    await expect(phone.decide(id, await phone.bySignature(item))).rejects.toThrow(
      refused('factor_not_allowed'),
    )
    const transaction = await bench.ask(userId, {}, bench.ast)
    const delivered = await phone.retrieve(transaction.id)
    await expect(phone.decide(transaction.id, phone.byFactor('pin', delivered))).rejects.toThrow(
      refused('signature_invalid'),
    )
  })

  test('a demanded factor binds a CMS signature too', async () => {
    const draft = { authentication: { factor: 'bio' as const } }
    const { id } = await bench.ask(userId, draft, bench.ast)
    const item = await phone.retrieve(id)
    await expect(phone.decide(id, await phone.bySignature(item))).rejects.toThrow(
      refused('factor_not_allowed'),
    )
  })

  describe('evidence that does not hold', () => {
    const signing = async () => {
      const { id } = await bench.ask(userId, {}, bench.ast)
      return { id, item: await phone.retrieve(id) }
    }

    test('signature_invalid: other keys, broken bytes, what is no SignedData', async () => {
      const { id, item } = await signing()
      const good = await phone.bySignature(item)
      const der = Buffer.from('signedData' in good ? good.signedData : '', 'base64')
      const broken = [
        await phone.bySignature(item, { key: createTestKey() }),
        { decision: 'accept', signedData: 'AAAA' } as const,
        { decision: 'accept', signedData: '' } as const,
        ...[40, 200, der.length - 5, der.length - 1].map((at) => {
          const changed = Buffer.from(der)
          changed.writeUInt8((changed.readUInt8(at) ^ 1) & 0xff, at)
          return { decision: 'accept', signedData: changed.toString('base64') } as const
        }),
        {
          decision: 'accept',
          signedData: Buffer.concat([der, Buffer.of(0)]).toString('base64'),
        } as const,
      ]
      for (const decision of broken) {
        await expect(phone.decide(id, decision)).rejects.toThrow(refused('signature_invalid'))
      }
      expect((await phone.retrieve(id)).approval.status).toBe('RETRIEVED')
    })

    test('content_mismatch: other bytes, and those of another approval with the same text', async () => {
      const { id, item } = await signing()
      const twin = await signing()
      expect(twin.item.delivery?.bytes).not.toEqual(item.delivery?.bytes)
      for (const content of [Buffer.from('{}'), twin.item.delivery?.bytes ?? Buffer.of()]) {
        await expect(phone.decide(id, await phone.bySignature(item, { content }))).rejects.toThrow(
          refused('content_mismatch'),
        )
      }
    })

    test('certificate_not_usable: of another device, user and tenant, expired, revoked, replaced', async () => {
      const { id, item } = await signing()
      const stranger = await bench.enrol(await bench.createUser())
      await stranger.certify()
      await using elsewhere = await createApprovalBench('sqlite')
      const foreign = await elsewhere.enrol(await elsewhere.createUser())
      await foreign.certify()
      for (const { deviceKey: key, chain } of [other, stranger, foreign]) {
        await expect(
          phone.decide(id, await phone.bySignature(item, { key, chain })),
        ).rejects.toThrow(refused('certificate_not_usable'))
      }
      const mine = await bench.enrol(userId, { pin: '4711', platform: 'Windows' })
      await mine.certify()
      const asked = await bench.ask(userId, {}, bench.ast)
      const own = await mine.retrieve(asked.id)
      const old = mine.chain
      await bench.core.pki.certificates.revoke(bench.admin, tenantId, {
        id: mine.certificateId,
        reason: 'KEY_COMPROMISE',
      })
      await expect(
        mine.decide(asked.id, await mine.bySignature(own, { chain: old })),
      ).rejects.toThrow(refused('certificate_not_usable'))
    })

    test('clock_skew: a signing time before the retrieval or in the future', async () => {
      const { id, item } = await signing()
      for (const offsetMs of [-122_000, 122_000]) {
        const signingTimeMs = bench.clock() + offsetMs
        await expect(
          phone.decide(id, await phone.bySignature(item, { signingTimeMs })),
        ).rejects.toThrow(refused('clock_skew', { serverTimeMs: bench.clock() }))
      }
    })

    test('R5: assertions: another key, user, approval, reference, payload, challenge, data', async () => {
      const { id } = await bench.ask(userId)
      const item = await phone.retrieve(id)
      const cases: [object, DeviceRefusalCode][] = [
        [{ payloadHash: 'A'.repeat(43) }, 'content_mismatch'],
        [{ approvalId: bench.composed.nextId() }, 'content_mismatch'],
        [{ reference: 'other' }, 'content_mismatch'],
        [{ tdHash: 'A'.repeat(43) }, 'content_mismatch'],
        [{ iat: Math.floor(bench.clock() / 1000) - 121 }, 'clock_skew'],
      ]
      for (const [claims, code] of cases) {
        await expect(phone.decide(id, phone.byFactor('bio', item, { claims }))).rejects.toThrow(
          refused(code),
        )
      }
      const counted = [
        phone.byFactor('bio', item, { claims: { nonce: 'A'.repeat(43) } }),
        phone.byFactor('bio', item, { key: phone.deviceKey }),
        phone.byFactor('bio', item, { claims: { sub: 'someone' } }),
        phone.byFactor('pin', item, { pin: '0000' }),
      ]
      for (const decision of counted) {
        await expect(phone.decide(id, decision)).rejects.toThrow(refused('factor_rejected'))
      }
      // A right one still counts, and sets the count of wrong ones back.
      expect((await phone.decide(id, phone.byFactor('bio', item))).approval.status).toBe('APPROVED')
    })

    test('five wrong ones lock the factors; a rejection still goes through', async () => {
      const user = await bench.createUser()
      const device = await bench.enrol(user, { pin: '1111' })
      const { id } = await bench.ask(user)
      const item = await device.retrieve(id)
      for (let left = 4; left >= 0; left--) {
        await expect(
          device.decide(id, device.byFactor('pin', item, { pin: '0000' })),
        ).rejects.toThrow(refused('factor_rejected', { attemptsLeft: left }))
      }
      await expect(device.decide(id, device.byFactor('pin', item))).rejects.toThrow(
        refused('factor_locked'),
      )
      const { approval } = await device.decide(id, { decision: 'reject' })
      expect(approval.status).toBe('REJECTED')
    })
  })
})
