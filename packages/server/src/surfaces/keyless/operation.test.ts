import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { hashOf } from '#test/support/device-signing.ts'
import { createInstallation, type Installation } from './keyless.fixture.ts'

const native = testCaller('acme', ['tenant:write', 'verify'])
const ast = testCaller('acme', ['ast:write'], { surface: 'ast' })

describe.each(engines)('operations on %s', (engine) => {
  let installation: Installation
  beforeAll(async () => {
    installation = await createInstallation({ engine })
  })
  afterAll(() => installation[Symbol.asyncDispose]())

  const call: Installation['call'] = (...given) => installation.call(...given)
  const pendingIds = async (userId: string) => {
    const { body } = await call(`GET /v2/users/${userId}/operations/pending`)
    return body.map(({ operationId }: { operationId: string }) => operationId)
  }
  const create = (userId: string, body: object, key?: string) =>
    call(`POST /v2/users/${userId}/operations`, { body, ...(key === undefined ? {} : { key }) })

  describe('createPendingOperation', () => {
    test('200 for a user without any device, with everything verbatim', async () => {
      const userId = await installation.addUser()
      const operation = {
        operationId: 'txn/20260521?001#~',
        operationPayload: '  500 € — "Müller" \u{1F4B6}\n',
        externalUserId: 'Abc/é',
        authType: 'biom',
      }
      expect(await create(userId, operation)).toMatchObject({
        status: 200,
        body: { success: true },
      })
      const listed = await call(`GET /v2/users/${userId}/operations/pending`)
      expect(listed.body).toEqual([operation])
      const path = `/v2/operations/${encodeURIComponent(operation.operationId)}` as const
      expect((await call(`GET ${path}`)).body).toMatchObject(operation)
    })

    test('200: null counts as absent, unknown members are ignored, an empty payload is one', async () => {
      const userId = await installation.addUser()
      const body = {
        operationId: 'nulls',
        operationPayload: null,
        externalUserId: null,
        authType: null,
        more: { x: [] },
      }
      expect(await create(userId, body)).toMatchObject({ status: 200 })
      expect(await create(userId, { operationId: 'empty', operationPayload: '' })).toMatchObject({
        status: 200,
      })
      expect((await call(`GET /v2/users/${userId}/operations/pending`)).body).toEqual([
        { operationId: 'nulls' },
        { operationId: 'empty', operationPayload: '' },
      ])
    })

    test('R4: of twenty equal creations one is 200, the others 409; no other user gets it either', async () => {
      const userId = await installation.addUser()
      const replies = await Promise.all(
        Array.from({ length: 20 }, () => create(userId, { operationId: 'race' })),
      )
      expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
      expect(replies.filter(({ status }) => status === 409)).toHaveLength(19)
      expect(await pendingIds(userId)).toEqual(['race'])
      const another = await installation.addUser()
      expect(await create(another, { operationId: 'race' })).toMatchObject({
        status: 409,
        body: { code: 10409 },
      })
    })

    test('numbers differ, also for many in one millisecond', async () => {
      const userId = await installation.addUser()
      const ids = Array.from({ length: 30 }, (_, index) => `number-${index}`)
      for (const operationId of ids) await create(userId, { operationId })
      const replies = await Promise.all(ids.map((id) => call(`GET /v2/operations/${id}`)))
      const numbers = replies.map(({ body }) => body.id)
      expect(new Set(numbers).size).toBe(30)
      expect(numbers.every(Number.isSafeInteger)).toBe(true)
    })

    test('404 for a user of another customer, before 409', async () => {
      const userId = await installation.addUser({ tenantId: 'other' })
      expect(await create(userId, { operationId: 'foreign' })).toMatchObject({ status: 404 })
      expect(
        await create(userId, { operationId: 'foreign' }, installation.keys.other),
      ).toMatchObject({ status: 200 })
      expect(await call('GET /v2/operations/foreign')).toMatchObject({ status: 404 })
      // The id is free here: uniqueness is the customer's.
      const own = await installation.addUser()
      expect(await create(own, { operationId: 'foreign' })).toMatchObject({ status: 200 })
    })

    test('409 for a disabled user, and nothing is kept', async () => {
      const userId = await installation.addUser({ id: `off-${engine}` })
      await installation.core.users.update(native, 'acme', `off-${engine}`, { status: 'DISABLED' })
      expect(await create(userId, { operationId: 'disabled' })).toMatchObject({ status: 409 })
      expect(await call('GET /v2/operations/disabled')).toMatchObject({ status: 404 })
    })

    test('409 for the id of an approval that goes by its id', async () => {
      const { nativeId, userId } = await installation.enrol()
      const approval = await installation.core.approvals.create(native, 'acme', {
        user: { id: nativeId },
        text: 'x',
      })
      expect(await create(userId, { operationId: approval.id })).toMatchObject({ status: 409 })
    })

    test.each([
      ['no operationId', { operationPayload: 'x' }],
      ['a null one', { operationId: null }],
      ['an empty one', { operationId: '' }],
      ['256 characters', { operationId: 'x'.repeat(256) }],
      ['a blank', { operationId: 'a b' }],
      ['a letter beyond ASCII', { operationId: 'ä' }],
      ['a number', { operationId: 7 }],
      ['a payload of 10001 characters', { operationId: 'a', operationPayload: 'x'.repeat(10_001) }],
      ['an unknown factor', { operationId: 'a', authType: 'face' }],
      ['an array', [{ operationId: 'a' }]],
      ['a string', 'a'],
    ])('400 for %s', async (_what, body) => {
      const userId = await installation.addUser()
      const reply = await create(userId, body as object)
      expect(reply).toMatchObject({ status: 400, body: { code: 10400 } })
      expect(await pendingIds(userId)).toEqual([])
    })
  })

  describe('listPendingOperations', () => {
    test('200 with the oldest first, without what is decided, expired or cancelled', async () => {
      const { device, userId } = await installation.enrol()
      for (const operationId of ['approve', 'reject', 'keep', 'cancel']) {
        await create(userId, { operationId: `${operationId}-${engine}` })
      }
      const byReference = async (name: string) =>
        installation.core.approvals.getByReference(native, 'acme', `${name}-${engine}`)
      const { id } = await byReference('approve')
      const { body: shown } = await device.retrieve(id)
      expect(await pendingIds(userId)).toHaveLength(4)
      await device.acceptWithFactor(shown, { pin: '1234' })
      const rejected = await byReference('reject')
      await device.retrieve(rejected.id)
      await device.decide(rejected.id, { decision: 'reject' })
      await installation.core.approvals.cancel(native, 'acme', (await byReference('cancel')).id)
      expect(await pendingIds(userId)).toEqual([`keep-${engine}`])
    })

    test('200 with approvals of the native API and of AST that an operation can express, and no others', async () => {
      const { nativeId, userId } = await installation.enrol()
      const { approvals } = installation.core
      const user = { id: nativeId }
      const plain = await approvals.create(native, 'acme', { user, text: 'native' })
      const named = {
        user,
        text: 'named',
        reference: `named-${engine}`,
        authentication: { factor: 'pin' },
      } as const
      await approvals.create(native, 'acme', named)
      const signed = await approvals.create(ast, 'acme', { user, text: 'ast' })
      await approvals.create(native, 'acme', { user, text: 'message', kind: 'MESSAGE' })
      await approvals.create(native, 'acme', { user, text: 'data', data: { amount: '5' } })
      await approvals.create(native, 'acme', { user, text: 'blank', reference: `a b ${engine}` })
      expect((await call(`GET /v2/users/${userId}/operations/pending`)).body).toEqual([
        { operationId: plain.id, operationPayload: 'native' },
        { operationId: `named-${engine}`, operationPayload: 'named', authType: 'pin' },
        { operationId: signed.id, operationPayload: 'ast' },
      ])
      expect(await call(`GET /v2/operations/${plain.id}`)).toMatchObject({
        status: 200,
        body: { operationId: plain.id, userId, state: 'pending', result: false },
      })
    })

    test('404 for an unknown user and for one of another customer, 400 for lower case', async () => {
      const foreign = await installation.addUser({ tenantId: 'other' })
      for (const userId of ['FFFFFFFFFFFFFFFF', foreign]) {
        expect(await call(`GET /v2/users/${userId}/operations/pending`)).toMatchObject({
          status: 404,
        })
      }
      expect(await call('GET /v2/users/0123456789abcdef/operations/pending')).toMatchObject({
        status: 400,
        body: { code: 10400 },
      })
    })
  })

  describe('getOperation', () => {
    test('200: approved with the factor that was used, by a real device', async () => {
      const { device, userId } = await installation.enrol()
      const operationId = `approved-${engine}`
      await create(userId, {
        operationId,
        operationPayload: 'Approve 500 EUR',
        externalUserId: 'e',
      })
      installation.clock.advance(500)
      const waiting = await device.call('GET /approvals')
      const { body: shown } = await device.retrieve(waiting.body[0].approvalId)
      expect(Buffer.from(shown.content.bytes, 'base64').toString()).toBe('Approve 500 EUR')
      expect((await call(`GET /v2/operations/${operationId}`)).body).toMatchObject({
        state: 'pending',
        result: false,
      })
      expect(await device.acceptWithFactor(shown)).toMatchObject({ status: 200 })
      const { body } = await call(`GET /v2/operations/${operationId}`)
      expect(body).toEqual({
        id: body.id,
        timestamp: body.timestamp,
        nodeId: 'countersign-1',
        userId,
        apiKey: 'sdk-public-acme',
        externalUserId: 'e',
        operationId,
        operationPayload: 'Approve 500 EUR',
        result: true,
        authType: 'biom',
        state: 'approved',
        outcome: 'approved',
      })
    })

    test('200: rejected and cancelled ones read pending and false, their outcome beside', async () => {
      const { device, userId } = await installation.enrol()
      for (const name of ['no', 'gone']) await create(userId, { operationId: `${name}-${engine}` })
      const { approvals } = installation.core
      const rejected = await approvals.getByReference(native, 'acme', `no-${engine}`)
      await device.retrieve(rejected.id)
      await device.decide(rejected.id, { decision: 'reject' })
      const { id } = await approvals.getByReference(native, 'acme', `gone-${engine}`)
      await approvals.cancel(native, 'acme', id)
      for (const [name, outcome] of [
        ['no', 'rejected'],
        ['gone', 'expired'],
      ]) {
        const { body } = await call(`GET /v2/operations/${name}-${engine}`)
        expect(body).toMatchObject({ state: 'pending', result: false, outcome })
        expect(await create(userId, { operationId: `${name}-${engine}` })).toMatchObject({
          status: 409,
        })
      }
    })

    test('200: what an application started by itself is approved from the start', async () => {
      const { device, userId } = await installation.enrol()
      const operation = { reference: `spontaneous-${engine}`, payload: 'Log in' }
      const assertion = device.decisionAssertion({
        nonce: await device.nonce(),
        amr: ['pin'],
        decision: 'accept',
        reference: operation.reference,
        payloadHash: hashOf(operation.payload),
      })
      const factor = { type: 'pin', pin: '1234', assertion }
      const reply = await device.call('POST /authentications', { body: { factor, operation } })
      expect(reply.body).toMatchObject({ userId: device.userId })
      expect((await call(`GET /v2/operations/${operation.reference}`)).body).toMatchObject({
        userId,
        operationPayload: 'Log in',
        state: 'approved',
        result: true,
        authType: 'pin',
      })
      expect(await create(userId, { operationId: operation.reference })).toMatchObject({
        status: 409,
      })
      expect(await pendingIds(userId)).toEqual([])
    })

    test('404 for unknown ones; an id is no name of an approval that has a reference', async () => {
      const userId = await installation.addUser()
      await create(userId, { operationId: `referenced-${engine}` })
      const { id } = await installation.core.approvals.getByReference(
        native,
        'acme',
        `referenced-${engine}`,
      )
      for (const operationId of [
        id,
        'unknown',
        encodeURIComponent("' or 1=1 --".replaceAll(' ', '')),
      ]) {
        expect(await call(`GET /v2/operations/${operationId}`)).toMatchObject({
          status: 404,
          body: { code: 10404 },
        })
      }
      for (const operationId of ['a%20b', '%00', '%C3%A4', 'x'.repeat(256)]) {
        expect(await call(`GET /v2/operations/${operationId}`)).toMatchObject({ status: 400 })
      }
    })
  })
})

describe('the time of an operation', () => {
  test('ends at the setting, for good; 0 is never', async () => {
    await using installation = await createInstallation()
    const { call, clock } = installation
    const userId = await installation.addUser()
    const create = (operationId: string) =>
      call(`POST /v2/users/${userId}/operations`, { body: { operationId } })
    await create('a-day')
    await installation.patchSettings({ keyless: { pendingOperationTtlSeconds: 0 } })
    await create('for-ever')
    await installation.patchSettings({ keyless: { pendingOperationTtlSeconds: 60 } })
    await create('a-minute')
    clock.advance(60_000)
    expect((await call('GET /v2/operations/a-minute')).body).toMatchObject({
      timestamp: '2026-11-21T10:00:00',
      state: 'pending',
      outcome: 'expired',
    })
    clock.advance(86_340_000)
    expect((await call(`GET /v2/users/${userId}/operations/pending`)).body).toEqual([
      { operationId: 'for-ever' },
    ])
    expect(await create('a-day')).toMatchObject({ status: 409 })
  })
})
