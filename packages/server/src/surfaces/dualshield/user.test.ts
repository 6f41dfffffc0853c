import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createInstallation, type Installation, rfcCodes } from './dualshield.fixture.ts'

describe.each(engines)('locks of users on %s', (engine) => {
  let at: Installation
  let number = 0
  let loginName: string

  beforeAll(async () => {
    at = await createInstallation({ engine })
    await at.create('domain/create', { name: 'acme.com' })
  }, 60_000)
  afterAll(() => at[Symbol.asyncDispose]())
  beforeEach(() => {
    loginName = `user-${++number}`
  })

  /** @returns the id of a user who holds the token with the RFC's secret. */
  async function add(attrs: object = {}): Promise<string> {
    const id = await at.create('user/create', { 'domain.name': 'acme.com', loginName, ...attrs })
    const token = await at.addRfcToken(loginName)
    await at.create('tokenAssignment/create', { 'token.id': token, 'user.id': id })
    return id
  }

  async function setStatus(status: string, more: object = {}): Promise<number> {
    const user = { loginName, 'domain.name': 'acme.com' }
    return (await at.call('user/set', { user, attrs: { status, ...more } })).error
  }

  async function verify(otp: string | undefined): Promise<number> {
    const user = { loginName, 'domain.name': 'acme.com' }
    return (await at.call('auth/verify', { user, credential: { otp } })).error
  }

  async function shown(): Promise<unknown> {
    const match = { loginName, 'domain.name': 'acme.com' }
    const wanted = ['status', 'failCount', 'mobile']
    return (await at.call('user/get', { match, return: wanted })).result
  }

  test('userSet: 200 error 0 with LOCKED locks until ACTIVE, for every surface', async () => {
    const id = await add()
    expect(await setStatus('LOCKED')).toBe(0)
    expect(await shown()).toEqual({ status: 'LOCKED', failCount: 0, mobile: null })
    const search = { match: [['status', '=', 'LOCKED']], return: ['loginName'] }
    expect((await at.call('user/search', search)).result.rows).toContainEqual({ loginName })
    expect(await verify(rfcCodes[0])).toBe(1041)
    const native = { token: { serial: loginName }, code: rfcCodes[0] ?? '' }
    expect((await at.core.verification.verify(at.admin, 'acme', native)).result).toBe('LOCKED')
    const sync = { user: { id }, token: { serial: loginName }, credential: '755224,287082' }
    expect((await at.call('token/syncToken', sync)).error).toBe(1041)

    expect(await setStatus('ACTIVE')).toBe(0)
    expect(await shown()).toMatchObject({ status: 'ACTIVE' })
    expect(await verify(rfcCodes[0])).toBe(0)
    expect((await at.journal()).map(({ action }) => action)).toContain('user.locked')
  })

  test('userSet: 200 error 0 with LOCKED and other attributes changes both', async () => {
    await add()
    expect(await setStatus('LOCKED', { mobile: '+44 1' })).toBe(0)
    expect(await shown()).toMatchObject({ status: 'LOCKED', mobile: '+44 1' })
  })

  test('userSet: 200 error 1004 and 1026 change nothing, and lock nobody', async () => {
    await at.create('user/create', { 'domain.name': 'acme.com', loginName: `${loginName}-other` })
    await add()
    expect(await setStatus('LOCKED', { email: 'x' })).toBe(1004)
    expect(await setStatus('LOCKED', { loginName: `${loginName}-other` })).toBe(1026)
    expect(await setStatus('ASLEEP')).toBe(1004)
    expect(await shown()).toMatchObject({ status: 'ACTIVE' })
  })

  test('userSet: other changes leave a lock alone', async () => {
    await add()
    await setStatus('LOCKED')
    const user = { loginName, 'domain.name': 'acme.com' }
    await at.call('user/set', { user, attrs: { mobile: '1' } })
    expect(await shown()).toMatchObject({ status: 'LOCKED', mobile: '1' })
  })

  test('userSet: a locked user who is disabled too is DISABLED until ACTIVE', async () => {
    await add()
    await setStatus('LOCKED')
    await setStatus('INACTIVE')
    expect(await shown()).toMatchObject({ status: 'DISABLED' })
    await setStatus('LOCKED')
    expect(await shown()).toMatchObject({ status: 'DISABLED' })
    expect(await verify(rfcCodes[0])).not.toBe(0)
    await setStatus('ACTIVE')
    expect(await verify(rfcCodes[0])).toBe(0)
  })

  test('userSet: ACTIVE leaves the lock of an assignment', async () => {
    const id = await add()
    const { result } = await at.call('tokenAssignment/get', {
      match: { 'user.id': id },
      return: ['id'],
    })
    await at.call('tokenAssignment/set', { id: result.id, attrs: { status: 'LOCKED' } })
    await setStatus('ACTIVE')
    expect(await verify(rfcCodes[0])).toBe(1041)
  })

  test('userCreate: 200 error 0 with LOCKED makes a user who is locked', async () => {
    await add({ status: 'LOCKED' })
    expect(await shown()).toMatchObject({ status: 'LOCKED' })
    expect(await verify(rfcCodes[0])).toBe(1041)
    await setStatus('ACTIVE')
    expect(await verify(rfcCodes[0])).toBe(0)
  })

  test('userCreate: 200 error 0 shows the lock in what it answers', async () => {
    const attrs = { 'domain.name': 'acme.com', loginName, status: 'LOCKED' }
    const { result } = await at.call('user/create', { attrs, return: ['loginName', 'status'] })
    expect(result).toEqual({ loginName, status: 'LOCKED' })
  })
})
