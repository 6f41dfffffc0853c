import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testStartMs } from '#test/support/storage.ts'
import { createInstallation, type Installation } from './otp-server.fixture.ts'

const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'

let at: Installation

beforeAll(async () => {
  at = await createInstallation()
  await at.addMethod({ name: 'otp.3', listSize: 3, lockSeconds: 60 })
  await at.addMethod({ name: 'kept', listSize: 3, associatedListMaxAgeSeconds: 60 })
  for (let number = 2; number <= 30; number++) {
    await at.addUser({ id: `user${number}`, loginName: `login${number}` })
  }
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())

describe('queryUserInfo', () => {
  const ask = (query: Record<string, string> | string, method = 'otp.3') =>
    at.call(`GET /${method}/user-info/_query`, { query, as: at.verifier })

  test('200 with the list that waits, for every name of the user', async () => {
    const { id } = await at.giveList('user2', 'otp.3')
    const list = `  <otp-list id="${id}">\n    <status value="associated" index="1"/>\n  </otp-list>\n`
    expect((await ask({ uniqueID: 'user2' })).text).toBe(
      `${declaration}<user-info uniqueID="user2">\n${list}</user-info>\n`,
    )
    expect((await ask({ login: 'LOGIN2' })).text).toBe(
      `${declaration}<user-info uniqueID="user2" login="LOGIN2">\n${list}</user-info>\n`,
    )
  })

  test('200 with the expiry of a list that has one, and 204 from then on', async () => {
    await at.giveList('user3', 'kept')
    const answer = await ask({ uniqueID: 'user3' }, 'kept')
    expect(answer.the('otp-list').expires).toBe('20261121T100100Z')
    at.clock.advance(60_000)
    expect((await ask({ uniqueID: 'user3' }, 'kept')).status).toBe(204)
    at.clock.set(testStartMs)
  })

  test('204 without a body for nobody, for a user without a list, and for one of another method', async () => {
    await at.giveList('user4', 'otp.3')
    const { status, text, headers } = await ask({ uniqueID: 'nobody' })
    expect([status, text, headers['content-type']]).toEqual([204, '', undefined])
    expect((await ask({ uniqueID: 'user5' })).status).toBe(204)
    expect((await ask({ uniqueID: 'user4' }, 'kept')).status).toBe(204)
    expect((await ask({ objectGuid: '6b29fc40-ca47-1067-b31d-00dd010662da' })).status).toBe(204)
  })

  test('404 for the name of the method only', async () => {
    expect(await ask({ uniqueID: 'nobody' }, 'otp.notfound')).toMatchObject({
      status: 404,
      reason: 'unknown-method',
    })
  })

  test.each<[string, string]>([
    ['', 'missing-parameter'],
    ['uniqueID=', 'invalid-parameter'],
    ['uniqueID=a&login=b', 'conflicting-parameters'],
    ['login=a&login=b', 'conflicting-parameters'],
    ['objectGuid=6b29fc40', 'invalid-parameter'],
  ])('400 for "%s"', async (query, reason) => {
    expect(await ask(query)).toMatchObject({ status: 400, reason })
  })
})
