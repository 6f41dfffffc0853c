import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createOkmInstallation, type OkmInstallation, statusesOf } from './okm.fixture.ts'

const id = '5b0f3a0e-6f0e-4f0a-9a54-3c1d8f2b7e11'
/** The example of the contract: its digests are the published test vector. */
const example = {
  id,
  customer: 'invu',
  users: [
    {
      user_id: 1001,
      pin_hash: 'a1b2c3d4',
      auth_time: 8,
      sounder: false,
      sounder_delay: 0,
      sounder_duration: 0,
      sounder_volume: 0,
      permissions: [1, 0, 17],
    },
    {
      user_id: 1002,
      pin_hash: '9f8e7d6c',
      auth_time: 12,
      sounder: true,
      sounder_delay: 30,
      sounder_duration: 60,
      sounder_volume: 2,
      permissions: [1, 1, 1],
    },
  ],
  locks: ['0000051a00000005', '0000051a00000007', '0000051a0000000b'],
  user_data: { store: '0042' },
}
const [user] = example.users
const empty = (name: string, customer = 'invu') => ({ id: name, customer, users: [], locks: [] })
const notFound = (name: string) => ({
  error_code: 'NOT_FOUND',
  error_msg: `ACL with id ${name} not found`,
})

describe.each(engines)('ACLs on %s', (engine) => {
  let okm: OkmInstallation
  let other: { readonly token: string }

  beforeAll(async () => {
    okm = await createOkmInstallation({ engine })
    other = { token: okm.tokens.acme }
  })
  afterAll(() => okm[Symbol.asyncDispose]())

  describe('createAcl', () => {
    test('201 when it is new, 200 when it overwrites, each with the whole list', async () => {
      const made = await okm.call('POST', '/acls', example)
      expect(made.status).toBe(201)
      expect(made.text).toBe(
        JSON.stringify({ status: 201, msg: 'Acl created successfully', data: { acl: example } }),
      )
      const changed = { ...example, user_data: { store: '0043' }, users: example.users.slice(1) }
      const overwritten = await okm.call('POST', '/acls', changed)
      expect(overwritten.status).toBe(200)
      expect(overwritten.body).toEqual({
        status: 200,
        msg: 'Acl updated successfully',
        data: { acl: changed },
      })
      expect((await okm.call('GET', `/acls/${id}`)).body.data.acl).toEqual(changed)
    })

    test('201 without an id: it gets a UUID of version 4', async () => {
      const { id: _, ...unnamed } = example
      const first = (await okm.call('POST', '/acls', unnamed)).body.data.acl.id
      const second = (await okm.call('POST', '/acls', unnamed)).body.data.acl.id
      expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(second).not.toBe(first)
      expect((await okm.call('GET', `/acls/${first}`)).status).toBe(200)
    })

    test('201 with the defaults of what a user may leave out', async () => {
      const short = { user_id: 7, pin_hash: 'a', auth_time: 1, permissions: [] }
      const { body } = await okm.call('POST', '/acls', { ...empty('short'), users: [short] })
      expect(body.data.acl.users).toEqual([
        {
          user_id: 7,
          pin_hash: 'a',
          auth_time: 1,
          sounder: false,
          sounder_delay: 0,
          sounder_duration: 0,
          sounder_volume: 0,
          permissions: [],
        },
      ])
      expect(body.data.acl.user_data).toEqual({})
    })

    test.each<[string, object, string, string]>([
      ['locks that descend', { locks: ['b', 'a', 'c'] }, 'locks', 'must be strictly ascending'],
      [
        'a lock twice in another case',
        { locks: ['0A', '0a', '0b'] },
        'locks',
        'must be strictly ascending',
      ],
      ['a lock twice', { locks: ['a', 'a', 'b'] }, 'locks', 'must not have an entry twice'],
      [
        'too few permissions',
        { users: [{ ...user, permissions: [1, 0] }] },
        'users[0].permissions',
        'length must equal locks length',
      ],
      [
        'permission 2',
        { users: [{ ...user, permissions: [1, 2, 0] }] },
        'users[0].permissions[1]',
        'must be 0, 1 or 17',
      ],
      ['a user twice', { users: [user, user] }, 'users[1].user_id', 'must be unique'],
      [
        'a negative user',
        { users: [{ ...user, user_id: -1 }] },
        'users[0].user_id',
        'must be between 0 and 4294967295',
      ],
      [
        'auth_time 2',
        { users: [{ ...user, auth_time: 2 }] },
        'users[0].auth_time',
        'must be 1, 4, 8, 12 or 24',
      ],
      [
        'a long delay',
        { users: [{ ...user, sounder_delay: 121 }] },
        'users[0].sounder_delay',
        'must be between 0 and 120',
      ],
      [
        'a PIN hash with a bar',
        { users: [{ ...user, pin_hash: 'a|b' }] },
        'users[0].pin_hash',
        'does not have the right form',
      ],
    ])('400 with %s', async (_, change, field, reason) => {
      const { status, body, text } = await okm.call('POST', '/acls', {
        ...example,
        id: 'bad',
        ...change,
      })
      expect(status).toBe(400)
      expect(body.errors).toEqual([{ field, reason }])
      // A PIN hash is a credential.
      expect(text).not.toContain('a1b2c3d4')
      expect((await okm.call('GET', '/acls/bad')).status).toBe(404)
    })

    test('403 for another customer', async () => {
      const { status, body } = await okm.call('POST', '/acls', { ...example, customer: 'acme' })
      expect([status, body.error_msg]).toEqual([403, 'Customer not allowed for this token'])
    })

    test('PIN hashes are not in the journal', async () => {
      const texts = (await okm.journal('invu')).map(({ text }) => text).join()
      expect(texts).toContain(id)
      expect(texts).not.toContain('a1b2c3d4')
    })

    test('201 with 1,000 users at 500 locks, 413 with more than 8 MiB', {
      timeout: 60_000,
    }, async () => {
      const locks = Array.from(
        { length: 500 },
        (_, index) => `lock${String(index).padStart(6, '0')}`,
      )
      const users = Array.from({ length: 1000 }, (_, index) => ({
        ...user,
        user_id: index,
        permissions: locks.map(() => 17),
      }))
      const large = { ...example, id: 'large', locks, users }
      expect((await okm.call('POST', '/acls', large)).status).toBe(201)
      const spaces = ' '.repeat(8_388_608)
      const { status, body } = await okm.call('POST', '/acls', `${JSON.stringify(large)}${spaces}`)
      expect([status, body.error_code]).toEqual([413, 'PAYLOAD_TOO_LARGE'])
    })
  })

  describe('listAcls', () => {
    test('400 for a page that is too large for one answer; a smaller one has it', {
      timeout: 60_000,
    }, async () => {
      await using full = await createOkmInstallation({ engine })
      const users = Array.from({ length: 10_000 }, (_, index) => ({
        user_id: index,
        pin_hash: 'a1b2c3d4',
        auth_time: 8,
        permissions: [],
      }))
      for (let index = 0; index < 9; index++) {
        await full.call('POST', '/acls', { ...empty(`large${index}`), users })
      }
      const { status, body } = await full.call('GET', '/acls')
      expect([status, body.error_code]).toEqual([400, 'BAD_REQUEST'])
      expect((await full.call('GET', '/acls?results_per_page=2')).body.data).toHaveLength(2)
    })

    test('400 for a cabinet that would carry too many users', { timeout: 120_000 }, async () => {
      await using full = await createOkmInstallation({ engine })
      await full.call('POST', '/okms', { id: 'C', serial: 'c', customer: 'invu' })
      const users = Array.from({ length: 10_000 }, (_, index) => ({
        user_id: index,
        pin_hash: 'a',
        auth_time: 8,
        permissions: [],
      }))
      const statuses: number[] = []
      for (let index = 0; index < 11; index++) {
        await full.call('POST', '/acls', { ...empty(`many${index}`), users })
        const link = { customer: 'invu', acl_id: `many${index}`, okm_id: 'C' }
        statuses.push((await full.call('POST', '/acl-okms', link)).status)
      }
      expect(statuses).toEqual([...Array(10).fill(201), 400])
    })

    test('200 in order of ids, the paging as in every list', async () => {
      for (const name of ['b', 'a', 'B'])
        await okm.call('POST', '/acls', empty(name, 'acme'), other)
      const { status, body } = await okm.call('GET', '/acls?customer=acme', undefined, other)
      expect([status, body.msg]).toEqual([200, 'Acl fetched successfully'])
      expect(body.data).toEqual(
        ['B', 'a', 'b'].map((name) => ({ ...empty(name, 'acme'), user_data: {} })),
      )
      expect(body.pagination).toEqual({ page: 1, results_per_page: 30, total_results: '3' })
      const path = '/acls?page=2&results_per_page=2'
      expect((await okm.call('GET', path, undefined, other)).body.pagination).toEqual({
        page: '2',
        results_per_page: '2',
        total_results: '3',
      })
    })

    test('403 for another customer', async () => {
      expect((await okm.call('GET', '/acls?customer=acme')).status).toBe(403)
    })
  })

  describe('getAcl', () => {
    test('200 with the PIN hashes; 404 for what another customer has', async () => {
      await okm.call('POST', '/acls', example)
      const { status, body } = await okm.call('GET', `/acls/${id}?customer=invu`)
      expect(status).toBe(200)
      expect(body).toEqual({ status: 200, msg: 'Acl fetched successfully', data: { acl: example } })
      for (const name of ['missing', 'B', 'x'.repeat(129)]) {
        expect(await okm.call('GET', `/acls/${name}`)).toMatchObject({
          status: 404,
          body: notFound(name),
        })
      }
    })
  })

  describe('updateAcl', () => {
    test('200 with the id in the path alone, and in both', async () => {
      const { id: _, ...unnamed } = { ...example, user_data: { store: '1' } }
      const { status, body } = await okm.call('PUT', `/acls/${id}?customer=invu`, unnamed)
      expect([status, body.msg]).toEqual([200, 'Acl updated successfully'])
      expect(body.data.acl).toEqual({ ...unnamed, id })
      expect((await okm.call('PUT', `/acls/${id}`, example)).status).toBe(200)
    })

    test('400 ACL id mismatch; 404 for what is not there, which is not made', async () => {
      expect(await okm.call('PUT', '/acls/other', example)).toMatchObject({
        status: 400,
        body: { error_code: 'ID_MISMATCH', error_msg: 'ACL id mismatch' },
      })
      expect(await okm.call('PUT', '/acls/missing', empty('missing'))).toMatchObject({
        status: 404,
        body: notFound('missing'),
      })
      expect((await okm.call('GET', '/acls/missing')).status).toBe(404)
    })
  })

  describe('deleteAcl', () => {
    test('204 once; the same id of another customer stays', async () => {
      await okm.call('POST', '/acls', empty('twin'))
      await okm.call('POST', '/acls', empty('twin', 'acme'), other)
      const replies = await Promise.all(
        Array.from({ length: 5 }, () => okm.call('DELETE', '/acls/twin?customer=invu')),
      )
      expect(statusesOf(replies)).toEqual([204, 404, 404, 404, 404])
      expect((await okm.call('GET', '/acls/twin', undefined, other)).status).toBe(200)
    })
  })
})
