import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testStartMs } from '#test/support/storage.ts'
import { createInstallation, type Installation } from './otp-server.fixture.ts'

const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
const unknownId = 'f000d9d5-d97d-4347-b4ff-e2edb72b35fd'

let at: Installation
let usersCount = 0

beforeAll(async () => {
  at = await createInstallation()
  await at.addMethod({ name: 'three', listSize: 3, lockSeconds: 60, renewThreshold: 1 })
  await at.addMethod({ name: 'wide', listSize: 9, otpWindowSize: 3, renewThreshold: 0 })
  await at.addMethod({ name: 'random', listSize: 9, order: 'RANDOM', otpLength: 16 })
  await at.addMethod({ name: 'letters', listSize: 3, otpAlphabet: 'abcdefgh', otpLength: 8 })
  await at.addMethod({ name: 'patient', listSize: 3, maxFailures: 2, lockSeconds: 60 })
  await at.addMethod({ name: 'brief', listSize: 3, associatedListMaxAgeSeconds: 60 })
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())

async function addUser(): Promise<string> {
  const id = `holder${++usersCount}`
  await at.addUser({ id, loginName: id })
  return id
}

/** A user of its own with a list; of the codes the first ones, by position. */
async function holder(method = 'three') {
  const uniqueID = await addUser()
  const { id, codes } = await at.giveList(uniqueID, method)
  const verify = (otp: string, more: Record<string, string> = {}) =>
    at.call(`POST /${method}/user-info/_verify`, {
      form: { uniqueID, otp, ...more },
      as: at.verifier,
    })
  const result = async (otp: string, more: Record<string, string> = {}) => {
    const { result: told, reason } = (await verify(otp, more)).the('verify-response')
    return reason ?? told
  }
  const code = (index: number | string) => codes[String(index)] ?? ''
  return { uniqueID, id, code, verify, result }
}

/** Another code than the ones given, of the same form. */
function wrongCode(...codes: readonly string[]): string {
  let wrong = '000000'
  for (let n = 0; codes.includes(wrong); n++) wrong = String(n).padStart(6, '0')
  return wrong
}

describe('verifyOtp', () => {
  test('200 accepted: the whole answer, told not to be kept', async () => {
    const { uniqueID, id, code, verify } = await holder()
    const answer = await verify(code(1))
    expect(answer.text).toBe(
      `${declaration}<verify-response result="accepted" list-id="${id}" index="1" renew="false">\n` +
        `  <user-info uniqueID="${uniqueID}">\n    <otp-list id="${id}">\n` +
        '      <status value="active" index="2" remaining="2"/>\n    </otp-list>\n' +
        '  </user-info>\n</verify-response>\n',
    )
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  test('200 mismatch with the attempts that are left; nothing is spent', async () => {
    const { uniqueID, id, code, verify } = await holder()
    const wrong = wrongCode(code(1), code(2), code(3))
    expect((await verify(wrong)).text).toBe(
      `${declaration}<verify-response result="rejected" reason="mismatch" attempts-left="4" renew="false">\n` +
        `  <user-info uniqueID="${uniqueID}">\n    <otp-list id="${id}">\n` +
        '      <status value="associated" index="1"/>\n    </otp-list>\n' +
        '  </user-info>\n</verify-response>\n',
    )
    expect((await verify(wrong)).the('verify-response')['attempts-left']).toBe('3')
    expect((await verify(code(1))).the('verify-response').result).toBe('accepted')
    expect((await verify(wrong)).the('verify-response')['attempts-left']).toBe('4')
  })

  test('200 accepted once, then replayed, which counts as a failure', async () => {
    const { code, verify, result } = await holder()
    expect(await result(code(1))).toBe('accepted')
    expect((await verify(code(1))).the('verify-response')).toMatchObject({
      result: 'rejected',
      reason: 'replayed',
      'attempts-left': '4',
    })
  })

  test('200 until the list is used up: renew comes at the threshold, then exhausted, then a new list', async () => {
    const { uniqueID, code, verify, result } = await holder()
    expect((await verify(code(1))).the('verify-response').renew).toBe('false')
    expect((await verify(code(2))).the('verify-response').renew).toBe('true')
    const last = await verify(code(3))
    expect(last.the('status')).toEqual({ value: 'active', remaining: '0' })
    const wrong = wrongCode(code(1), code(2), code(3))
    const exhausted = await verify(wrong)
    expect(exhausted.the('verify-response')).toEqual({
      result: 'rejected',
      reason: 'exhausted',
      renew: 'true',
    })
    const next = await at.giveList(uniqueID, 'three')
    expect((await verify(wrong)).the('verify-response')).toMatchObject({
      reason: 'mismatch',
      renew: 'false',
    })
    expect(await result(next.codes['1'] ?? '')).toBe('accepted')
  })

  test('200 replayed for a used code of a list that is used up', async () => {
    const { code, result } = await holder()
    for (const index of [1, 2, 3]) expect(await result(code(index))).toBe('accepted')
    expect(await result(code(3))).toBe('replayed')
  })

  test('200 with two lists at a change of sheet: the first code of the new one ends the old one', async () => {
    const { uniqueID, id, code, verify, result } = await holder()
    expect(await result(code(1))).toBe('accepted')
    const next = await at.giveList(uniqueID, 'three')
    const both = await verify(code(2))
    const lists = both.tags.filter(({ name }) => name === 'otp-list')
    expect(lists.map(({ attributes }) => attributes.id)).toEqual([id, next.id])
    const statuses = both.tags.filter(({ name }) => name === 'status')
    expect(statuses.map(({ attributes }) => attributes)).toEqual([
      { value: 'active', index: '3', remaining: '1' },
      { value: 'associated', index: '1' },
    ])
    const changed = await verify(next.codes['1'] ?? '')
    expect(changed.the('verify-response')).toMatchObject({
      result: 'accepted',
      'list-id': next.id,
      index: '1',
    })
    expect(changed.tags.filter(({ name }) => name === 'otp-list')).toHaveLength(1)
    expect((await at.call(`GET /three/otp-list/${id}`)).status).toBe(404)
    expect(await result(code(3))).toBe('mismatch')
  })

  test('200 no-list with renew for a user without one, called as the request called the user', async () => {
    const uniqueID = await addUser()
    const answer = await at.call('POST /three/user-info/_verify', {
      form: { login: uniqueID.toUpperCase(), otp: '123456' },
      as: at.verifier,
    })
    expect(answer.text).toBe(
      `${declaration}<verify-response result="rejected" reason="no-list" renew="true">\n` +
        `  <user-info uniqueID="${uniqueID}" login="${uniqueID.toUpperCase()}"/>\n</verify-response>\n`,
    )
  })

  test('200 no-list for the list of somebody else, of another method, and for an unknown one', async () => {
    const one = await holder()
    const other = await holder()
    expect(await one.result(one.code(1), { 'list-id': other.id })).toBe('no-list')
    expect(await other.result(other.code(1), { 'list-id': unknownId })).toBe('no-list')
    expect(await one.result(one.code(1), { 'list-id': one.id.toUpperCase() })).toBe('accepted')
  })

  test('200 for the label that was asked for, and mismatch for the right code under another label', async () => {
    const { code, result } = await holder('wide')
    expect(await result(code(2), { index: '1' })).toBe('mismatch')
    expect(await result(code(2), { index: '2' })).toBe('accepted')
    expect(await result(code(4), { index: '9' })).toBe('mismatch')
  })

  test('200 within the window, burning what was skipped; mismatch beyond it', async () => {
    const { code, verify, result } = await holder('wide')
    expect(await result(code(4))).toBe('mismatch')
    expect((await verify(code(3))).the('verify-response')).toMatchObject({ index: '3' })
    expect(await result(code(1))).toBe('replayed')
    expect(await result(code(2))).toBe('replayed')
    expect((await verify(code(6))).the('status')).toMatchObject({ index: '7', remaining: '3' })
  })

  test('200 in random order for the one code that was asked for, and that one stays until it is accepted', async () => {
    const { id, code, result } = await holder('random')
    const asked = async () =>
      (await at.call(`GET /random/otp-list/${id}`)).the('status').index ?? ''
    const seen: string[] = []
    for (let round = 0; round < 4; round++) {
      const index = await asked()
      const others = Array.from({ length: 9 }, (_, i) => String(i + 1))
      const another = others.find((one) => one !== index && !seen.includes(one)) ?? ''
      expect(await result(code(another))).toBe('mismatch')
      expect(await asked()).toBe(index)
      expect(await result(code(index))).toBe('accepted')
      seen.push(index)
    }
    expect(new Set(seen).size).toBe(4)
  })

  test('200 however it is typed in ASCII; digits of other scripts are other characters', async () => {
    const { code, result } = await holder()
    const [a, b, c, d, e, f] = code(1)
    expect(await result(` ${a}${b}-${c}${d} ${e}${f}\t`)).toBe('accepted')
    const wide = [...code(2)].map((digit) => String.fromCharCode(0xff10 + Number(digit))).join('')
    expect(await result(wide)).toBe('mismatch')
    const letters = await holder('letters')
    expect(await letters.result(letters.code(1).toUpperCase())).toBe('accepted')
  })

  test('200 locked after as many failures as the method allows; a right code is refused and not spent', async () => {
    const { uniqueID, code, verify, result } = await holder('patient')
    const wrong = wrongCode(code(1), code(2), code(3))
    expect((await verify(wrong)).the('verify-response')['attempts-left']).toBe('1')
    expect((await verify(wrong)).the('verify-response')).toMatchObject({
      reason: 'mismatch',
      'attempts-left': '0',
    })
    at.clock.advance(30_500)
    const locked = await verify(code(1))
    expect(locked.the('verify-response')).toEqual({
      result: 'rejected',
      reason: 'locked',
      'attempts-left': '0',
      'locked-until': '20261121T100100Z',
      renew: locked.the('verify-response').renew ?? '',
    })
    expect(locked.headers['retry-after']).toBe('30')
    expect(locked.the('user-info')).toEqual({ uniqueID })
    at.clock.advance(29_500)
    expect(await result(code(1))).toBe('accepted')
    expect((await verify(wrong)).the('verify-response')['attempts-left']).toBe('1')
    at.clock.set(testStartMs)
  })

  test('200 locked without an end for a disabled user, and nothing is spent', async () => {
    const { uniqueID, code, verify, result } = await holder()
    await at.core.users.update(at.native, 'acme', uniqueID, { status: 'DISABLED' })
    const answer = await verify(code(1))
    expect(answer.the('verify-response')).toMatchObject({ result: 'rejected', reason: 'locked' })
    expect(answer.the('verify-response')).not.toHaveProperty('locked-until')
    expect(answer.headers['retry-after']).toBeUndefined()
    await at.core.users.update(at.native, 'acme', uniqueID, { status: 'ACTIVE' })
    expect(await result(code(1))).toBe('accepted')
  })

  test('200 no-list from the instant at which the list has expired', async () => {
    const { code, result } = await holder('brief')
    at.clock.advance(59_999)
    expect(await result(code(1))).toBe('accepted')
    at.clock.advance(1)
    expect(await result(code(2))).toBe('no-list')
    at.clock.set(testStartMs)
  })

  test('200 no-list under another method, though the code is right there', async () => {
    const { uniqueID, code } = await holder()
    const answer = await at.call('POST /wide/user-info/_verify', {
      form: { uniqueID, otp: code(1) },
    })
    expect(answer.the('verify-response').reason).toBe('no-list')
  })

  test('404 for a user that is unknown; nothing is counted', async () => {
    const answer = await at.call('POST /three/user-info/_verify', {
      form: { uniqueID: 'nobody', otp: '123456' },
    })
    expect(answer).toMatchObject({ status: 404, reason: 'unknown-user' })
  })

  test('404 for a user of another tenant', async () => {
    const { uniqueID, code } = await holder()
    const stranger = await at.addAccount('other', ['otp-server:verify'])
    const answer = await at.call('POST /three/user-info/_verify', {
      form: { uniqueID, otp: code(1) },
      as: stranger,
    })
    expect(answer).toMatchObject({ status: 404, reason: 'unknown-method' })
  })

  test.each<[string, string, string]>([
    ['no otp', 'uniqueID=user1', 'missing-parameter'],
    ['no user', 'otp=123456', 'missing-parameter'],
    ['nothing', '', 'missing-parameter'],
    ['an empty otp', 'uniqueID=user1&otp=', 'invalid-parameter'],
    ['65 characters', `uniqueID=user1&otp=${'1'.repeat(65)}`, 'invalid-parameter'],
    ['two names', 'uniqueID=user1&login=john.smith&otp=1', 'conflicting-parameters'],
    ['two codes', 'uniqueID=user1&otp=1&otp=1', 'conflicting-parameters'],
    ['no UUID', 'uniqueID=user1&otp=1&list-id=7', 'invalid-parameter'],
    ['no label', 'uniqueID=user1&otp=1&index=0', 'invalid-parameter'],
    ['U+0000', 'uniqueID=user1&otp=1%002', 'invalid-parameter'],
    ['bytes that are not UTF-8', 'uniqueID=user1&otp=%ff', 'invalid-parameter'],
  ])('400 for %s, and no attempt is counted', async (_what, form, reason) => {
    expect(await at.call('POST /otp.1/user-info/_verify', { form })).toMatchObject({
      status: 400,
      reason,
    })
  })

  test('400 for a code in the query, and for the user there: the form alone is read', async () => {
    const { uniqueID, code, result } = await holder()
    const path = 'POST /three/user-info/_verify' as const
    const form = { uniqueID, otp: code(1) }
    expect(await at.call(path, { form, query: { otp: code(1) } })).toMatchObject({ status: 400 })
    expect(await at.call(path, { form: { otp: code(1) }, query: { uniqueID } })).toMatchObject({
      status: 400,
      reason: 'missing-parameter',
    })
    expect((await at.call(path, { form, query: { colour: 'red' } })).status).toBe(200)
    expect(await result(code(1))).toBe('replayed')
  })

  test('415 and 400 for other bodies and for none', async () => {
    const path = 'POST /three/user-info/_verify' as const
    const headers = { 'content-type': 'application/json' }
    expect(await at.call(path, { headers, payload: '{}' })).toMatchObject({ status: 415 })
    expect(await at.call(path)).toMatchObject({ status: 400, reason: 'missing-parameter' })
  })
})
