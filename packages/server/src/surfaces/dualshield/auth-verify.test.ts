import { hotp } from '@countersign/protocol/otp/hotp.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ulidToHex } from '#domain/ulid.ts'
import { engines } from '#test/support/core.ts'
import {
  createInstallation,
  type Installation,
  rfcCodes,
  rfcSeedHex,
} from './dualshield.fixture.ts'

describe.each(engines)('on %s', (engine) => {
  let at: Installation
  let number = 0
  let login: string
  let serial: string
  let userId: string
  let tokenId: string

  beforeAll(async () => {
    at = await createInstallation({ engine })
    await at.create('domain/create', { name: 'acme.com' })
  }, 60_000)
  afterAll(() => at[Symbol.asyncDispose]())
  beforeEach(async () => {
    login = `user-${++number}`
    serial = `v-${number}`
    userId = await at.create('user/create', { 'domain.name': 'acme.com', loginName: login })
    tokenId = await at.addRfcToken(serial)
  })

  const assign = (attrs: object = {}) =>
    at.create('tokenAssignment/create', { 'token.id': tokenId, 'user.id': userId, ...attrs })

  function verify(otp: string | undefined, changes: object = {}) {
    const user = { loginName: login, 'domain.name': 'acme.com' }
    return at.call('auth/verify', { user, credential: { otp }, ...changes })
  }

  describe('authVerify', () => {
    test('200 error 0 once; a code is spent here and on the native API alike', async () => {
      await assign()
      expect((await verify(rfcCodes[0])).error).toBe(0)
      expect((await verify(rfcCodes[0])).error).toBe(1040)
      const native = (code: string | undefined) =>
        at.core.verification.verify(at.admin, 'acme', { token: { serial }, code: code ?? '' })
      expect((await native(rfcCodes[0])).result).toBe('REJECTED')
      expect((await native(rfcCodes[1])).result).toBe('ACCEPTED')
      expect((await verify(rfcCodes[1])).error).toBe(1040)
    })

    test('R4: 200 error 0 once when one code comes thirty times at once', async () => {
      await assign()
      const replies = await Promise.all(Array.from({ length: 30 }, () => verify(rfcCodes[0])))
      expect(replies.filter(({ error }) => error === 0)).toHaveLength(1)
    })

    test('200 error 0 with return shows the accepting token', async () => {
      await assign()
      const { error, result } = await verify(rfcCodes[0], { return: ['serial', 'counter'] })
      expect({ error, result }).toEqual({ error: 0, result: { serial, counter: 1 } })
    })

    test('200 error 1005 for an unknown name in return spends nothing', async () => {
      await assign()
      expect((await verify(rfcCodes[0], { return: ['seed'] })).error).toBe(1005)
      expect((await verify(rfcCodes[0])).error).toBe(0)
    })

    test('the PIN stands beside the code or in front of it; a wrong one burns no code', async () => {
      await assign({ pin: '1234' })
      const credential = { otp: rfcCodes[0], pin: '1234' }
      expect((await verify(rfcCodes[0])).error).toBe(1040)
      expect((await verify(`9999${rfcCodes[0]}`)).error).toBe(1040)
      expect((await verify(undefined, { credential })).error).toBe(0)
      expect((await verify(`1234${rfcCodes[1]}`)).error).toBe(0)
    })

    test('R2: digits of other scripts and blanks in codes are not digits', async () => {
      await assign()
      for (const otp of ['７５５２２４', '٧٥٥٢٢٤', '755 22４']) {
        expect((await verify(otp)).error).toBe(1040)
      }
      expect((await verify(rfcCodes[0])).error).toBe(0)
    })

    test('200 error 1042 beyond the window where two codes would synchronise, 1040 beyond that', async () => {
      await assign()
      const at20 = codeAt(20)
      expect((await verify(at20)).error).toBe(1042)
      expect((await verify(codeAt(51))).error).toBe(1040)
      const credential = `${at20},${codeAt(21)}`
      expect((await at.call('token/syncToken', { token: tokenId, credential })).error).toBe(0)
      expect((await verify(codeAt(22))).error).toBe(0)
    })

    test.each<[number, string, () => Promise<unknown>]>([
      [1031, 'a token of somebody else', async () => {}],
      [
        1032,
        'a token that is disabled',
        async () => {
          await assign()
          await at.call('token/set', { id: tokenId, attrs: { status: 'DISABLED' } })
        },
      ],
      [1033, 'an assignment that is inactive', () => assign({ status: 'INACTIVE' })],
      [1033, 'an assignment that has expired', () => assign({ expires: '2026-01-01T00:00:00Z' })],
      [1033, 'an assignment that has not begun', () => assign({ starts: '2027-01-01T00:00:00Z' })],
      [1041, 'an assignment that is locked', () => assign({ status: 'LOCKED' })],
      [
        1037,
        'a user who is disabled',
        async () => {
          await assign()
          await at.call('user/set', { id: userId, attrs: { status: 'DISABLED' } })
        },
      ],
    ])('200 error %i for %s, when the token is named', async (error, _what, prepare) => {
      await prepare()
      const body = { user: userId, token: { serial }, credential: { otp: rfcCodes[0] } }
      expect((await at.call('auth/verify', body)).error).toBe(error)
    })

    test('without a token: 1040 when none is usable, 1041 when one of them is locked', async () => {
      expect((await verify(rfcCodes[0])).error).toBe(1040)
      const id = await assign({ status: 'DISABLED' })
      expect((await verify(rfcCodes[0])).error).toBe(1040)
      await at.call('tokenAssignment/set', { id, attrs: { status: 'LOCKED' } })
      expect((await verify(rfcCodes[0])).error).toBe(1041)
    })

    test.each<[number, object]>([
      [101, { user: { loginName: 'nobody' } }],
      [242, { user: { 'domain.name': 'nowhere', loginName: 'nobody' } }],
      [1021, { token: { serial: 'none' } }],
      [1035, { credential: { method: 'SPASS', password: 'x' } }],
      [1003, { credential: {} }],
      [1003, { credential: undefined }],
      [1003, { user: undefined }],
      [1004, { credential: { otp: 123456 } }],
      [1004, { credential: { otp: '1'.repeat(65) } }],
      [1004, { user: 'x', 'user.id': 'y' }],
    ])('200 error %i for %j', async (error, changes) => {
      expect((await verify(rfcCodes[0], changes)).error).toBe(error)
    })

    describe('however user and token are named, the answer is the same', () => {
      const domain = 'acme.com'
      const users: [string, (name: string) => unknown][] = [
        ['id', (name) => ({ id: name === login ? userId : '0'.repeat(32) })],
        ['bare id', (name) => (name === login ? userId : 'nobody')],
        ['id and login', (name) => ({ id: userId, loginName: name })],
        ['login and domain', (name) => ({ loginName: name, 'domain.name': domain })],
        ['login and domain, nested', (name) => ({ loginNam: name, domain: { name: domain } })],
        [
          'login and domain, otherwise written',
          (name) => ({ loginName: name.toUpperCase(), 'domain.name': 'ACME.com' }),
        ],
        ['login alone', (name) => ({ loginName: name })],
        ['qualified login', (name) => ({ loginName: `${domain}\\${name}` })],
        [
          'qualified login and domain',
          (name) => ({ loginName: `${domain}\\${name}`, 'domain.name': domain }),
        ],
      ]

      test.each(users)('200 error 0, 101, 1031, 1021 and 1025 by %s', async (_form, nameOf) => {
        await assign()
        const user = nameOf(login)
        const body = { user, credential: { otp: rfcCodes[0] } }
        const other = `other-${number}`
        await at.addRfcToken(other)
        const ask = async (changes: object) =>
          (await at.call('auth/verify', { ...body, ...changes })).error
        expect(await ask({ user: nameOf('nobody') })).toBe(101)
        expect(await ask({ token: { serial: other } })).toBe(1031)
        expect(await ask({ token: { serial: 'none' } })).toBe(1021)
        expect(await ask({ token: { id: 'none' } })).toBe(1021)
        expect(await ask({ user: nameOf('nobody'), token: { serial: 'none' } })).toBe(1021)
        expect(await ask({ user: nameOf('nobody'), token: { serial } })).toBe(101)
        await at.call('user/set', { id: userId, attrs: { status: 'DISABLED' } })
        expect(await ask({ token: { serial: 'none' } })).toBe(1021)
        expect(await ask({ token: { serial } })).toBe(1037)
        await at.call('user/set', { id: userId, attrs: { status: 'ACTIVE' } })
        expect(await ask({ token: { id: tokenId } })).toBe(0)
        expect(await ask({ token: { serial }, credential: { otp: rfcCodes[1] } })).toBe(0)
        expect(await ask({ credential: { otp: rfcCodes[2] } })).toBe(0)
        const twin = await at.call('token/import', {
          attrs: {
            product: { manufacturerCode: 'DN', productCode: 'ST' },
            encode: 'HEX',
            data: `serial number,secret key\n${serial},${rfcSeedHex}\n`,
          },
        })
        expect(twin.error).toBe(0)
        const later = { credential: { otp: rfcCodes[3] } }
        expect(await ask({ ...later, token: { serial } })).toBe(1025)
        expect(await ask({ ...later, token: { serial, product: { productCode: 'SE' } } })).toBe(0)
      })

      test('an id names the user whose id it is here, nobody who chose it on the native API', async () => {
        const { users } = at.core
        const victim = await users.create(at.admin, 'acme', {
          id: `victim-${number}`,
          loginName: login + 1,
        })
        const other = await users.create(at.admin, 'acme', {
          id: victim.ulid,
          loginName: login + 2,
        })
        const attrs = { 'token.id': tokenId, 'user.id': ulidToHex(other.ulid) }
        await at.create('tokenAssignment/create', attrs)
        const ask = async (user: string) =>
          (await at.call('auth/verify', { user, credential: { otp: rfcCodes[0] } })).error
        expect(await ask(ulidToHex(victim.ulid))).toBe(1040)
        expect(await ask(ulidToHex(other.ulid))).toBe(0)
      })

      test('an attempt that names an unknown user or token is recorded, and spends nothing', async () => {
        await assign()
        const before = (await at.journal()).length
        expect((await verify(rfcCodes[0], { token: { serial: 'none' } })).error).toBe(1021)
        expect((await verify(rfcCodes[0], { token: { serial } })).error).toBe(0)
        const records = (await at.journal()).slice(before)
        expect(records.map(({ detail }) => detail)).toMatchObject([
          { result: 'NO_CREDENTIAL', unusable: 'not_assigned' },
          { result: 'ACCEPTED' },
        ])
      })
    })

    test('an attempt for nobody is recorded, by the hash of the name', async () => {
      await verify(rfcCodes[0], { user: { loginName: 'secret-name' } })
      const last = (await at.journal()).at(-1)
      expect(last).toMatchObject({
        action: 'verification.attempted',
        surface: 'dualshield',
        detail: { reason: 'USER_UNKNOWN', userNameSha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      })
      expect(JSON.stringify(last)).not.toContain('secret-name')
    })
  })

  describe('authLogon', () => {
    test('200 error 0 sets the last login; address and application go to the journal', async () => {
      await assign()
      const body = {
        remoteIp: '192.0.2.10',
        application: { id: '6512bd43d9caa6e02c990b0a82652dca' },
        user: { id: userId },
        token: { serial },
        credential: { otp: rfcCodes[0] },
      }
      const lastLogin = async () =>
        (await at.call('user/get', { match: { id: userId }, return: ['lastLogin'] })).result
      await at.call('auth/verify', { ...body, credential: { otp: rfcCodes[0] } })
      expect(await lastLogin()).toEqual({ lastLogin: null })
      const second = { ...body, credential: { otp: rfcCodes[1] } }
      expect((await at.call('auth/logon', second)).error).toBe(0)
      expect(await lastLogin()).toEqual({ lastLogin: '2026-11-21T10:00:00.000Z' })
      expect((await at.call('auth/logon', second)).error).toBe(1040)
      expect((await at.journal()).at(-1)?.detail).toMatchObject({
        clientAddress: '192.0.2.10',
        application: '6512bd43d9caa6e02c990b0a82652dca',
        result: 'REJECTED',
      })
    })
  })

  describe('authListTokens', () => {
    test('200 error 0 lists own and shared tokens in order of priority', async () => {
      await assign({ priority: 2 })
      const shared = await at.addRfcToken(`shared-${number}`)
      const attrs = { 'token.id': shared, 'user.id': userId, isOwner: false, priority: 1 }
      await at.create('tokenAssignment/create', attrs)
      const user = { loginName: login, 'domain.name': 'acme.com' }
      const { result } = await at.call('auth/listTokens', { user })
      expect(result).toEqual({
        total: 2,
        rows: [
          { id: shared, serial: `shared-${number}` },
          { id: tokenId, serial },
        ],
      })
      const wanted = { user: userId, return: ['product.name'] }
      expect((await at.call('auth/listTokens', wanted)).result.rows[0]).toEqual({
        'product.name': 'SafeID',
      })
      expect((await at.call('auth/listTokens', { user: 'nobody' })).error).toBe(101)
    })
  })
})

function codeAt(counter: number): string {
  const secret = Buffer.from(rfcSeedHex, 'hex')
  return hotp({ secret, algorithm: 'SHA1', digits: 6, counter })
}
