import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInstallation, type Installation } from '../dualshield.fixture.ts'

let at: Installation
let user: string

beforeAll(async () => {
  at = await createInstallation()
  await at.create('domain/create', { name: 'domain.com' })
  user = await at.create('user/create', { 'domain.name': 'domain.com', loginName: 'john.smith' })
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())

const mobileId = { manufacturerCode: 'DN', productCode: 'MT' }

async function softToken(): Promise<{ id: string }> {
  return { id: await at.create('token/create', { product: mobileId, 'user.id': user }) }
}

async function linkTo(token: object): Promise<string> {
  const { result } = await at.call('token/getDownloadUrl', { token })
  return new URL(result.url).pathname
}

describe('tokenGetDownloadUrl', () => {
  test('200 error 0 gives a link that lives for a day', async () => {
    const token = await softToken()
    const body = { token, user: { 'domain.name': 'domain.com', loginName: 'john.smith' } }
    const { headers, result } = await at.call('token/getDownloadUrl', body)
    expect(result).toEqual({
      url: expect.stringMatching(
        /^https:\/\/dps\.example\.com\/dualshield\/provision\/[A-Za-z0-9_-]{22,86}$/,
      ),
      expires: '2026-11-22T10:00:00.000Z',
    })
    expect(headers['cache-control']).toBe('no-store')
  })

  test('a fresh link revokes the former one', async () => {
    const token = await softToken()
    const first = await linkTo(token)
    const second = await linkTo(token)
    expect((await at.send({ method: 'POST', url: first })).error).toBe(1070)
    expect((await at.send({ method: 'POST', url: second })).error).toBe(0)
  })

  test('200 error 1004 for a provisioningUrl that is not on the list', async () => {
    const token = await softToken()
    const body = { token, provisioningUrl: 'https://evil.example.net/provision' }
    expect(await at.call('token/getDownloadUrl', body)).toMatchObject({
      error: 1004,
      message: 'Invalid parameter: provisioningUrl',
    })
    const callbacks = { allowedOrigins: ['https://dps.example.org'] }
    await at.core.settings.update(at.admin, 'acme', { patch: { callbacks } })
    const allowed = { token, provisioningUrl: 'https://dps.example.org/enrol/' }
    const { result } = await at.call('token/getDownloadUrl', allowed)
    expect(result.url).toMatch(/^https:\/\/dps\.example\.org\/enrol\/[A-Za-z0-9_-]{43}$/)
  })

  test('200 error 1031 unassigned, 1034 confined, 1035 hardware, 1032 disabled', async () => {
    const free = { id: await at.create('token/create', { product: mobileId }) }
    expect((await at.call('token/getDownloadUrl', { token: free })).error).toBe(1031)
    const confined = await softToken()
    await at.call('token/confine', { token: confined })
    expect((await at.call('token/getDownloadUrl', { token: confined })).error).toBe(1034)
    const hardware = { id: await at.addRfcToken('hw-1') }
    await at.create('tokenAssignment/create', { token: hardware, 'user.id': user })
    expect((await at.call('token/getDownloadUrl', { token: hardware })).error).toBe(1035)
    const disabled = await softToken()
    await at.call('token/set', { ...disabled, attrs: { status: 'DISABLED' } })
    expect((await at.call('token/getDownloadUrl', { token: disabled })).error).toBe(1032)
  })
})

describe('tokenRetrieveCredential', () => {
  test('200 error 0 gives the same credential every time, not to be kept, and says so in the journal', async () => {
    const token = await softToken()
    const { headers, result } = await at.call('token/retrieveCredential', { token })
    expect(result).toMatchObject({
      ...mobileId,
      algorithm: 'TOTP',
      crypto: 'HmacSHA1',
      digits: 6,
      timeWindow: 30,
      encode: 'BASE32',
      seed: expect.stringMatching(/^[A-Z2-7]{32}$/),
    })
    expect(result.uri).toBe(
      `otpauth://totp/domain.com:john.smith?secret=${result.seed}&issuer=domain.com&algorithm=SHA1&digits=6&period=30`,
    )
    expect(headers['cache-control']).toBe('no-store')
    expect((await at.call('token/retrieveCredential', { token })).result).toEqual(result)
    const records = (await at.journal()).filter(
      ({ detail }) => (detail as { serial?: string }).serial === result.serial,
    )
    expect(records.map(({ action, surface }) => [action, surface])).toEqual(
      ['created', 'assigned', 'credential-retrieved', 'credential-retrieved'].map((event) => [
        `otp-token.${event}`,
        'dualshield',
      ]),
    )
    expect(JSON.stringify(records)).not.toContain(result.seed)
  })

  test('200 error 1037 for a user who is not active, 1033 for an assignment that is not', async () => {
    const token = await softToken()
    await at.call('tokenAssignment/set', { token, user, attrs: { status: 'INACTIVE' } })
    expect((await at.call('token/retrieveCredential', { token })).error).toBe(1033)
    await at.call('tokenAssignment/set', { token, user, attrs: { status: 'ACTIVE' } })
    await at.call('user/set', { id: user, attrs: { status: 'INACTIVE' } })
    expect((await at.call('token/retrieveCredential', { token })).error).toBe(1037)
    await at.call('user/set', { id: user, attrs: { status: 'ACTIVE' } })
  })
})

describe('provisionInspect', () => {
  test('200 error 0 describes and spends nothing', async () => {
    const token = await softToken()
    const url = await linkTo(token)
    for (let time = 0; time < 3; time++) {
      const { status, result, headers } = await at.send({ method: 'GET', url })
      expect(status).toBe(200)
      expect(result).toEqual({
        product: 'MobileID',
        serial: expect.any(String),
        expires: '2026-11-22T10:00:00.000Z',
      })
      expect(headers['cache-control']).toBe('no-store')
    }
    expect((await at.send({ method: 'POST', url })).error).toBe(0)
  })

  test.each(['short', 'A'.repeat(43), 'A'.repeat(87)])(
    '404 error 1070 for the ticket %s',
    async (ticket) => {
      const url = `/dualshield/provision/${ticket}`
      expect(await at.send({ method: 'GET', url })).toMatchObject({ status: 404, error: 1070 })
    },
  )
})

describe('provisionRedeem', () => {
  test('200 error 0 for one of twenty at once; the others and all later ones 404 error 1070', async () => {
    const token = await softToken()
    const url = await linkTo(token)
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => at.send({ method: 'POST', url })),
    )
    const good = replies.filter(({ error }) => error === 0)
    expect(good).toHaveLength(1)
    expect(replies.filter(({ error }) => error === 1070)).toHaveLength(19)
    const { result } = await at.call('token/retrieveCredential', { token })
    expect(good[0]?.result).toEqual(result)
    expect(good[0]?.headers['cache-control']).toBe('no-store')
    expect(await at.send({ method: 'GET', url })).toMatchObject({ status: 404, error: 1070 })
  })

  test('1034 while the token is confined, 1070 after its release', async () => {
    const token = await softToken()
    const url = await linkTo(token)
    await at.call('token/confine', { token })
    expect(await at.send({ method: 'POST', url })).toMatchObject({ status: 200, error: 1034 })
    await at.call('token/release', { token })
    expect(await at.send({ method: 'POST', url })).toMatchObject({ status: 404, error: 1070 })
  })

  test('1070 after a day', async () => {
    const url = await linkTo(await softToken())
    at.clock.advance(24 * 60 * 60 * 1000)
    expect(await at.send({ method: 'POST', url })).toMatchObject({ status: 404, error: 1070 })
  })
})
