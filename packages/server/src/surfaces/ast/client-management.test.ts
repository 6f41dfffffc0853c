import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import type { TestDevice } from '#test/support/test-device.ts'
import { type ClientsInstallation, createClientsInstallation } from './clients.fixture.ts'

const unknownClient = '01FH8MDGN9W5C3RXRFNX6G164S'

describe.each(engines)('Client Management on %s', (engine) => {
  let ast: ClientsInstallation
  beforeAll(async () => {
    ast = await createClientsInstallation({ engine })
  }, 60_000)
  afterAll(() => ast[Symbol.asyncDispose]())

  const detailsOf = async ({ id }: TestDevice) => (await ast.call(`GET /astclients/${id}`)).body
  const usersOf = async ({ id }: TestDevice) =>
    (await ast.call(`GET /users?astClientId=${id}`)).body.map(
      (user: { userId: string }) => user.userId,
    )
  const eventsOf = async ({ tenantId, id }: TestDevice) => {
    const { deviceEvents } = ast.api.app.composed.storage.read
    const events = await deviceEvents.listAfter({ tenantId, deviceId: id }, '', 100)
    return events.map(({ type, data }) => ({ type, data }))
  }
  const certificateStates = async ({ tenantId, id }: TestDevice) => {
    const native = testCaller(tenantId, ['tenant:read'])
    const filters = { deviceId: id }
    const page = await ast.core.pki.certificateLists.list(native, tenantId, { filters, limit: 50 })
    return page.items.map(({ status }) => status)
  }
  const lock = (astClientId: string, lockReason = 'Locked by admin', token = ast.admin) =>
    ast.call('POST /lock', { token, body: { astClientId, lockReason } })

  describe('getLinkedClientsByUserId', () => {
    let android: TestDevice
    let other: TestDevice
    beforeAll(async () => {
      android = await ast.addDevice('lister')
      other = await ast.addDevice('lister')
      await lock(other.id)
    })
    const listOf = (...filters: string[]) => {
      const query = new URLSearchParams([
        ['userId', 'lister'] as [string, string],
        ...filters.map((one): [string, string] => ['filter', one]),
      ])
      return ast.call(`GET /astclients?${query.toString().replaceAll('+', '%20')}`)
    }
    const idsOf = async (...filters: string[]) => {
      const { status, body } = await listOf(...filters)
      expect(status).toBe(200)
      return body.map(({ astClientId }: { astClientId: string }) => astClientId)
    }

    test('200 with all clients in order of enrolment, and what an overview needs', async () => {
      const { body } = await listOf()
      expect(body).toEqual([
        {
          astClientId: android.id,
          appName: 'acme-bank',
          appPlatform: 'Android',
          appVersion: '2.4.1',
          sdkVersion: '1.0.0',
          lockState: 'NONE',
          deviceName: null,
          lastSuccessfulVerification: expect.any(Number),
        },
        expect.objectContaining({ astClientId: other.id, lockState: 'LOCKED' }),
      ])
    })

    test('200 with those that fit all of several filters', async () => {
      const both = [android.id, other.id]
      expect(await idsOf('lockState=LOCKED')).toEqual([other.id])
      expect(await idsOf('lockState!=LOCKED')).toEqual([android.id])
      expect(await idsOf('appName^=acme', 'appPlatform="ANDROID"[i]')).toEqual(both)
      expect(await idsOf('appPlatform=ANDROID')).toEqual([])
      expect(await idsOf('lockState in {NONE, UNLOCKED}', 'appVersion like "2._.%"')).toEqual([
        android.id,
      ])
      expect(await idsOf('lockState=LOCKED', 'lockState=NONE')).toEqual([])
      expect(await idsOf(`astClientId=${android.id} or lockState=LOCKED`)).toEqual(both)
      expect(await idsOf(`astClientId=${android.id} and sdkVersion=1.0.0`)).toEqual([android.id])
    })

    test('200 and empty for an unknown user and one of another tenant', async () => {
      await ast.addDevice('foreign-lister', { tenantId: 'shop' })
      for (const userId of ['never-heard', 'foreign-lister']) {
        expect(await ast.call(`GET /astclients?userId=${userId}`)).toEqual({
          status: 200,
          body: [],
        })
      }
    })

    test.each([
      'deviceName=x',
      "appName='x' or 1=1",
      'appName=',
      'appName=x;drop table device',
      '(lockState=NONE',
      'lockState<null',
      Array(65).fill('lockState=NONE').join(' or '),
    ])('400 for the filter %s, whoever is asked for', async (filter) => {
      expect((await listOf(filter)).status).toBe(400)
      const query = new URLSearchParams({ userId: 'never-heard', filter })
      expect((await ast.call(`GET /astclients?${query}`)).status).toBe(400)
    })

    test('400 without a user', async () => {
      expect((await ast.call('GET /astclients')).status).toBe(400)
    })
  })

  describe('getAstClient', () => {
    test('200 with everything that is known of the client', async () => {
      const device = await ast.addDevice('details')
      const created = ast.clock()
      ast.clock.advance(1000)
      await device.login({ pin: '9999' })
      await device.call('PATCH /device', {
        body: { name: 'Laptop-333', model: 'Huawei', osVersion: '1.0.0' },
      })
      const { status, body } = await ast.call(`GET /astclients/${device.id}`, { token: ast.reader })
      expect({ status, body }).toEqual({
        status: 200,
        body: {
          astClientId: device.id,
          appVersion: '2.4.1',
          risks: null,
          lockState: 'NONE',
          createdOn: created,
          linkedOnOrMloaUpdated: created,
          lastSuccessfulVerification: created,
          lastFailedVerification: ast.clock(),
          clientDevice: 'Huawei',
          clientOsVersion: '1.0.0',
          sdkVersion: '1.0.0',
          deviceName: 'Laptop-333',
          lockReason: null,
        },
      })
    })

    test('404 for one of another tenant and one that never was, alike; 400 for what can be none', async () => {
      const foreign = await ast.addDevice('abroad', { tenantId: 'shop' })
      const unknown = await ast.call(`GET /astclients/${unknownClient}`)
      expect(unknown).toMatchObject({ status: 404, body: { subsystem: 513 } })
      expect(await ast.call(`GET /astclients/${foreign.id}`)).toEqual(unknown)
      expect((await ast.call('GET /astclients/lower-case')).status).toBe(400)
      expect(
        (await ast.call(`GET /astclients/${foreign.id}`, { token: ast.stranger })).status,
      ).toBe(403)
    })
  })

  describe('getLinkedUsersByAstClientId', () => {
    test('200 with the linked users, the oldest link first', async () => {
      const device = await ast.addDevice('first')
      await ast.addUser('second')
      ast.clock.advance(1)
      await ast.link(device, 'second')
      const { status, body } = await ast.call(`GET /users?astClientId=${device.id}`)
      expect({ status, body }).toEqual({
        status: 200,
        body: [{ userId: 'first' }, { userId: 'second' }],
      })
    })

    test('200 with names that lead back to the same user, whatever the schemes', async () => {
      const native = testCaller('acme', ['tenant:write'])
      const device = await ast.addDevice('twin')
      // The login name of one is the external name of the other.
      await ast.addUser('other-twin')
      await ast.core.userIdentifiers.add(native, 'acme', 'other-twin', {
        scheme: 'external',
        value: 'twin',
      })
      const userSchemes = ['external', 'login']
      await ast.core.settings.update(native, 'acme', { patch: { ast: { userSchemes } } })
      const [name] = await usersOf(device)
      expect(name).toBe('default\\twin')
      const named = await ast.call(`POST /users/${encodeURIComponent(name)}/unlink`)
      expect(named.status).toBe(204)
      expect(await usersOf(device)).toEqual([])
      const initial = ['id', 'external', 'login']
      await ast.core.settings.update(native, 'acme', { patch: { ast: { userSchemes: initial } } })
    })

    test('404 for an unknown client, 400 without one', async () => {
      expect((await ast.call(`GET /users?astClientId=${unknownClient}`)).status).toBe(404)
      expect((await ast.call('GET /users')).status).toBe(400)
    })
  })

  describe('lockClient', () => {
    test('204: NONE becomes LOCKED with its reason, which a repetition replaces; the client is told and shut out', async () => {
      const device = await ast.addDevice('locked')
      expect(await detailsOf(device)).toMatchObject({ lockState: 'NONE', lockReason: null })
      expect((await lock(device.id)).status).toBe(204)
      expect(await detailsOf(device)).toMatchObject({
        lockState: 'LOCKED',
        lockReason: 'Locked by admin',
      })
      expect((await device.call('GET /device')).body.code).toBe('device_locked')
      expect((await device.login({ pin: '1234' })).body.code).toBe('device_locked')
      expect(await eventsOf(device)).toContainEqual({
        type: 'client.locked',
        data: { lockReason: 'Locked by admin' },
      })
      expect((await lock(device.id, 'Stolen')).status).toBe(204)
      expect((await detailsOf(device)).lockReason).toBe('Stolen')
    })

    test('204, and a transaction waits for another client of the user', async () => {
      const first = await ast.addDevice('two-clients')
      const second = await ast.addDevice('two-clients')
      const started = await ast.call('POST /tms', {
        body: { userId: 'two-clients', tmsData: { text: 'Pay 1 EUR' } },
      })
      const { id } = started.body
      const shown = (await first.retrieve(id)).body
      await lock(first.id)
      expect((await first.acceptSigned(shown)).body.code).toBe('device_locked')
      expect((await second.acceptSigned((await second.retrieve(id)).body)).status).toBe(200)
      expect((await ast.call(`GET /tms/${id}/result`)).body.completedBy).toBe(second.id)
    })

    test('404 for an unknown client and one of another tenant; 400 for a reason beyond 255 characters', async () => {
      const foreign = await ast.addDevice('abroad2', { tenantId: 'shop' })
      expect((await lock(unknownClient)).status).toBe(404)
      expect((await lock(foreign.id)).status).toBe(404)
      expect((await lock(foreign.id, 'x'.repeat(256))).status).toBe(400)
      expect((await ast.call('POST /lock', { body: { astClientId: foreign.id } })).status).toBe(400)
      expect((await lock(foreign.id, 'x', ast.reader)).status).toBe(403)
    })
  })

  describe('unlockClient', () => {
    test('204: LOCKED becomes UNLOCKED without a reason, and locks again; NONE stays NONE', async () => {
      const device = await ast.addDevice('unlocked')
      const unlock = () => ast.call(`DELETE /lock/${device.id}`)
      expect((await unlock()).status).toBe(204)
      expect((await detailsOf(device)).lockState).toBe('NONE')
      await lock(device.id)
      expect((await unlock()).status).toBe(204)
      expect((await unlock()).status).toBe(204)
      expect(await detailsOf(device)).toMatchObject({ lockState: 'UNLOCKED', lockReason: null })
      expect((await device.login({ pin: '1234' })).status).toBe(200)
      await lock(device.id)
      expect((await detailsOf(device)).lockState).toBe('LOCKED')
    })

    test('404 for an unknown client', async () => {
      expect((await ast.call(`DELETE /lock/${unknownClient}`)).status).toBe(404)
    })
  })

  describe('unlinkUser', () => {
    const unlink = (userId: string, astClientId: string) =>
      ast.call('POST /unlink', { body: { userId, astClientId } })

    test('204: the link is gone, its certificates are revoked, its token is void, the client is told and stays', async () => {
      const device = await ast.addDevice('unlinked')
      await ast.addUser('stays')
      await ast.link(device, 'stays')
      expect(await certificateStates(device)).toEqual(['ISSUED'])
      expect((await unlink('unlinked', device.id)).status).toBe(204)
      expect(await usersOf(device)).toEqual(['stays'])
      expect(await certificateStates(device)).toEqual(['REVOKED'])
      expect(await eventsOf(device)).toContainEqual({
        type: 'client.disconnect',
        data: { reason: 'unlinked' },
      })
      expect((await device.call('GET /device')).status).toBeGreaterThanOrEqual(401)
      expect((await device.login({ pin: '1234' })).body.code).toBe('not_linked')
      expect((await device.login({ userId: 'stays' })).status).toBe(200)
    })

    test('404 for a link that is not there, an unknown user and an unknown client', async () => {
      const device = await ast.addDevice('once')
      expect((await unlink('once', device.id)).status).toBe(204)
      expect((await unlink('once', device.id)).status).toBe(404)
      expect((await unlink('never-heard', device.id)).status).toBe(404)
      expect((await unlink('once', unknownClient)).status).toBe(404)
    })
  })

  describe('deleteAstClient', () => {
    test('409 while somebody is linked, 204 afterwards, then 404; it can never log in again', async () => {
      const device = await ast.addDevice('deleted')
      const remove = () => ast.call(`DELETE /astclients/${device.id}`)
      expect(await remove()).toMatchObject({ status: 409, body: { subsystem: 513 } })
      expect((await device.call('GET /device')).status).toBe(200)
      await ast.call('POST /users/deleted/unlink')
      expect((await detailsOf(device)).linkedOnOrMloaUpdated).toBeNull()
      expect((await remove()).status).toBe(204)
      expect((await remove()).status).toBe(404)
      expect((await ast.call(`GET /astclients/${device.id}`)).status).toBe(404)
      expect((await device.login({ pin: '1234' })).body.code).toBe('client_invalid')
    })

    test('204 once of three at the same time', async () => {
      const device = await ast.addDevice('raced')
      await ast.call('POST /users/raced/unlink')
      const answers = await Promise.all(
        [1, 2, 3].map(() => ast.call(`DELETE /astclients/${device.id}`)),
      )
      expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([204, 404, 404])
    })

    test('a client that links a user while it is deleted either stays with the link or goes without it', async () => {
      for (let round = 0; round < 4; round++) {
        const device = await ast.addDevice(`linker-${round}`)
        await ast.addUser(`linkee-${round}`)
        // The session goes on without a user.
        await ast.call(`POST /users/linker-${round}/unlink`)
        await device.login({ userId: null })
        const [deleted] = await Promise.all([
          ast.call(`DELETE /astclients/${device.id}`),
          ast.link(device, `linkee-${round}`).catch(() => {}),
        ])
        const { read } = ast.api.app.composed.storage
        const links = await read.deviceLinks.listOfDevice('acme', device.id, 10)
        expect(links.length).toBe(deleted.status === 204 ? 0 : 1)
      }
    })
  })

  describe('disconnectUserClients', () => {
    const isConnected = async (device: TestDevice) =>
      (await device.call('GET /device')).status === 200

    test('202: tokens are void and clients told, all, some, or all but some; they may log in again', async () => {
      const a = await ast.addDevice('connected')
      const b = await ast.addDevice('connected')
      const disconnect = (body?: object) => ast.call('POST /users/connected/disconnect', { body })
      const clientIds = [a.id, unknownClient]
      expect((await disconnect({ disconnectType: 'SPECIFIED_CLIENTS', clientIds })).status).toBe(
        202,
      )
      expect([await isConnected(a), await isConnected(b)]).toEqual([false, true])
      expect(await eventsOf(a)).toEqual([
        { type: 'client.disconnect', data: { reason: 'backend' } },
      ])
      expect((await a.login({ pin: '1234' })).status).toBe(200)
      await disconnect({ disconnectType: 'ALL_EXCEPT_SPECIFIED_CLIENTS', clientIds })
      expect([await isConnected(a), await isConnected(b)]).toEqual([true, false])
      await b.login({ pin: '1234' })
      expect((await disconnect()).status).toBe(202)
      expect([await isConnected(a), await isConnected(b)]).toEqual([false, false])
    })

    test('400 for a selection of nothing; 202 for an unknown user', async () => {
      const disconnect = (body: object) => ast.call('POST /users/connected/disconnect', { body })
      expect((await disconnect({ disconnectType: 'SPECIFIED_CLIENTS' })).status).toBe(400)
      expect(
        (await disconnect({ disconnectType: 'SPECIFIED_CLIENTS', clientIds: [] })).status,
      ).toBe(400)
      expect((await disconnect({ disconnectType: 'EVERYTHING' })).status).toBe(400)
      expect((await ast.call('POST /users/never-heard/disconnect')).status).toBe(202)
    })
  })

  describe('unlinkUserClients', () => {
    test('204 for the selected ones; those of others that are named stay', async () => {
      const [a, b, c] = [
        await ast.addDevice('leaving'),
        await ast.addDevice('leaving'),
        await ast.addDevice('staying'),
      ]
      const unlink = (unlinkType: string, ...clients: TestDevice[]) =>
        ast.call('POST /users/leaving/unlink', {
          body: { unlinkType, clientIds: clients.map(({ id }) => id) },
        })
      expect((await unlink('SPECIFIED_CLIENTS', a, c)).status).toBe(204)
      expect([await usersOf(a), await usersOf(b), await usersOf(c)]).toEqual([
        [],
        ['leaving'],
        ['staying'],
      ])
      expect((await unlink('ALL_EXCEPT_SPECIFIED_CLIENTS', b)).status).toBe(204)
      expect(await usersOf(b)).toEqual(['leaving'])
      expect((await ast.call('POST /users/leaving/unlink')).status).toBe(204)
      expect(await usersOf(b)).toEqual([])
      expect((await ast.call('POST /users/never-heard/unlink')).status).toBe(204)
    })

    test('404 for a transaction to whoever has no client left', async () => {
      await ast.addDevice('alone')
      const body = { userId: 'alone', tmsData: { text: 'Pay 1 EUR' } }
      expect((await ast.call('POST /tms', { body })).status).toBe(202)
      await ast.call('POST /users/alone/unlink')
      expect((await ast.call('POST /tms', { body })).status).toBe(404)
    })
  })

  describe('deleteUserData', () => {
    test('204: own clients are gone, shared ones unlinked, transactions and messages cancelled; again and for nobody 204', async () => {
      const own = await ast.addDevice('erased')
      const shared = await ast.addDevice('sharer')
      await ast.link(shared, 'erased')
      const started = await ast.call('POST /tms', {
        body: { userId: 'erased', tmsData: { text: 'Pay 1 EUR' } },
      })
      const untouched = await ast.call('POST /tms', {
        body: { userId: 'sharer', tmsData: { text: 'Pay 1 EUR' } },
      })
      await ast.call('POST /display-message', {
        body: { userId: 'erased', displayMessageData: { text: 'Hello' } },
      })
      const erase = () => ast.call('DELETE /users/erased')
      expect((await erase()).status).toBe(204)
      expect((await ast.call(`GET /astclients/${own.id}`)).status).toBe(404)
      expect(await usersOf(shared)).toEqual(['sharer'])
      const { open } = ast.api.app.composed.storage.read.approvals
      const after = { tenantId: 'acme', userId: 'erased', afterId: '' }
      expect(await open.listOfUser(after, 10)).toEqual([])
      expect((await ast.call(`GET /tms/${started.body.id}/status`)).body.status).toBe('CANCELLED')
      expect((await ast.call(`GET /tms/${untouched.body.id}/status`)).body.status).toBe('STARTED')
      expect((await erase()).status).toBe(204)
      expect((await ast.call('DELETE /users/never-heard')).status).toBe(204)
    })

    test('204 in one tenant leaves the user of that name in another alone', async () => {
      const foreign = await ast.addDevice('namesake', { tenantId: 'shop' })
      await ast.addDevice('namesake')
      expect((await ast.call('DELETE /users/namesake')).status).toBe(204)
      const path = `GET /v1/tenants/shop/astclients/${foreign.id}` as const
      expect((await ast.call(path, { token: ast.stranger })).status).toBe(200)
      expect((await ast.call('DELETE /users/namesake', { token: ast.reader })).status).toBe(403)
    })
  })
})
