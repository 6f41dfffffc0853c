import { createPublicKey } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { createInstallation, type Installation } from './keyless.fixture.ts'

describe.each(engines)('devices on %s', (engine) => {
  let installation: Installation
  beforeAll(async () => {
    installation = await createInstallation({ engine })
  })
  afterAll(() => installation[Symbol.asyncDispose]())

  const call: Installation['call'] = (...given) => installation.call(...given)
  const list = async (userId: string) => (await call(`GET /v2/users/${userId}/devices`)).body
  const remove = (userId: string, point: string, key?: string) =>
    call(
      `DELETE /v2/users/${userId}/devices/${encodeURIComponent(point)}`,
      key === undefined ? {} : { key },
    )

  describe('listUserDevices', () => {
    test('200 with the key as a point and as PEM, both the device’s own', async () => {
      const { device, userId } = await installation.enrol()
      const [shown] = await list(userId)
      expect(shown).toEqual({
        userId,
        sdkCustomerId: 1,
        publicSigningKey: shown.publicSigningKey,
        publicEncryptionKey: shown.publicEncryptionKey,
        state: 'ACTIVE',
        info: '2',
        createdAt: '2026-11-21T10:00:00',
        osVersion: 'Android 16',
        sdkVersion: '1.0.0',
      })
      const pem = Buffer.from(shown.publicEncryptionKey, 'base64').toString()
      const jwk = createPublicKey(pem).export({ format: 'jwk' })
      expect(await calculateJwkThumbprint(jwk)).toBe(device.deviceKey.thumbprint)
      const point = Buffer.from(shown.publicSigningKey, 'base64')
      expect(point.subarray(1).toString('base64url')).toBe(
        Buffer.concat([jwk.x, jwk.y].map((part) => Buffer.from(part ?? '', 'base64url'))).toString(
          'base64url',
        ),
      )
    })

    test('200 in order of enrolment; an empty list for a user without; 404 for unknown and foreign users', async () => {
      const { device, userId, nativeId } = await installation.enrol()
      const { device: other } = await installation.enrol({ nativeId })
      expect(await list(userId)).toHaveLength(2)
      expect(device.id < other.id).toBe(true)
      expect(await list(await installation.addUser())).toEqual([])
      expect(await call('GET /v2/users/FFFFFFFFFFFFFFFF/devices')).toMatchObject({ status: 404 })
      const foreign = await call(`GET /v2/users/${userId}/devices`, {
        key: installation.keys.other,
      })
      expect(foreign).toMatchObject({ status: 404 })
    })
  })

  describe('deleteUserDevice', () => {
    test('200 once: the device is out at once, stays listed as DELETED, and its operations stay', async () => {
      const { device, userId } = await installation.enrol()
      await call(`POST /v2/users/${userId}/operations`, {
        body: { operationId: `stays-${engine}` },
      })
      const [shown] = await list(userId)
      installation.clock.advance(1500)
      expect(await remove(userId, shown.publicSigningKey)).toMatchObject({
        status: 200,
        body: { success: true },
      })
      expect((await device.call('GET /approvals')).status).toBeGreaterThanOrEqual(401)
      expect((await device.login()).status).toBeGreaterThanOrEqual(400)
      const [gone] = await list(userId)
      expect(gone).toMatchObject({ publicSigningKey: shown.publicSigningKey, state: 'DELETED' })
      expect(gone.deletedAt > gone.createdAt).toBe(true)
      expect(await remove(userId, shown.publicSigningKey)).toMatchObject({
        status: 404,
        body: { code: 10404 },
      })
      expect((await call(`GET /v2/users/${userId}/operations/pending`)).body).toHaveLength(1)
    })

    test('R4: of ten at once one is 200', async () => {
      const { userId } = await installation.enrol()
      const [{ publicSigningKey }] = await list(userId)
      const replies = await Promise.all(
        Array.from({ length: 10 }, () => remove(userId, publicSigningKey)),
      )
      expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
      expect(replies.filter(({ status }) => status === 404)).toHaveLength(9)
    })

    test('404 for the device of another user and for another customer; it works on', async () => {
      const { device, userId } = await installation.enrol()
      const [{ publicSigningKey }] = await list(userId)
      const another = await installation.enrol()
      const stranger = await installation.addUser({ tenantId: 'other' })
      expect(await remove(another.userId, publicSigningKey)).toMatchObject({ status: 404 })
      expect(await remove(stranger, publicSigningKey, installation.keys.other)).toMatchObject({
        status: 404,
      })
      expect(await remove(userId, publicSigningKey, installation.keys.other)).toMatchObject({
        status: 404,
      })
      expect(await device.call('GET /approvals')).toMatchObject({ status: 200 })
    })

    test('200 takes a device that is somebody else’s too only from this user', async () => {
      const { device, userId } = await installation.enrol()
      const guest = await installation.addUser({ id: `guest-${engine}` })
      const { secret } = await installation.core.enrolmentCodes.create(
        testCaller('acme', ['tenant:write']),
        'acme',
        { user: { id: `guest-${engine}` } },
      )
      expect(await device.link(secret.code, { pin: '9999' })).toMatchObject({ status: 201 })
      const [{ publicSigningKey }] = await list(guest)
      expect(await remove(guest, publicSigningKey)).toMatchObject({ status: 200 })
      expect(await list(guest)).toMatchObject([{ state: 'DELETED' }])
      expect(await list(userId)).toMatchObject([{ state: 'ACTIVE' }])
      expect(await device.call('GET /approvals')).toMatchObject({ status: 200 })
    })

    test('400 for what is no key, 404 for a point off the curve', async () => {
      const { userId } = await installation.enrol()
      const [{ publicSigningKey }] = await list(userId)
      const lowerLast = `${publicSigningKey.slice(0, -1)}A`
      for (const key of [
        'x',
        lowerLast,
        publicSigningKey.replace('=', ''),
        `A${publicSigningKey.slice(1)}`,
      ]) {
        expect(await remove(userId, key)).toMatchObject({ status: 400 })
      }
      const offCurve = Buffer.alloc(65, 1)
      offCurve[0] = 4
      expect(await remove(userId, offCurve.toString('base64'))).toMatchObject({ status: 404 })
    })
  })

  describe('deleteUser', () => {
    test('200: devices, open operations and the external user go; used operation ids stay blocked', async () => {
      const { device, userId, nativeId } = await installation.enrol()
      const externalUserId = `gone-${engine}`
      await call(`POST /v2/users/${userId}/external-user`, { body: { externalUserId } })
      const operationId = `gone-${engine}`
      await call(`POST /v2/users/${userId}/operations`, { body: { operationId } })
      const { id } = await installation.core.approvals.getByReference(
        testCaller('acme', ['tenant:read']),
        'acme',
        operationId,
      )
      expect(await call(`DELETE /v2/users/${userId}`)).toMatchObject({
        status: 200,
        body: { success: true },
      })
      for (const target of [
        `DELETE /v2/users/${userId}`,
        `GET /v2/users/${userId}/devices`,
        `GET /v2/users/${userId}/operations/pending`,
        `GET /v2/users/${userId}/authentications`,
        `GET /v2/operations/${operationId}`,
        `GET /v2/external-users/${externalUserId}/users`,
        `GET /v2/external-users/${externalUserId}/authentications`,
      ] as const) {
        expect(await call(target), target).toMatchObject({ status: 404 })
      }
      expect((await device.login()).status).toBeGreaterThanOrEqual(400)
      const native = testCaller('acme', ['tenant:read'])
      expect(await installation.core.approvals.get(native, 'acme', id)).toMatchObject({
        status: 'CANCELLED',
      })
      await expect(installation.core.devices.get(native, 'acme', device.id)).rejects.toThrow()
      await expect(installation.core.users.get(native, 'acme', nativeId)).rejects.toThrow()
      const another = await installation.addUser()
      const again = await call(`POST /v2/users/${another}/operations`, { body: { operationId } })
      expect(again).toMatchObject({ status: 409 })
    })

    test('the id is nobody’s ever again, and a device that others use works on for them', async () => {
      const { device, userId } = await installation.enrol()
      const guest = await installation.addUser({ id: `leaving-${engine}` })
      const { secret } = await installation.core.enrolmentCodes.create(
        testCaller('acme', ['tenant:write']),
        'acme',
        { user: { id: `leaving-${engine}` } },
      )
      await device.link(secret.code, { pin: '9999' })
      expect(await call(`DELETE /v2/users/${guest}`)).toMatchObject({ status: 200 })
      expect(await device.call('GET /approvals')).toMatchObject({ status: 200 })
      expect(await list(userId)).toMatchObject([{ state: 'ACTIVE' }])
      await expect(installation.addUser({ keyless: guest })).rejects.toThrow('taken')
    })

    test('404 for a user of another customer, who stays', async () => {
      const { userId } = await installation.enrol()
      expect(
        await call(`DELETE /v2/users/${userId}`, { key: installation.keys.other }),
      ).toMatchObject({ status: 404 })
      expect(await list(userId)).toHaveLength(1)
    })
  })
})
