import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PushCategory } from '#domain/apps/app.ts'
import { engines, testCaller } from '#test/support/core.ts'
import { type Answer, type AstInstallation, createAstInstallation } from './ast.fixture.ts'

const tenant = '/v1/tenants/acme'
const unknownId = '01F6MJ6J1AA8HWB7G6XRJB709E'

describe.each(engines)('versions of apps, on %s', (engine) => {
  let ast: AstInstallation

  beforeAll(async () => {
    ast = await createAstInstallation({ engine })
    for (const name of ['Acme Bank', 'acme_chat', '100% Pay', 'Empty']) await addApp('acme', name)
    await addApp('shop', 'Acme Bank')
  }, 60_000)
  afterAll(() => ast[Symbol.asyncDispose]())

  async function addApp(
    tenantId: string,
    name: string,
    categories: readonly PushCategory[] = ['tms'],
  ): Promise<void> {
    const caller = testCaller(tenantId, ['ast:write'])
    await ast.core.apps.create(caller, tenantId, name, { categories })
  }
  const written = (given: object = {}) => ({
    appName: 'Acme Bank',
    platform: 'Android',
    versionStr: '1.0.0',
    registerUserId: 'registrar',
    ...given,
  })
  const create = (given: object = {}, token = ast.admin) =>
    ast.call(`POST ${tenant}/versions`, { token, body: written(given) })
  const idOf = ({ headers }: Answer) => String(headers.location).split('/').at(-1) ?? ''
  const made = async (given: object = {}): Promise<string> => {
    const answer = await create(given)
    expect(answer.status, answer.text).toBe(201)
    return idOf(answer)
  }
  const get = async (id: string) => (await ast.call(`GET ${tenant}/versions/${id}`)).body
  const register = (versionId: string, architecture: string, integrity: string, nowMs: number) =>
    ast.composed.storage.transaction(({ appVersions }) =>
      appVersions.registrations.register({
        tenantId: 'acme',
        versionId,
        architecture,
        integrity,
        registeredBy: 'registrar',
        sdkVersion: `1.2.${nowMs}`,
        nowMs,
      }),
    )
  const failure = (status: number, code: string, subsystem = 512) => ({
    status,
    body: { message: expect.any(String), code, subsystem },
  })
  const queryOf = (criteria: Record<string, string>) =>
    new URLSearchParams(criteria).toString().replaceAll('+', '%20')
  /** Nobody else may read or change what this calls. */
  const expectRights = async (target: `${string} /${string}`, isWrite: boolean, body?: unknown) => {
    const given = body === undefined ? {} : { body }
    const call = (token: string) => ast.call(target as `GET /${string}`, { token, ...given })
    expect((await call('')).status).toBe(401)
    expect(await call(ast.stranger)).toMatchObject({ status: 403 })
    if (isWrite) expect(await call(ast.reader)).toMatchObject({ status: 403 })
    const bare = await ast.addAccount('acme', ['verify'])
    expect(await call(bare)).toMatchObject({ status: 403 })
  }

  describe('listPlatforms', () => {
    test('200 with the platforms of every tenant', async () => {
      const { status, body } = await ast.call(`GET ${tenant}/platforms`, { token: ast.reader })
      expect(status).toBe(200)
      const names = body.map(({ name }: { name: string }) => name)
      expect(names).toEqual(expect.arrayContaining(['Android', 'iOS', 'MacOS', 'Windows', 'Web']))
      const { body: others } = await ast.call('GET /v1/tenants/shop/platforms', {
        token: ast.stranger,
      })
      expect(others).toEqual(body)
    })

    test('401 and 403 for whom it does not concern', () =>
      expectRights(`GET ${tenant}/platforms`, false))
  })

  describe('listArchitectures', () => {
    const list = (name: string) => ast.call(`GET ${tenant}/platforms/${name}/architectures`)

    test('200 with the architectures of a platform', async () => {
      const { status, body } = await list('Android')
      expect(status).toBe(200)
      const names = body.map(({ name }: { name: string }) => name)
      expect(names).toEqual(['any', 'arm', 'arm64', 'x86', 'x86_64'])
    })

    test('404 for an unknown one, whose name is compared as it is written', async () => {
      expect(await list('android')).toMatchObject(failure(404, '4040'))
      expect(await list('__proto__')).toMatchObject(failure(404, '4040'))
      expect(await list('ab')).toMatchObject(failure(400, '4000', 519))
    })

    test('401 and 403 for whom it does not concern', () =>
      expectRights(`GET ${tenant}/platforms/Android/architectures`, false))
  })

  describe('createVersions', () => {
    test('201 with the place of the version, and nothing else', async () => {
      const answer = await create({ versionStr: '1.2.3', versionLock: true })
      expect(answer).toMatchObject({ status: 201, text: '' })
      expect(answer.headers.location).toMatch(
        /^\/ast\/v1\/tenants\/acme\/versions\/[0-7][0-9A-HJKMNP-TV-Z]{25}$/,
      )
      expect(await get(idOf(answer))).toMatchObject({
        version: '1108101562371',
        versionLock: true,
        isCheckIntegrity: false,
      })
      const actions = (await ast.journal('acme')).map(({ action }) => action)
      expect(actions).toContain('app-version.created')
    })

    test('201 for the largest number there is, 400 for one beyond it', async () => {
      const id = await made({ versionStr: '8388607.255.4294967295' })
      expect(await get(id)).toMatchObject({ version: '9223372036854775807' })
      for (const versionStr of ['8388608.0.0', '1.256.0', '1.0.4294967296', '99999999999.0.0']) {
        expect(await create({ versionStr })).toMatchObject(failure(400, '4000', 519))
      }
    })

    test('400 for anything but three numbers without leading zeros', async () => {
      for (const versionStr of ['1.0', '01.0.0', '1.0.00', '1.0.0-beta', '1.0.0\n', '１.0.0']) {
        expect(await create({ versionStr })).toMatchObject(failure(400, '4000', 519))
      }
    })

    test('409 for a version that the app has on this platform, and on no other', async () => {
      await made({ versionStr: '2.0.0' })
      expect(await create({ versionStr: '2.0.0' })).toMatchObject(failure(409, '4091'))
      await made({ versionStr: '2.0.0', platform: 'iOS' })
      await made({ versionStr: '2.0.0', appName: 'acme_chat' })
      const body = written({ versionStr: '2.0.0' })
      const other = await ast.call('POST /v1/tenants/shop/versions', { token: ast.stranger, body })
      expect(other.status).toBe(201)
    })

    test('R4: 201 once when one version comes twenty times at once', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => create({ versionStr: '2.0.1' })),
      )
      const counts = Map.groupBy(answers, ({ status }) => status)
      expect([counts.get(201)?.length, counts.get(409)?.length]).toEqual([1, 19])
    })

    test('404 for an app or a platform that is not there', async () => {
      expect(await create({ appName: 'acme bank' })).toMatchObject(failure(404, '4040'))
      expect(await create({ appName: 'x'.repeat(255) })).toMatchObject(failure(404, '4040'))
      expect(await create({ platform: 'ANDROID' })).toMatchObject(failure(404, '4040'))
      expect(await create({ platform: 'constructor' })).toMatchObject(failure(404, '4040'))
    })

    test('401 and 403 for whom it does not concern', () =>
      expectRights(`POST ${tenant}/versions`, true, written({ versionStr: '2.0.2' })))
  })

  describe('listVersions', () => {
    beforeAll(async () => {
      for (const versionStr of ['3.1.0', '3.10.0', '3.2.0']) {
        await made({ appName: '100% Pay', platform: 'MacOS', versionStr })
      }
      const flags = { versionLock: true, isCheckIntegrity: true }
      await made({ appName: '100% Pay', platform: 'Windows', versionStr: '3.1.0', ...flags })
    })
    const list = (criteria: Record<string, string> = {}) =>
      ast.call(`GET ${tenant}/versions?${queryOf(criteria)}`)
    const found = async (criteria: Record<string, string>) => {
      const { status, body, text } = await list({ pageSize: '100', ...criteria })
      expect(status, text).toBe(200)
      expect(body.data).toHaveLength(body.totalCount)
      return body.data.map(
        (one: { platform: string; versionStr: string }) => `${one.platform} ${one.versionStr}`,
      )
    }

    test('200 with pages in the order in which versions were made, and the count of all', async () => {
      const criteria = { appName: '100% Pay' }
      const first = (await list({ ...criteria, pageSize: '3' })).body
      expect(first.totalCount).toBe(4)
      expect(first.data.map(({ versionStr }: { versionStr: string }) => versionStr)).toEqual([
        '3.1.0',
        '3.10.0',
        '3.2.0',
      ])
      const second = (await list({ ...criteria, pageSize: '3', page: '2' })).body
      expect(second).toMatchObject({ totalCount: 4, data: [{ platform: 'Windows' }] })
      expect((await list({ ...criteria, page: '21474837' })).body).toEqual({
        data: [],
        totalCount: 4,
      })
    })

    test('200 with what fits all criteria, texts as they are written', async () => {
      const appName = '100% Pay'
      expect(await found({ appName, versionStr: '3.1.0' })).toEqual([
        'MacOS 3.1.0',
        'Windows 3.1.0',
      ])
      expect(await found({ appName, versionLock: 'true' })).toEqual(['Windows 3.1.0'])
      expect(await found({ appName, isCheckIntegrity: 'false', versionStr: '3.1.0' })).toEqual([
        'MacOS 3.1.0',
      ])
      expect(await found({ appName, platform: 'macos' })).toEqual([])
      expect(await found({ appName: '100%' })).toEqual([])
    })

    test('200 with a text found in what has no criterion of its own, whatever its case', async () => {
      expect(await found({ textSearch: 'mac' })).toHaveLength(3)
      expect(await found({ appName: '100% Pay', textSearch: '3.1' })).toHaveLength(3)
      expect(await found({ platform: 'MacOS', textSearch: 'mac' })).toEqual([])
      expect(await found({ textSearch: '0% P' })).toHaveLength(4)
      const all = { appName: '100% Pay', platform: 'MacOS', versionStr: '3.2.0' }
      expect(await found({ ...all, textSearch: 'whatever' })).toEqual(['MacOS 3.2.0'])
    })

    test('200: a text is no pattern', async () => {
      expect(await found({ textSearch: '0_ Pay' })).toEqual([])
      expect(await found({ textSearch: '%' })).toHaveLength(4)
      expect(await found({ textSearch: '_' })).toEqual(['Android 2.0.0'])
      expect(await found({ textSearch: "' or 1=1 --" })).toEqual([])
      expect(await found({ textSearch: '\\' })).toEqual([])
    })

    test('400 for what no database can hold', async () => {
      for (const name of ['appName', 'versionStr', 'textSearch']) {
        const { status } = await ast.call(`GET ${tenant}/versions?${name}=a%00b`)
        expect(status, name).toBe(400)
      }
      const { status } = await ast.call(`GET ${tenant}/versions/hierarchy?appName=a%00%25`)
      expect(status).toBe(400)
      expect((await create({ registerUserId: 'a\u0000' })).status).toBe(400)
      expect((await create({ appName: 'a\u0000bc' })).status).toBe(400)
    })

    test('200 with the old search in all texts, 400 where they differ', async () => {
      const texts = (text: string) => ({ appName: text, platform: text, versionStr: text })
      expect(await found({ ...texts('mac'), isTextSearch: 'true' })).toHaveLength(3)
      const locked = { ...texts('win'), isTextSearch: 'true', versionLock: 'false' }
      expect(await found(locked)).toEqual([])
      const refused = failure(400, '4000', 519)
      expect(await list({ appName: 'mac', isTextSearch: 'true' })).toMatchObject(refused)
      const differing = { ...texts('mac'), platform: 'Mac', isTextSearch: 'true' }
      expect(await list(differing)).toMatchObject(refused)
    })

    test('401 and 403 for whom it does not concern; nothing of another tenant is found', async () => {
      await expectRights(`GET ${tenant}/versions`, false)
      const { body } = await ast.call('GET /v1/tenants/shop/versions', { token: ast.stranger })
      expect(body.totalCount).toBe(1)
    })
  })

  describe('listVersionHierarchy', () => {
    const tree = (criteria: Record<string, string>) =>
      ast.call(`GET ${tenant}/versions/hierarchy?${queryOf(criteria)}`)

    test('200 with apps, below them platforms, below them versions by number', async () => {
      const { status, body } = await tree({ appName: '100%', pageSize: '100' })
      expect(status).toBe(200)
      const [app] = body.apps
      expect(body.apps).toHaveLength(1)
      expect(app.platforms.map(({ platform }: { platform: string }) => platform)).toEqual([
        'MacOS',
        'Windows',
      ])
      const [mac] = app.platforms
      expect(mac.versions.map(({ versionStr }: { versionStr: string }) => versionStr)).toEqual([
        '3.1.0',
        '3.2.0',
        '3.10.0',
      ])
    })

    test('200: pages count versions, and a tree goes on with the next one', async () => {
      const { body } = await tree({ appName: '100%', pageSize: '3', page: '2' })
      expect(body.apps).toMatchObject([
        { appName: '100% Pay', platforms: [{ platform: 'Windows', versions: [{}] }] },
      ])
    })

    test('200 with what fits a pattern, whatever its case; without % exactly', async () => {
      const names = async (criteria: Record<string, string>) => {
        const { body } = await tree({ pageSize: '100', ...criteria })
        return body.apps.map(({ appName }: { appName: string }) => appName)
      }
      expect(await names({ appName: 'ACME%' })).toEqual(['Acme Bank', 'acme_chat'])
      expect(await names({ appName: 'acme_%' })).toEqual(['acme_chat'])
      expect(await names({ appName: 'ACME BANK' })).toEqual([])
      expect(await names({ platform: '%AND%', versionStr: '2.0%' })).toEqual([
        'Acme Bank',
        'acme_chat',
      ])
      expect(await names({ versionStr: '%10.0' })).toEqual(['100% Pay'])
      expect(await names({ versionStr: '3' })).toEqual([])
      const { status } = await tree({ versionStr: '1.0_' })
      expect(status).toBe(400)
    })

    test('401 and 403 for whom it does not concern', () =>
      expectRights(`GET ${tenant}/versions/hierarchy`, false))
  })

  describe('listDistinctVersionNumbers', () => {
    const distinct = async (criteria: Record<string, string>) => {
      const query = queryOf({ pageSize: '100', ...criteria })
      const { status, body, text } = await ast.call(`GET ${tenant}/versions/distinct?${query}`)
      expect(status, text).toBe(200)
      return body.versions
    }

    test('200 with each version once, by number or as they were made', async () => {
      const criteria = { appName: '100%' }
      expect(await distinct(criteria)).toEqual(['3.1.0', '3.10.0', '3.2.0'])
      const asc = ['3.1.0', '3.2.0', '3.10.0']
      expect(await distinct({ ...criteria, orderByVersion: 'asc' })).toEqual(asc)
      expect(await distinct({ ...criteria, orderByVersion: 'desc' })).toEqual(asc.toReversed())
      const page = { pageSize: '2', page: '2', orderByVersion: 'asc' }
      expect(await distinct({ ...criteria, ...page })).toEqual(['3.10.0'])
      expect(await distinct({ ...criteria, versionLock: 'true' })).toEqual(['3.1.0'])
    })

    test('401 and 403 for whom it does not concern', () =>
      expectRights(`GET ${tenant}/versions/distinct`, false))
  })

  describe('listLatestVersions', () => {
    beforeAll(() => addApp('acme', 'Talk', ['chat', 'payment']))
    const latest = async (criteria: Record<string, string>) => {
      const query = queryOf({ pageSize: '100', ...criteria })
      const { status, body, text } = await ast.call(`GET ${tenant}/versions/latest?${query}`)
      expect(status, text).toBe(200)
      return body
    }
    const names = async (criteria: Record<string, string>) =>
      (await latest(criteria)).data.map(
        (one: { appName: string; versionStr: string | null }) =>
          `${one.appName} ${one.versionStr ?? '-'}`,
      )

    test('200 with one entry for each platform of an app, its highest version by number', async () => {
      expect(await latest({ appName: '100% Pay' })).toEqual({
        totalCount: 2,
        data: [
          {
            tenantId: 'acme',
            appName: '100% Pay',
            platform: 'MacOS',
            versionStr: '3.10.0',
            versionId: expect.stringMatching(/^[0-9A-Z]{26}$/),
            categories: ['tms'],
            credentials: [],
          },
          expect.objectContaining({ platform: 'Windows', versionStr: '3.1.0' }),
        ],
      })
    })

    test('200: an app without versions has nulls', async () => {
      expect((await latest({ appName: 'Empty' })).data).toEqual([
        expect.objectContaining({ platform: null, versionStr: null, versionId: null }),
      ])
    })

    test('200 with apps of any of the categories and credentials', async () => {
      expect(await names({ category: 'chat' })).toEqual(['Talk -'])
      expect(await names({ category: 'chat', appName: 'Empty' })).toEqual([])
      expect(await names({ credential: 'apns' })).toEqual([])
      const both = await ast.call(`GET ${tenant}/versions/latest?category=chat&category=tms`)
      expect(both.body.totalCount).toBe((await latest({})).totalCount)
    })

    test('200 with a text found in what has no criterion of its own', async () => {
      expect(await names({ textSearch: 'CHA' })).toEqual(['Talk -', 'acme_chat 2.0.0'])
      expect(await names({ textSearch: '3.10' })).toEqual(['100% Pay 3.10.0'])
      expect(await names({ textSearch: '"' })).toEqual([])
      const old = { appName: 'mac', platform: 'mac', isTextSearch: 'true' }
      expect(await names(old)).toEqual(['100% Pay 3.10.0'])
    })

    test('401 and 403 for whom it does not concern; nothing of another tenant is found', async () => {
      await expectRights(`GET ${tenant}/versions/latest`, false)
      const { body } = await ast.call('GET /v1/tenants/shop/versions/latest', {
        token: ast.stranger,
      })
      expect(body.totalCount).toBe(1)
    })
  })

  describe('getVersion', () => {
    test('200 with what is registered, and the SDK that was seen last', async () => {
      const id = await made({ versionStr: '4.0.0', isCheckIntegrity: true })
      expect(await get(id)).toEqual({
        id,
        tenantId: 'acme',
        version: '4398046511104',
        sdkVersion: null,
        ...written({ versionStr: '4.0.0' }),
        versionLock: false,
        isCheckIntegrity: true,
        architectureIntegrities: [],
      })
      await register(id, 'x86', 'ab'.repeat(16), 2000)
      await register(id, 'arm64', 'cd'.repeat(16), 1000)
      expect(await get(id)).toMatchObject({
        sdkVersion: '1.2.2000',
        architectureIntegrities: [
          {
            architectureName: 'arm64',
            integrity: 'cd'.repeat(16),
            registeredAt: '1970-01-01T00:00:01.000Z',
            registeredBy: 'registrar',
          },
          { architectureName: 'x86' },
        ],
      })
    })

    test('404 for an unknown version and one of another tenant, alike', async () => {
      const { body } = await ast.call('GET /v1/tenants/shop/versions', { token: ast.stranger })
      const unknown = await ast.call(`GET ${tenant}/versions/${unknownId}`)
      expect(unknown).toMatchObject(failure(404, '4049'))
      const foreign = await ast.call(`GET ${tenant}/versions/${body.data[0].id}`)
      expect(foreign.body).toEqual(unknown.body)
    })

    test('401 and 403 for whom it does not concern', () =>
      expectRights(`GET ${tenant}/versions/${unknownId}`, false))
  })

  describe('updateVersions', () => {
    const update = (id: string, given: object) =>
      ast.call(`PUT ${tenant}/versions/${id}`, { body: written(given) })

    test('204: everything but app and platform is replaced, flags that are missing become false', async () => {
      const id = await made({ versionStr: '5.0.0', versionLock: true, isCheckIntegrity: true })
      await register(id, 'x86', 'ab'.repeat(16), 1000)
      expect((await update(id, { versionStr: '5.0.1', registerUserId: 'other' })).status).toBe(204)
      expect(await get(id)).toMatchObject({
        versionStr: '5.0.1',
        version: '5497558138881',
        registerUserId: 'other',
        versionLock: false,
        isCheckIntegrity: false,
        architectureIntegrities: [{ architectureName: 'x86' }],
      })
    })

    test('400 for another app or platform, 409 for a version that is there, 404 for none', async () => {
      const id = await made({ versionStr: '5.1.0' })
      expect(await update(id, { appName: 'acme_chat' })).toMatchObject(failure(400, '4000', 519))
      expect(await update(id, { platform: 'iOS' })).toMatchObject(failure(400, '4000', 519))
      expect(await update(id, { versionStr: '5.0.1' })).toMatchObject(failure(409, '4091'))
      expect((await update(id, { versionStr: '5.1.0' })).status).toBe(204)
      expect(await update(unknownId, {})).toMatchObject(failure(404, '4049'))
    })

    test('401 and 403 for whom it does not concern', () =>
      expectRights(`PUT ${tenant}/versions/${unknownId}`, true, written()))
  })

  describe('lockVersion', () => {
    test('200 with the version, locked and unlocked, as often as asked', async () => {
      const id = await made({ versionStr: '6.0.0' })
      for (const versionLock of [true, true, false]) {
        const answer = await ast.call(`PATCH ${tenant}/versions/${id}`, { body: { versionLock } })
        expect(answer).toMatchObject({ status: 200, body: { id, versionLock } })
      }
      const actions = (await ast.journal('acme')).map(({ action }) => action)
      expect(actions).toContain('app-version.locked')
      expect(actions).toContain('app-version.unlocked')
    })

    test('200 also as PUT of /lock, which nothing else is allowed', async () => {
      const id = await made({ versionStr: '6.0.1' })
      const path = `/v1/tenants/acme/versions/${id}/lock` as const
      const body = { versionLock: true }
      expect(await ast.callUnchecked(`PUT ${path}`, { body })).toMatchObject({
        status: 200,
        body: { id, versionLock: true },
      })
      expect((await ast.callUnchecked(`PUT ${path}`, { body, token: ast.reader })).status).toBe(403)
      const refused = await ast.callUnchecked(`PATCH ${path}`, { body })
      expect(refused).toMatchObject({ status: 405, headers: { allow: 'PUT' } })
    })

    test('404 for no version, 400 for no lock', async () => {
      const path = `PATCH ${tenant}/versions/${unknownId}` as const
      const answer = await ast.call(path, { body: { versionLock: true } })
      expect(answer).toMatchObject(failure(404, '4049'))
      expect((await ast.call(path, { body: {} })).status).toBe(400)
    })

    test('401 and 403 for whom it does not concern', () =>
      expectRights(`PATCH ${tenant}/versions/${unknownId}`, true, { versionLock: true }))
  })

  describe('deleteVersionById', () => {
    test('204, and what was registered is gone with it', async () => {
      const id = await made({ versionStr: '7.0.0' })
      await register(id, 'x86', 'ab'.repeat(16), 1000)
      expect((await ast.call(`DELETE ${tenant}/versions/${id}`)).status).toBe(204)
      expect(await ast.call(`DELETE ${tenant}/versions/${id}`)).toMatchObject(failure(404, '4049'))
      const { registrations } = ast.composed.storage.read.appVersions
      const place = { tenantId: 'acme', versionId: id, architecture: 'x86' }
      expect(await registrations.find(place)).toBeUndefined()
      await made({ versionStr: '7.0.0' })
    })

    test('204 of an app: its versions go with it', async () => {
      await addApp('acme', 'Short-lived')
      const id = await made({ appName: 'Short-lived' })
      await ast.core.apps.delete(testCaller('acme', ['ast:write']), 'acme', 'Short-lived')
      expect((await ast.call(`GET ${tenant}/versions/${id}`)).status).toBe(404)
    })

    test('401 and 403 for whom it does not concern', () =>
      expectRights(`DELETE ${tenant}/versions/${unknownId}`, true))
  })

  describe('deleteAppRegister', () => {
    const remove = (id: string, architecture?: string) => {
      const query = architecture === undefined ? '' : `?architectureName=${architecture}`
      return ast.call(`DELETE ${tenant}/versions/${id}/register${query}`)
    }
    const architecturesOf = async (id: string) =>
      (await get(id)).architectureIntegrities.map(
        ({ architectureName }: { architectureName: string }) => architectureName,
      )

    test('204 for one architecture, or all; 404 for one of which nothing is known', async () => {
      const id = await made({ versionStr: '8.0.0' })
      for (const name of ['arm', 'x86', 'x86_64']) await register(id, name, 'ab'.repeat(16), 1000)
      expect((await remove(id, 'x86')).status).toBe(204)
      expect(await architecturesOf(id)).toEqual(['arm', 'x86_64'])
      expect(await remove(id, 'x86')).toMatchObject(failure(404, '4040'))
      expect((await remove(id)).status).toBe(204)
      expect(await architecturesOf(id)).toEqual([])
      expect((await remove(id)).status).toBe(204)
      expect(await remove(unknownId)).toMatchObject(failure(404, '4049'))
    })

    test('401 and 403 for whom it does not concern', () =>
      expectRights(`DELETE ${tenant}/versions/${unknownId}/register`, true))
  })

  describe('listRegisteredArchitectures', () => {
    const list = (id: string) => ast.call(`GET ${tenant}/versions/${id}/architectures`)

    test('200 with the architectures by name, and since when', async () => {
      const id = await made({ versionStr: '9.0.0' })
      expect(await list(id)).toMatchObject({ status: 200, body: [] })
      await register(id, 'x86', 'ab'.repeat(16), 1000)
      await register(id, 'arm', 'ab'.repeat(16), 2000)
      expect((await list(id)).body).toEqual([
        { architectureName: 'arm', registeredAt: '1970-01-01T00:00:02.000Z' },
        { architectureName: 'x86', registeredAt: '1970-01-01T00:00:01.000Z' },
      ])
      expect(await list(unknownId)).toMatchObject(failure(404, '4049'))
    })

    test('401 and 403 for whom it does not concern', () =>
      expectRights(`GET ${tenant}/versions/${unknownId}/architectures`, false))
  })
})
