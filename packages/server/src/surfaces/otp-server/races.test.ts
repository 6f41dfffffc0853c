import { describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createInstallation } from './otp-server.fixture.ts'

const racers = 30

describe.each(engines)('R4: on %s', (engine) => {
  test('of 30 equal requests exactly one is accepted, code after code', async () => {
    await using at = await createInstallation({ engine })
    const { codes } = await at.giveList('user1')
    for (const index of ['1', '2', '3']) {
      const form = { uniqueID: 'user1', otp: codes[index] ?? '' }
      const answers = await Promise.all(
        Array.from({ length: racers }, () => at.call('POST /otp.1/user-info/_verify', { form })),
      )
      const results = answers.map((answer) => answer.the('verify-response').result)
      expect(results.filter((result) => result === 'accepted')).toHaveLength(1)
      // The replays may have locked the user.
      at.clock.advance(900_000)
    }
    expect(
      (await at.call('GET /otp.1/user-info/_query', { query: 'uniqueID=user1' })).the('status'),
    ).toEqual({ value: 'active', index: '4', remaining: '47' })
  }, 120_000)

  test('a code that is raced over this API and the platform is accepted on one of them', async () => {
    await using at = await createInstallation({ engine })
    const { codes } = await at.giveList('user1')
    for (const index of ['1', '2', '3', '4', '5']) {
      const otp = codes[index] ?? ''
      const native = async () => {
        const request = { user: { id: 'user1' }, code: otp }
        return (await at.core.verification.verify(at.native, 'acme', request)).result === 'ACCEPTED'
      }
      const vendor = async () => {
        const form = { uniqueID: 'user1', otp }
        const answer = await at.call('POST /otp.1/user-info/_verify', { form })
        return answer.the('verify-response').result === 'accepted'
      }
      const outcomes = await Promise.all([
        native(),
        vendor(),
        native(),
        vendor(),
        native(),
        vendor(),
      ])
      expect(outcomes.filter(Boolean)).toHaveLength(1)
      at.clock.advance(900_000)
    }
  }, 120_000)

  test('a list that is given to two users at once is given to one', async () => {
    await using at = await createInstallation({ engine })
    await at.addUser({ id: 'user2', loginName: 'second' })
    const { id } = await at.newList()
    const answers = await Promise.all(
      ['user1', 'user2', 'user1', 'user2'].map((uniqueID) =>
        at.call(`PUT /otp.1/otp-list/${id}`, { query: { uniqueID } }),
      ),
    )
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
    expect(statuses.filter((status) => status === 403)).toHaveLength(3)
  }, 120_000)

  test('of two lists that are given to one user at once, one stays', async () => {
    await using at = await createInstallation({ engine })
    const [one, other] = [await at.newList(), await at.newList()]
    const answers = await Promise.all(
      [one.id, other.id].map((id) =>
        at.call(`PUT /otp.1/otp-list/${id}`, { query: 'uniqueID=user1' }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    const info = await at.call('GET /otp.1/user-info/_query', { query: 'uniqueID=user1' })
    expect(info.tags.filter(({ name }) => name === 'otp-list')).toHaveLength(1)
    const all = await at.call('GET /otp.1/otp-list/_query')
    expect(all.the('query-response').count).toBe('1')
  }, 120_000)
})
