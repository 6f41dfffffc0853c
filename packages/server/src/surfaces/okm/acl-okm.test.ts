import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createOkmInstallation, type OkmInstallation, statusesOf } from './okm.fixture.ts'

const acl = (id: string, customer = 'invu') => ({ id, customer, users: [], locks: [] })
const link = (acl_id: string, okm_id: string, customer = 'invu') => ({ customer, acl_id, okm_id })
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const unknown = '0b3c8f3e-2f6c-4f1e-8f0a-5a8f4a4d9c21'
const notFound = { error_code: 'NOT_FOUND', error_msg: 'Error: acl-okm record not found' }

describe.each(engines)('links on %s', (engine) => {
  let okm: OkmInstallation
  let other: { readonly token: string }
  let linkId: string

  beforeAll(async () => {
    okm = await createOkmInstallation({ engine })
    other = { token: okm.tokens.acme }
    for (const id of ['acl1_cust1234', 'acl2']) await okm.call('POST', '/acls', acl(id))
    for (const id of ['okm1_cust1234', 'okm2_cust1234']) {
      await okm.call('POST', '/okms', { id, serial: id, customer: 'invu' })
    }
    await okm.call('POST', '/acls', acl('acme-acl', 'acme'), other)
    const foreign = { id: 'acme-okm', serial: 'acme-okm', customer: 'acme' }
    await okm.call('POST', '/okms', foreign, other)
  })
  afterAll(() => okm[Symbol.asyncDispose]())

  describe('createAclOkm', () => {
    test('201 on the published path with its slash; the member is message, not msg', async () => {
      const sent = link('acl1_cust1234', 'okm1_cust1234')
      const { status, body } = await okm.call('POST', '/acl-okms/', sent)
      expect(status).toBe(201)
      expect(body).toEqual({
        message: 'Resource created successfully',
        data: { id: expect.stringMatching(uuid), ...sent },
      })
      linkId = body.data.id
    })

    test('400 for the same pair; R4: 201 once when a pair comes ten times at once', async () => {
      expect(
        await okm.call('POST', '/acl-okms', link('acl1_cust1234', 'okm1_cust1234')),
      ).toMatchObject({
        status: 400,
        body: { error_code: 'ALREADY_EXISTS', error_msg: 'acl-okm already exists' },
      })
      const replies = await Promise.all(
        Array.from({ length: 10 }, () =>
          okm.call('POST', '/acl-okms', link('acl1_cust1234', 'okm2_cust1234')),
        ),
      )
      expect(statusesOf(replies)).toEqual([201, ...Array(9).fill(400)])
    })

    test('404 naming what is missing, also what another customer has', async () => {
      for (const [sent, text] of [
        [link('missing', 'okm1_cust1234'), 'ACL with id missing not found'],
        [link('acl2', 'missing'), 'OKM with id missing not found'],
        [link('acme-acl', 'okm1_cust1234'), 'ACL with id acme-acl not found'],
        [link('acl2', 'acme-okm'), 'OKM with id acme-okm not found'],
      ] as const) {
        expect(await okm.call('POST', '/acl-okms', sent)).toMatchObject({
          status: 404,
          body: { error_code: 'NOT_FOUND', error_msg: text },
        })
      }
    })

    test('400 naming what is left out; 403 for another customer', async () => {
      const { status, body } = await okm.call('POST', '/acl-okms', {
        customer: 'invu',
        acl_id: 'a',
      })
      expect([status, body.errors]).toEqual([400, [{ field: 'okm_id', reason: 'required' }]])
      const foreign = link('acme-acl', 'acme-okm', 'acme')
      expect((await okm.call('POST', '/acl-okms', foreign)).status).toBe(403)
    })
  })

  describe('listAclOkms', () => {
    test('200 by ACL, then OKM; the rows per page are a text even by default', async () => {
      await okm.call('POST', '/acl-okms', link('acl2', 'okm1_cust1234'))
      const { status, body } = await okm.call('GET', '/acl-okms?customer=invu')
      expect([status, body.message]).toEqual([200, 'Resource fetched successfully'])
      expect(body.pagination).toEqual({ page: 1, results_per_page: '30', total_results: '3' })
      const pairs = body.data.map((one: { acl_id: string; okm_id: string }) => [
        one.acl_id,
        one.okm_id,
      ])
      expect(pairs).toEqual([
        ['acl1_cust1234', 'okm1_cust1234'],
        ['acl1_cust1234', 'okm2_cust1234'],
        ['acl2', 'okm1_cust1234'],
      ])
      const paged = await okm.call('GET', '/acl-okms/?page=3&results_per_page=1')
      expect(paged.body.pagination).toEqual({
        page: '3',
        results_per_page: '1',
        total_results: '3',
      })
      expect(paged.body.data).toHaveLength(1)
      expect((await okm.call('GET', '/acl-okms', undefined, other)).body.data).toEqual([])
    })
  })

  describe('getAclOkm', () => {
    test('200 in either case of the id', async () => {
      for (const id of [linkId, linkId.toUpperCase()]) {
        const { status, body } = await okm.call('GET', `/acl-okms/${id}?customer=invu`)
        expect(status).toBe(200)
        expect(body).toEqual({
          message: 'Resource fetched successfully',
          data: { id: linkId, ...link('acl1_cust1234', 'okm1_cust1234') },
        })
      }
    })

    test('404 for one that is not there, and for another customer', async () => {
      expect(await okm.call('GET', `/acl-okms/${unknown}`)).toMatchObject({
        status: 404,
        body: notFound,
      })
      const foreign = await okm.call('GET', `/acl-okms/${linkId}`, undefined, other)
      expect(foreign).toMatchObject({ status: 404, body: notFound })
    })

    test('400 for what is no id', async () => {
      const { status, body } = await okm.call('GET', '/acl-okms/nonsense')
      expect(status).toBe(400)
      expect(body.errors).toEqual([{ field: 'id', reason: 'must be a UUID' }])
    })
  })

  describe('deleteAclOkm', () => {
    test('204 once, 404 for another customer and for what is no id', async () => {
      expect((await okm.call('DELETE', `/acl-okms/${linkId}`, undefined, other)).body).toEqual(
        notFound,
      )
      expect((await okm.call('DELETE', '/acl-okms/nonsense')).body).toEqual(notFound)
      const replies = await Promise.all(
        Array.from({ length: 5 }, () => okm.call('DELETE', `/acl-okms/${linkId}?customer=invu`)),
      )
      expect(statusesOf(replies)).toEqual([204, 404, 404, 404, 404])
    })

    test('links go with their OKM and with their ACL', async () => {
      await okm.call('DELETE', '/okms/okm1_cust1234')
      expect((await okm.call('GET', '/acl-okms')).body.pagination.total_results).toBe('1')
      await okm.call('DELETE', '/acls/acl1_cust1234')
      const { body } = await okm.call('GET', '/acl-okms')
      expect([body.pagination.total_results, body.data]).toEqual(['0', []])
    })
  })
})
