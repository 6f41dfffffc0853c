import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createInstallation, type Enrolled, type Installation } from './keyless.fixture.ts'

describe.each(engines)('telemetry on %s', (engine) => {
  let installation: Installation
  beforeAll(async () => {
    installation = await createInstallation({ engine })
  })
  afterAll(() => installation[Symbol.asyncDispose]())

  const call: Installation['call'] = (...given) => installation.call(...given)
  const attemptsOf = async (userId: string, query = '') => {
    await installation.seal()
    const { body } = await call(`GET /v2/users/${userId}/authentications${query}`)
    expect(body.page).toEqual({ number: 1, totalElements: 1, totalPages: 1, size: 1 })
    expect(body.content).toHaveLength(1)
    expect(body.content[0].userId).toBe(userId)
    return body.content[0].authentications
  }
  const ask = async ({ device, userId }: Enrolled, operationId: string) => {
    await call(`POST /v2/users/${userId}/operations`, { body: { operationId } })
    const { body: waiting } = await device.call('GET /approvals')
    const { approvalId } = waiting.find(
      ({ reference }: { reference: string }) => reference === operationId,
    )
    return (await device.retrieve(approvalId)).body
  }

  describe('listUserAuthentications', () => {
    test('200 newest first: logins with a factor, wrong factors with their code, approvals; by operation too', async () => {
      const enrolled = await installation.enrol()
      const { device, userId } = enrolled
      const deviceId = device.deviceKey.thumbprint
      const operationId = `seen-${engine}`
      const shown = await ask(enrolled, operationId)
      installation.clock.advance(1000)
      await device.acceptWithFactor(shown, { pin: '0000' })
      installation.clock.advance(1000)
      await device.acceptWithFactor(shown)
      installation.clock.advance(500)
      await device.login({ pin: '1234' })
      const attempts = await attemptsOf(userId)
      expect(attempts).toEqual([
        { createdAt: attempts[0].createdAt, result: 'APPROVED', deviceId, authType: 'pin' },
        {
          createdAt: attempts[1].createdAt,
          result: 'APPROVED',
          operationId,
          deviceId,
          authType: 'biom',
        },
        {
          createdAt: attempts[2].createdAt,
          result: 'REJECTED',
          errorCode: 30008,
          operationId,
          deviceId,
          authType: 'pin',
        },
      ])
      expect(await attemptsOf(userId, `?operationId=${operationId}`)).toEqual(attempts.slice(1))
      expect(await attemptsOf(userId, '?operationId=unknown')).toEqual([])
    })

    test('200 with the last ten minutes only, or what the setting says', async () => {
      const { device, userId } = await installation.enrol({ isLoggedIn: false })
      await device.login({ pin: '1234' })
      installation.clock.advance(599_999)
      expect(await attemptsOf(userId)).toHaveLength(1)
      installation.clock.advance(1)
      expect(await attemptsOf(userId)).toEqual([])
    })

    test('404 for unknown users and those of another customer; 400 for an operationId that none can have', async () => {
      const userId = await installation.addUser()
      expect(await attemptsOf(userId)).toEqual([])
      const path = `GET /v2/users/${userId}/authentications` as const
      expect(await call(path, { key: installation.keys.other })).toMatchObject({ status: 404 })
      expect(await call('GET /v2/users/FFFFFFFFFFFFFFFF/authentications')).toMatchObject({
        status: 404,
      })
      expect(await call(`${path}?operationId=a%20b`)).toMatchObject({ status: 400 })
      expect(await call(`${path}?operationId=`)).toMatchObject({ status: 400 })
    })
  })

  describe('listExternalUserAuthentications', () => {
    test('200 over all users that carry it; 404 when nobody does', async () => {
      const externalUserId = `both-${engine}`
      const one = await installation.enrol({ externalUserId, isLoggedIn: false })
      const other = await installation.enrol({ externalUserId, isLoggedIn: false })
      const outside = await installation.enrol({ isLoggedIn: false })
      for (const { device } of [one, other, outside]) {
        installation.clock.advance(1000)
        await device.login({ pin: '1234' })
      }
      await installation.seal()
      const { body } = await call(`GET /v2/external-users/${externalUserId}/authentications`)
      expect(body.content).toMatchObject([
        {
          externalUserId,
          authentications: [other, one].map(({ device }) => ({
            result: 'APPROVED',
            deviceId: device.deviceKey.thumbprint,
            authType: 'pin',
          })),
        },
      ])
      expect(await call('GET /v2/external-users/nobody/authentications')).toMatchObject({
        status: 404,
      })
    })
  })
})
