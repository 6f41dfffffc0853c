import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  appleMembers,
  documentedSample,
  serviceAccount,
  vapidMembers,
} from '#domain/apps/apps.fixture.ts'
import { engines } from '#test/support/core.ts'
import { type Answer, type AstInstallation, createAstInstallation } from './ast.fixture.ts'

const tenant = '/v1/tenants/acme'
const unknownId = '01F6MJ6J1AA8HWB7G6XRJB709E'
const lastOf = ({ headers }: Answer) =>
  decodeURIComponent(String(headers.location).split('/').at(-1) ?? '')

describe.each(engines)('apps and policies on %s', (engine) => {
  let ast: AstInstallation
  beforeAll(async () => {
    ast = await createAstInstallation({ engine })
  }, 60_000)
  afterAll(() => ast[Symbol.asyncDispose]())

  const pathOf = (appName: string) => `${tenant}/apps/${encodeURIComponent(appName)}` as const
  const save = (appName: string, body: unknown = { categories: ['tms'] }, token = ast.admin) =>
    ast.call(`POST ${pathOf(appName)}`, { body, token })
  const get = (appName: string, token = ast.admin) => ast.call(`GET ${pathOf(appName)}`, { token })
  const configurationOf = async (appName: string) =>
    (await get(appName)).body.pushNotificationConfig
  const policyPath = (name: string) => `${tenant}/policies/${encodeURIComponent(name)}` as const
  const createPolicy = (name: string, body: unknown = { type: 'quorum' }) =>
    ast.call(`POST ${policyPath(name)}`, { body })
  const assign = (name: string, body: unknown) =>
    ast.call(`POST ${policyPath(name)}/assignments`, { body })
  /** What every operation that writes does with callers who may not. */
  const expectWriters = async (
    target: Parameters<AstInstallation['call']>[0],
    options: { body?: unknown } = {},
  ) => {
    const statuses = await Promise.all(
      ['', 'csk_nobody', ast.reader, ast.stranger].map(
        async (token) => (await ast.call(target, { ...options, token })).status,
      ),
    )
    expect(statuses).toEqual([401, 401, 403, 403])
  }
  const expectReaders = async (target: Parameters<AstInstallation['call']>[0]) => {
    const statuses = await Promise.all(
      ['', ast.stranger, ast.reader].map(
        async (token) => (await ast.call(target, { token })).status,
      ),
    )
    expect(statuses).toEqual([401, 403, 200])
  }

  describe('saveApp', () => {
    test('201 with the place of an app whose name needs spelling', async () => {
      const made = await save('Maverick Payment/ö')
      expect(made).toMatchObject({ status: 201, text: '' })
      expect(made.headers.location).toBe(`/ast${pathOf('Maverick Payment/ö')}`)
      expect((await get('Maverick Payment/ö')).body).toEqual({
        tenantId: 'acme',
        appName: 'Maverick Payment/ö',
        pushNotificationConfig: { categories: ['tms'] },
      })
    })

    test('201 for the documented sample as it is; what is no key is told to be unusable', async () => {
      expect((await save('Payment application', documentedSample)).status).toBe(201)
      expect(await configurationOf('Payment application')).toEqual({
        ...documentedSample,
        unusable: ['apns', 'fcm'],
      })
    })

    test('201 for real credentials, members that nobody knows, and empty ones as tools send them', async () => {
      const members = {
        categories: ['tms', 'chat'],
        ...(await appleMembers()),
        ...vapidMembers(),
        fcmServiceAccountJSON: serviceAccount(),
      }
      const empty = { hpkClientId: '', hpkClientSecret: '', androidApiKey: null }
      const made = await save('real', {
        ...members,
        ...empty,
        vendorNews: { a: 1 },
        unusable: ['x'],
      })
      expect(made.status).toBe(201)
      expect(await configurationOf('real')).toEqual(members)
    })

    test('409 for a name that is there', async () => {
      await save('twice')
      expect(await save('twice')).toMatchObject({
        status: 409,
        body: { code: '4091', subsystem: 512 },
      })
    })

    test.each([
      [
        'iosBundleId',
        { iosBundleId: 'com.acme' },
        ['/iosApnsCertificate', '/iosApnsPrivateKey', '/iosIsDevelopment'],
      ],
      ['iosIsDevelopment: false', { iosIsDevelopment: false }, ['/iosBundleId']],
      ['hpkClientId', { hpkClientId: '1' }, ['/hpkClientSecret']],
      ['hpkClientSecret', { hpkClientSecret: 's', hpkClientId: '' }, ['/hpkClientId']],
      ['an empty list of categories', { categories: [] }, ['/categories']],
      ['a category twice', { categories: ['tms', 'tms'] }, ['/categories']],
      ['another category', { categories: ['news'] }, ['/categories/0']],
      ['no categories', { categories: undefined }, ['/categories']],
      ['a file that is no JSON', { fcmServiceAccountJSON: 'eyJ' }, ['/fcmServiceAccountJSON']],
      ['a number for a text', { androidApiKey: 7 }, ['/androidApiKey']],
    ])('400 that names the members for %s', async (_what, changes, members) => {
      const { status, body } = await save('never', { categories: ['tms'], ...changes })
      expect({ status, subsystem: body.subsystem, code: body.code }).toEqual({
        status: 400,
        subsystem: 519,
        code: '4000',
      })
      for (const member of members) expect(body.message).toContain(`${member}:`)
      expect((await get('never')).status).toBe(404)
    })

    test('400 without a word of what was given, in the answer and in the journal', async () => {
      const secret = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw'
      const broken = `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`
      const bodies = [
        { ...(await appleMembers()), iosApnsPrivateKey: broken },
        { fcmServiceAccountJSON: serviceAccount({ private_key: broken }) },
        { fcmServiceAccountJSON: Buffer.from(`{"private_key": "${secret}`).toString('base64') },
        { ...vapidMembers(), webPushPrivateKey: secret },
        { hpkClientSecret: secret },
      ]
      for (const body of bodies) {
        const { status, text } = await save('never', { categories: ['tms'], ...body })
        expect(status).toBe(400)
        expect(text).not.toContain(secret)
        expect(text).not.toContain(Buffer.from(secret).toString('base64').slice(0, 20))
      }
      for (const { text } of await ast.journal('acme')) expect(text).not.toContain(secret)
    })

    test('400 for a name of 33 characters or with a line end, 201 for 32', async () => {
      expect((await save('ö'.repeat(33))).status).toBe(400)
      expect((await save('a\nb')).status).toBe(400)
      expect((await save('ö'.repeat(32))).status).toBe(201)
    })

    test('401, 403 for whoever may not', () =>
      expectWriters(`POST ${tenant}/apps/never`, { body: { categories: ['tms'] } }))
  })

  describe('getApp', () => {
    test('200 with secrets for admin write alone', async () => {
      const members = { ...(await appleMembers()), hpkClientId: '10', hpkClientSecret: 'h-secret' }
      await save('shown', { categories: ['tms'], ...members })
      const seen = await get('shown', ast.reader)
      expect((await get('shown')).headers['cache-control']).toBe('no-store')
      const { headers } = await ast.call('GET /v1/tenants/acme/apps?appName=shown')
      expect(headers['cache-control']).toBe('no-store')
      expect(seen.body.pushNotificationConfig).toEqual({
        categories: ['tms'],
        iosBundleId: 'com.acme.bank',
        iosIsDevelopment: false,
        hpkClientId: '10',
      })
      expect(await configurationOf('shown')).toEqual({ categories: ['tms'], ...members })
      expect((await get('shown', ast.platform)).body.pushNotificationConfig).toHaveProperty(
        'hpkClientSecret',
      )
    })

    test('404 for an unknown one and one of another tenant, alike', async () => {
      await ast.call('POST /v1/tenants/shop/apps/theirs', {
        body: { categories: ['tms'] },
        token: ast.stranger,
      })
      const unknown = await get('nobody')
      expect(unknown).toMatchObject({ status: 404, body: { code: '4040', subsystem: 512 } })
      expect((await get('theirs')).body).toEqual(unknown.body)
    })

    test('401, 403 for whoever may not', async () => {
      await save('readable')
      await expectReaders(`GET ${tenant}/apps/readable`)
    })
  })

  describe('updateApp', () => {
    test('204 for what was read, changed and put back, as tools do', async () => {
      await save('round trip', documentedSample)
      const read = await configurationOf('round trip')
      const body = { ...read, categories: ['chat'] }
      const put = await ast.call(`PUT ${pathOf('round trip')}`, { body })
      expect(put).toMatchObject({ status: 204, text: '' })
      expect(await configurationOf('round trip')).toEqual(body)
    })

    test('204 and everything that is left out, null or empty is gone', async () => {
      await save('emptied', documentedSample)
      const body = { categories: ['tms'], hpkClientId: null, hpkClientSecret: '' }
      expect((await ast.call(`PUT ${pathOf('emptied')}`, { body })).status).toBe(204)
      expect(await configurationOf('emptied')).toEqual({ categories: ['tms'] })
    })

    test('400 and nothing is changed', async () => {
      await save('kept', documentedSample)
      const before = await configurationOf('kept')
      const body = { categories: ['tms'], iosIsDevelopment: true }
      expect((await ast.call(`PUT ${pathOf('kept')}`, { body })).status).toBe(400)
      expect(await configurationOf('kept')).toEqual(before)
    })

    test('404 for an unknown one; 401, 403 for whoever may not', async () => {
      const body = { categories: ['tms'] }
      expect((await ast.call(`PUT ${pathOf('nobody')}`, { body })).status).toBe(404)
      await expectWriters(`PUT ${tenant}/apps/kept`, { body })
    })
  })

  describe('listApps', () => {
    test('200 with an array by name, a total, and pages that end', async () => {
      const first = await ast.call(`GET ${tenant}/apps?pageSize=2`)
      const total = Number(first.headers['x-total-count'])
      expect(first.body).toHaveLength(2)
      const names: string[] = []
      for (let page = 1; names.length < total; page++) {
        const { body } = await ast.call(`GET ${tenant}/apps?page=${page}&pageSize=3`)
        expect(body.length).toBeGreaterThan(0)
        names.push(...body.map(({ appName }: { appName: string }) => appName))
      }
      expect(names).toEqual([...names].sort())
      expect(new Set(names).size).toBe(total)
      const beyond = await ast.call(`GET ${tenant}/apps?page=21474837`)
      expect(beyond.body).toEqual([])
      expect(beyond.headers['x-total-count']).toBe(String(total))
    })

    test('200 with exactly the one of a name', async () => {
      await save('only one')
      const { body } = await ast.call(`GET ${tenant}/apps?appName=only%20one`)
      expect(body.map(({ appName }: { appName: string }) => appName)).toEqual(['only one'])
      expect((await ast.call(`GET ${tenant}/apps?appName=only`)).body).toEqual([])
    })

    test('200 without a secret for readers, 400 for pages that cannot be', async () => {
      await save('listed', {
        categories: ['tms'],
        hpkClientId: '1',
        hpkClientSecret: 'not-for-all',
      })
      const list = `GET ${tenant}/apps?appName=listed` as const
      expect((await ast.call(list, { token: ast.reader })).text).not.toContain('not-for-all')
      expect((await ast.call(list)).text).toContain('not-for-all')
      for (const query of [
        'page=0',
        'pageSize=101',
        'page=x',
        'appName=',
        `appName=${'a'.repeat(33)}`,
      ]) {
        expect((await ast.call(`GET ${tenant}/apps?${query}`)).status).toBe(400)
      }
    })

    test('401, 403 for whoever may not', () => expectReaders(`GET ${tenant}/apps`))
  })

  describe('deleteApp', () => {
    test('204 and the app and its assignments are gone; then 404', async () => {
      await save('ending')
      await createPolicy('of the ending')
      await assign('of the ending', { appName: 'ending' })
      expect(await ast.call(`DELETE ${pathOf('ending')}`)).toMatchObject({ status: 204, text: '' })
      expect((await get('ending')).status).toBe(404)
      expect((await ast.call(`DELETE ${pathOf('ending')}`)).status).toBe(404)
      expect((await ast.call(`DELETE ${policyPath('of the ending')}`)).status).toBe(204)
    })

    test('401, 403 for whoever may not', async () => {
      await save('staying')
      await expectWriters(`DELETE ${tenant}/apps/staying`)
      expect((await get('staying')).status).toBe(200)
    })
  })

  describe('createPolicy', () => {
    test('201 for the documented sample, with its place', async () => {
      const made = await createPolicy('Quorum policy 100', { type: 'quorum', parameters: {} })
      expect(made).toMatchObject({ status: 201, text: '' })
      expect(made.headers.location).toBe(`/ast${policyPath('Quorum policy 100')}`)
      expect((await ast.call(`GET ${policyPath('Quorum policy 100')}`)).body).toEqual({
        name: 'Quorum policy 100',
        assignments: [],
        type: 'quorum',
        parameters: { quorum: 10 },
      })
    })

    test('409 for a name that is there, the built-in one too', async () => {
      await createPolicy('doubled')
      for (const name of ['doubled', 'registrationUser']) {
        expect(await createPolicy(name)).toMatchObject({ status: 409, body: { code: '4091' } })
      }
    })

    test.each([
      {},
      { type: 'Quorum' },
      { type: 'quorum', parameters: { quorum: 0 } },
      { type: 'quorum', parameters: { quorum: 1001 } },
      { type: 'quorum', parameters: { quorum: '10' } },
      { type: 'quorum', parameters: 'all' },
      { type: 'registrationUser', parameters: { userId: '' } },
      { type: 'registrationUser', parameters: { userId: 'x'.repeat(256) } },
    ])('400 for %o', async (body) => {
      expect((await createPolicy('never', body)).status).toBe(400)
      expect((await ast.call(`GET ${policyPath('never')}`)).status).toBe(404)
    })

    test('400 for a name of 51 characters; 401, 403 for whoever may not', async () => {
      expect((await createPolicy('p'.repeat(51))).status).toBe(400)
      await expectWriters(`POST ${tenant}/policies/never`, { body: { type: 'quorum' } })
    })
  })

  describe('getPolicy', () => {
    test('200 with what it is assigned to', async () => {
      await save('governed')
      await createPolicy('shown', {
        type: 'registrationUser',
        parameters: { userId: 'jsmith', x: 1 },
      })
      const wide = lastOf(await assign('shown', { appName: 'governed' }))
      const narrow = lastOf(
        await assign('shown', {
          appName: 'governed',
          platform: 'Android',
          architectureName: 'x86',
        }),
      )
      expect((await ast.call(`GET ${policyPath('shown')}`)).body).toEqual({
        name: 'shown',
        type: 'registrationUser',
        parameters: { userId: 'jsmith' },
        assignments: [
          { id: wide, appName: 'governed' },
          { id: narrow, appName: 'governed', platform: 'Android', architectureName: 'x86' },
        ],
      })
    })

    test('404 for an unknown one; 401, 403 for whoever may not', async () => {
      expect(await ast.call(`GET ${policyPath('nobody')}`)).toMatchObject({
        status: 404,
        body: { code: '4040', subsystem: 512 },
      })
      await createPolicy('for readers')
      await expectReaders(`GET ${tenant}/policies/for%20readers`)
    })
  })

  describe('listPolicies', () => {
    test('200 with the built-in one first, the others by name', async () => {
      await createPolicy('zz')
      await createPolicy('aa')
      const { body } = await ast.call(`GET ${tenant}/policies`)
      expect(body[0]).toMatchObject({ name: 'registrationUser', type: 'registrationUser' })
      const names: string[] = body.slice(1).map(({ name }: { name: string }) => name)
      expect(names).toEqual([...names].sort())
      expect(names).toEqual(expect.arrayContaining(['aa', 'zz']))
    })

    test('200 with nothing of another tenant; 401, 403 for whoever may not', async () => {
      const theirs = await ast.call('GET /v1/tenants/shop/policies', { token: ast.stranger })
      expect(theirs.body).toEqual([
        { name: 'registrationUser', assignments: [], type: 'registrationUser', parameters: {} },
      ])
      await expectReaders(`GET ${tenant}/policies`)
    })
  })

  describe('updatePolicy', () => {
    test('204 and what it is assigned to stays', async () => {
      await save('of the update')
      await createPolicy('changing')
      await assign('changing', { appName: 'of the update' })
      const body = { type: 'quorum', parameters: { quorum: 3 } }
      expect(await ast.call(`PUT ${policyPath('changing')}`, { body })).toMatchObject({
        status: 204,
        text: '',
      })
      const read = await ast.call(`GET ${policyPath('changing')}`)
      expect(read.body).toMatchObject({
        parameters: { quorum: 3 },
        assignments: [{ appName: 'of the update' }],
      })
    })

    test('404 for an unknown one, 409 for the built-in one, 401 and 403 for whoever may not', async () => {
      const body = { type: 'quorum' }
      expect((await ast.call(`PUT ${policyPath('nobody')}`, { body })).status).toBe(404)
      expect(await ast.call(`PUT ${policyPath('registrationUser')}`, { body })).toMatchObject({
        status: 409,
        body: { code: '4090' },
      })
      await expectWriters(`PUT ${tenant}/policies/changing`, { body })
    })
  })

  describe('deletePolicy', () => {
    test('409 while it is assigned, then 204, then 404', async () => {
      await save('of the deletion')
      await createPolicy('ending')
      const id = lastOf(await assign('ending', { appName: 'of the deletion' }))
      expect(await ast.call(`DELETE ${policyPath('ending')}`)).toMatchObject({
        status: 409,
        body: { code: '4092', subsystem: 512 },
      })
      await ast.call(`DELETE ${tenant}/policy-assignments/${id}`)
      expect((await ast.call(`DELETE ${policyPath('ending')}`)).status).toBe(204)
      expect((await ast.call(`DELETE ${policyPath('ending')}`)).status).toBe(404)
    })

    test('409 for the built-in one; 401, 403 for whoever may not', async () => {
      expect((await ast.call(`DELETE ${policyPath('registrationUser')}`)).status).toBe(409)
      await createPolicy('staying')
      await expectWriters(`DELETE ${tenant}/policies/staying`)
    })
  })

  describe('createPolicyAssignment', () => {
    test('201 once for each exact target, with the place of the assignment', async () => {
      await save('assigned')
      await createPolicy('first')
      await createPolicy('second')
      const targets = [
        { appName: 'assigned' },
        { appName: 'assigned', platform: 'Android' },
        { appName: 'assigned', architectureName: 'x86' },
        { appName: 'assigned', platform: 'Android', architectureName: 'x86' },
      ]
      for (const target of targets) {
        const made = await assign('first', target)
        expect(made).toMatchObject({ status: 201, text: '' })
        expect(made.headers.location).toMatch(
          /^\/ast\/v1\/tenants\/acme\/policy-assignments\/[0-9A-Z]{26}$/,
        )
        for (const name of ['first', 'second']) {
          expect(await assign(name, target)).toMatchObject({ status: 409, body: { code: '4091' } })
        }
      }
    })

    test('404 for an unknown policy, app or platform; 400 for what can be none; 401, 403 for whoever may not', async () => {
      await save('assignable')
      await createPolicy('assigning')
      const appName = 'assignable'
      expect((await assign('nobody', { appName })).status).toBe(404)
      expect((await assign('assigning', { appName: 'nobody' })).status).toBe(404)
      expect((await assign('assigning', { appName, platform: 'Amiga' })).status).toBe(404)
      for (const body of [
        {},
        { appName: '' },
        { appName, platform: 'xy' },
        { appName, architectureName: 'x'.repeat(11) },
      ]) {
        expect((await assign('assigning', body)).status).toBe(400)
      }
      await expectWriters(`POST ${tenant}/policies/assigning/assignments`, { body: { appName } })
    })
  })

  describe('deletePolicyAssignment', () => {
    test('204, then 404; 404 for one of another tenant', async () => {
      await save('unassigned')
      await createPolicy('unassigning')
      const id = lastOf(await assign('unassigning', { appName: 'unassigned' }))
      const foreign = await ast.call(`DELETE /v1/tenants/shop/policy-assignments/${id}`, {
        token: ast.stranger,
      })
      expect(foreign).toMatchObject({ status: 404, body: { code: '4040', subsystem: 512 } })
      const path = `DELETE ${tenant}/policy-assignments/${id}` as const
      expect(await ast.call(path)).toMatchObject({ status: 204, text: '' })
      expect((await ast.call(path)).status).toBe(404)
      expect((await assign('unassigning', { appName: 'unassigned' })).status).toBe(201)
    })

    test('400 for what is no id; 401, 403 for whoever may not', async () => {
      expect((await ast.call(`DELETE ${tenant}/policy-assignments/1`)).status).toBe(400)
      await expectWriters(`DELETE ${tenant}/policy-assignments/${unknownId}`)
    })
  })
})
