import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createOkmInstallation, type OkmInstallation } from './okm.fixture.ts'

const draft = { customer: 'invu', scopes: ['okms:read', 'okms:write'], label: 'store sync job' }
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const noScope = { error_code: 'UNAUTHORIZED_ACCESS', error_msg: 'Missing required scopes' }
const unknown = '8c4d7a52-3f0b-4a7e-9c61-0d9b8f2a1e77'

describe.each(engines)('tokens on %s', (engine) => {
  let okm: OkmInstallation
  let admin: { readonly token: string }
  let otherAdmin: { readonly token: string }
  let platform: { readonly token: string }

  beforeAll(async () => {
    okm = await createOkmInstallation({ engine })
    admin = { token: await okm.addAccount('invu', ['tenant:write']) }
    otherAdmin = { token: await okm.addAccount('acme', ['tenant:write']) }
    platform = { token: await okm.addAccount(null, ['platform:admin']) }
  })
  afterAll(() => okm[Symbol.asyncDispose]())

  const issue = async (body: object, options = admin) =>
    (await okm.call('POST', '/tokens', body, options)).body.data

  describe('issueToken', () => {
    test('201: a token of three parts, told once, that works at once', async () => {
      const { status, headers, body } = await okm.call('POST', '/tokens', draft, admin)
      expect([status, headers['cache-control']]).toEqual([201, 'no-store'])
      expect(body).toEqual({
        status: 201,
        msg: 'Token issued successfully',
        data: {
          token: {
            id: expect.stringMatching(uuid),
            ...draft,
            created_at: '2026-11-21T10:00:00.000Z',
            expires_at: null,
            revoked_at: null,
          },
          access_token: expect.stringMatching(/^[0-9a-f]{32}\.[0-9a-f]{32}\.[0-9a-f]{32}$/),
        },
      })
      const token = body.data.access_token
      const made = { id: 'T1', serial: 't1', customer: 'invu' }
      expect((await okm.call('POST', '/okms', made, { token })).status).toBe(201)
      expect((await okm.call('GET', '/acls', undefined, { token })).body).toEqual(noScope)
      expect((await okm.call('POST', '/tokens', draft, { token })).body).toEqual(noScope)
      expect((await okm.journal('invu')).some(({ text }) => text.includes(token))).toBe(false)
    })

    test('201 with an end: 401 from then on', async () => {
      const expires_at = '2026-11-21T11:00:00+00:30'
      const { token, access_token } = await issue({ ...draft, expires_at })
      expect(token.expires_at).toBe('2026-11-21T10:30:00.000Z')
      const use = () => okm.call('GET', '/okms', undefined, { token: access_token })
      expect((await use()).status).toBe(200)
      okm.clock.advance(30 * 60_000)
      expect((await use()).status).toBe(401)
    })

    test('201 for a token that administers tokens, of its own customer only', async () => {
      const { access_token } = await issue({ ...draft, scopes: ['tokens:admin'] })
      const own = { token: access_token }
      expect((await okm.call('POST', '/tokens', draft, own)).status).toBe(201)
      const foreign = { ...draft, customer: 'acme' }
      const { status, body } = await okm.call('POST', '/tokens', foreign, own)
      expect([status, body.error_msg]).toEqual([403, 'Customer not allowed for this token'])
      expect((await okm.call('POST', '/tokens', foreign, platform)).status).toBe(201)
    })

    test('403 for a customer that is not there, firmware:write, and callers without the right', async () => {
      const missing = { ...draft, customer: 'nobody' }
      expect((await okm.call('POST', '/tokens', missing, platform)).status).toBe(403)
      const firmware = { ...draft, scopes: ['firmware:write'] }
      expect((await okm.call('POST', '/tokens', firmware, admin)).body).toEqual(noScope)
      expect((await okm.call('POST', '/tokens', draft)).body).toEqual(noScope)
    })

    test.each([
      [{ scopes: ['okms:read', 'okms:delete'] }, 'scopes[1]', 'unknown scope'],
      [{ scopes: ['tenant:write'] }, 'scopes[0]', 'unknown scope'],
      [{ scopes: [] }, 'scopes', 'must have at least 1 entries'],
      [{ scopes: ['okms:read', 'okms:read'] }, 'scopes', 'must not have an entry twice'],
      [{ label: 'x'.repeat(129) }, 'label', 'must have at most 128 characters'],
      [{ expires_at: 'soon' }, 'expires_at', 'must be a date and time as in RFC 3339'],
    ])('400 with %j', async (change, field, reason) => {
      const { status, body } = await okm.call('POST', '/tokens', { ...draft, ...change }, admin)
      expect([status, body.errors]).toEqual([400, [{ field, reason }]])
    })
  })

  describe('listTokens', () => {
    test('200 without secrets, in order of creation, of the own customer', async () => {
      const { token, access_token } = await issue({ ...draft, customer: 'acme' }, otherAdmin)
      const { status, body, text } = await okm.call('GET', '/tokens', undefined, otherAdmin)
      expect([status, body.msg]).toEqual([200, 'Tokens fetched successfully'])
      expect(body.data.at(-1)).toEqual(token)
      expect(text).not.toContain(access_token)
      const customers = body.data.map(({ customer }: { customer: string }) => customer)
      expect([...new Set(customers)]).toEqual(['acme'])
      expect(body.pagination.total_results).toBe(String(body.data.length))
      const last = `/tokens?page=${body.data.length}&results_per_page=1`
      expect((await okm.call('GET', last, undefined, otherAdmin)).body.data).toEqual([token])
    })

    test('200 with those of all customers for the platform, of one if it names one', async () => {
      const customersOf = async (query: string) => {
        const path = `/tokens?results_per_page=1000${query}`
        const { body } = await okm.call('GET', path, undefined, platform)
        return [
          ...new Set<string>(body.data.map((one: { customer: string }) => one.customer)),
        ].toSorted((a, b) => a.localeCompare(b))
      }
      expect(await customersOf('')).toEqual(['acme', 'invu'])
      expect(await customersOf('&customer=acme')).toEqual(['acme'])
      expect(await customersOf('&customer=nobody')).toEqual([])
    })

    test('403 for another customer, and without the right', async () => {
      expect((await okm.call('GET', '/tokens?customer=acme', undefined, admin)).status).toBe(403)
      expect((await okm.call('GET', '/tokens')).body).toEqual(noScope)
    })
  })

  describe('revokeToken', () => {
    test('204 again and again; 401 at the next use; the record says when', async () => {
      const { token, access_token } = await issue(draft)
      const path = `/tokens/${token.id}`
      expect((await okm.call('DELETE', path, undefined, admin)).status).toBe(204)
      const { status, body } = await okm.call('GET', '/okms', undefined, { token: access_token })
      expect(status).toBe(401)
      expect(body).toEqual({
        error_code: 'INVALID_ACCESS_TOKEN',
        error_msg: 'The accessToken is invalid or has been revoked.',
      })
      const revokedAt = new Date(okm.clock()).toISOString()
      okm.clock.advance(1000)
      expect((await okm.call('DELETE', path, undefined, admin)).status).toBe(204)
      const list = await okm.call('GET', '/tokens?results_per_page=1000', undefined, admin)
      const record = list.body.data.find(({ id }: { id: string }) => id === token.id)
      expect(record).toEqual({ ...token, revoked_at: revokedAt })
    })

    test('404 for another customer, for one that is not there, and for what is no id', async () => {
      const { token, access_token } = await issue(draft)
      for (const id of [token.id, unknown, 'nonsense']) {
        const { status, body } = await okm.call('DELETE', `/tokens/${id}`, undefined, otherAdmin)
        expect([status, body]).toEqual([
          404,
          { error_code: 'NOT_FOUND', error_msg: 'Token not found' },
        ])
      }
      expect((await okm.call('GET', '/okms', undefined, { token: access_token })).status).toBe(200)
      expect((await okm.call('DELETE', `/tokens/${token.id}`, undefined, platform)).status).toBe(
        204,
      )
    })
  })
})
