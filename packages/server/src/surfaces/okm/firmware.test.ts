import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createOkmInstallation, type OkmInstallation, statusesOf } from './okm.fixture.ts'

/** The vendor's example. */
const example = {
  type: 'OKM',
  version: '01932023020111482',
  url: 'https://storage.example.com/firmware/okm-01932023020111482.bin',
}
const unknown = '421d73aa-af8f-467f-a8e8-ee1331378ea8'
const notFound = { error_code: 'NOT_FOUND', error_msg: 'The firmware entry was not found.' }
const noScope = { error_code: 'UNAUTHORIZED_ACCESS', error_msg: 'Missing required scopes' }

describe.each(engines)('firmware on %s', (engine) => {
  let okm: OkmInstallation
  let platform: { readonly token: string }
  let entryId: string

  beforeAll(async () => {
    okm = await createOkmInstallation({ engine })
    platform = { token: await okm.addAccount(null, ['firmware:write']) }
  })
  afterAll(() => okm[Symbol.asyncDispose]())

  describe('createFirmware', () => {
    test('201 for an account of the platform', async () => {
      const { status, body } = await okm.call('POST', '/firmware', example, platform)
      expect(status).toBe(201)
      entryId = body.data.id
      expect(body).toEqual({
        status: 201,
        msg: 'Firmware created successfully',
        data: { id: entryId, ...example },
      })
    })

    test('400 for a version that is there, and for a type that nobody knows', async () => {
      expect(await okm.call('POST', '/firmware', example, platform)).toMatchObject({
        status: 400,
        body: { error_code: 'ALREADY_EXISTS', error_msg: 'Firmware already exists' },
      })
      const { status, body } = await okm.call(
        'POST',
        '/firmware',
        { ...example, type: 'KAS' },
        platform,
      )
      expect([status, body.errors]).toEqual([
        400,
        [{ field: 'type', reason: 'must be OKM, IR4KEY or LORAKEY' }],
      ])
    })

    test('403 for every account of a customer: entries are of the whole service', async () => {
      expect(await okm.call('POST', '/firmware', example)).toMatchObject({
        status: 403,
        body: noScope,
      })
    })

    test('R4: 201 once when a version comes ten times at once', async () => {
      const body = { ...example, version: '01932023020111999' }
      const replies = await Promise.all(
        Array.from({ length: 10 }, () => okm.call('POST', '/firmware', body, platform)),
      )
      expect(statusesOf(replies)).toEqual([201, ...Array(9).fill(400)])
    })
  })

  describe('listFirmware', () => {
    test('200 for customers too: by type, then the newest first', async () => {
      await okm.call('POST', '/firmware', { ...example, type: 'IR4KEY', version: '1' }, platform)
      await okm.call('POST', '/firmware', { ...example, type: 'LORAKEY', version: '9' }, platform)
      await okm.call('POST', '/firmware', { ...example, type: 'LORAKEY', version: '10' }, platform)
      const { status, body } = await okm.call('GET', '/firmware')
      expect([status, body.msg]).toEqual([200, 'Firmwares fetched successfully'])
      const rows = body.data.map((one: { type: string; version: string }) => [
        one.type,
        one.version,
      ])
      expect(rows).toEqual([
        ['IR4KEY', '1'],
        ['LORAKEY', '10'],
        ['LORAKEY', '9'],
        ['OKM', '01932023020111999'],
        ['OKM', '01932023020111482'],
      ])
      const some = await okm.call('GET', '/firmware?type=LORAKEY&results_per_page=1')
      expect(some.body.data[0].version).toBe('10')
      expect(some.body.pagination).toEqual({ page: 1, results_per_page: '1', total_results: '2' })
    })
  })

  describe('getFirmware', () => {
    test('200 without a status member', async () => {
      const { status, body } = await okm.call('GET', `/firmware/${entryId}`)
      expect(status).toBe(200)
      expect(body).toEqual({
        msg: 'Firmwares fetched successfully',
        data: { id: entryId, ...example },
      })
    })

    test('404 for one that is not there, and for what is no id', async () => {
      for (const id of [unknown, 'nonsense', `urn:uuid:${unknown}`]) {
        const { status, body } = await okm.call('GET', `/firmware/${id}`)
        expect([status, body]).toEqual([404, notFound])
      }
    })
  })

  describe('updateFirmware', () => {
    test('200; 400 when the new version is there; 404; 403 for customers', async () => {
      const changed = { ...example, url: 'https://storage.example.com/firmware/moved.bin' }
      const path = `/firmware/${entryId}`
      const { status, body } = await okm.call('PUT', path, changed, platform)
      expect(status).toBe(200)
      expect(body).toEqual({
        status: 200,
        msg: 'Firmware updated successfully',
        data: { id: entryId, ...changed },
      })
      const taken = { ...example, version: '01932023020111999' }
      expect((await okm.call('PUT', path, taken, platform)).body.error_code).toBe('ALREADY_EXISTS')
      const missing = await okm.call('PUT', `/firmware/${unknown}`, example, platform)
      expect([missing.status, missing.body]).toEqual([404, notFound])
      expect((await okm.call('PUT', path, changed)).status).toBe(403)
    })
  })

  describe('deleteFirmware', () => {
    test('204 once; 403 for customers', async () => {
      const path = `/firmware/${entryId}`
      expect((await okm.call('DELETE', path)).status).toBe(403)
      const replies = await Promise.all(
        Array.from({ length: 5 }, () => okm.call('DELETE', path, undefined, platform)),
      )
      expect(statusesOf(replies)).toEqual([204, 404, 404, 404, 404])
    })
  })
})
