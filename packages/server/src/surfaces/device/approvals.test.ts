import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ApprovalDraft } from '#domain/approvals/approval-draft.ts'
import { testCaller } from '#test/support/core.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { enrolDevice, type TestDevice } from '#test/support/test-device.ts'

let api: PlatformApi

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
})
afterAll(() => api[Symbol.asyncDispose]())

async function ask(device: TestDevice, draft: Partial<ApprovalDraft> = {}): Promise<string> {
  const caller = testCaller('acme', ['tenant:write', 'verify'])
  const { id } = await api.app.core.approvals.create(caller, 'acme', {
    user: { id: device.userId },
    text: '500,00 EUR to Max Muster',
    ...draft,
  })
  return id
}

describe('listApprovals', () => {
  test('200: what waits for the user, and nobody else’s', async () => {
    const device = await enrolDevice(api)
    const other = await enrolDevice(api)
    await Promise.all([device.login(), other.login()])
    const approvalId = await ask(device)
    expect((await device.call('GET /approvals')).body).toMatchObject([
      { approvalId, kind: 'TRANSACTION', status: 'PENDING' },
    ])
    expect((await other.call('GET /approvals')).body).toEqual([])
  })
})

describe('retrieveApproval', () => {
  test('200 with the bytes and a challenge, the same ones every time; 404 for others', async () => {
    const device = await enrolDevice(api)
    const other = await enrolDevice(api)
    await Promise.all([device.login(), other.login()])
    const approvalId = await ask(device)
    const first = await device.retrieve(approvalId)
    expect(first).toMatchObject({ status: 200, body: { approvalId, status: 'RETRIEVED' } })
    const second = await device.retrieve(approvalId)
    expect(second.body.content).toEqual(first.body.content)
    expect(second.body.challenge).toBe(first.body.challenge)
    expect(await other.retrieve(approvalId)).toMatchObject({ status: 404 })
  })
})

describe('decideApproval', () => {
  test('200 for the PIN, once; the second decision is told how it ended', async () => {
    const device = await enrolDevice(api)
    await device.login()
    const approvalId = await ask(device)
    const { body: approval } = await device.retrieve(approvalId)
    const done = await device.acceptWithFactor(approval, { pin: '1234' })
    expect(done).toMatchObject({ status: 200, body: { approvalId, status: 'APPROVED' } })
    expect(await device.decide(approvalId, { decision: 'reject' })).toMatchObject({
      status: 409,
      body: { code: 'approval_final', approvalStatus: 'APPROVED', decidedByThisDevice: true },
    })
  })

  test('409 before it was retrieved', async () => {
    const device = await enrolDevice(api)
    await device.login()
    const approvalId = await ask(device)
    expect(await device.decide(approvalId, { decision: 'reject' })).toMatchObject({
      status: 409,
      body: { code: 'approval_not_retrieved' },
    })
  })
})

describe('authenticateUser', () => {
  test('200: the biometric key proves the user without a pending approval', async () => {
    const device = await enrolDevice(api)
    await device.login()
    const assertion = device.decisionAssertion({
      nonce: await device.nonce(),
      amr: ['bio'],
      decision: 'accept',
    })
    const body = { factor: { type: 'bio', assertion } }
    const reply = await device.call('POST /authentications', { body })
    expect(reply).toMatchObject({
      status: 200,
      body: { userId: device.userId, factor: 'bio' },
    })
  })
})
