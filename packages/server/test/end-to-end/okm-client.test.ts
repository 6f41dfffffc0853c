import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestCabinet } from '../../src/surfaces/okm/cabinet.fixture.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { OkmClient } from './okm-client.ts'

const adminToken = 'administrator-of-this-test-run'
const page = readFileSync(new URL('../../../../docs/surfaces/okm.md', import.meta.url), 'utf8')
/** The shell commands of the page's last part, in order. */
const steps = [...page.matchAll(/^ {3}```sh\n(.*?)^ {3}```$/gms)].map(([, step = '']) => step)
const run = promisify(execFile)
const hasTools = ['bash', 'curl', 'sed', 'head'].every(
  (tool) => spawnSync(tool, ['--version']).status === 0,
)

let server: ServerProcess
/** Tokens by customer. */
const tokens: Record<string, string> = {}

beforeAll(async () => {
  server = await startServer({ env: { COUNTERSIGN_ADMIN_TOKEN: adminToken } })
  for (const customer of ['invu', 'acme']) {
    await administer('/api/v1/tenants', { id: customer, name: customer })
    const { data } = await administer('/okm/api/v1/tokens', {
      customer,
      scopes: ['okms:write', 'acls:write', 'acl-okms:write'],
    })
    tokens[customer] = data.access_token
  }
}, 120_000)
afterAll(() => server?.[Symbol.asyncDispose]())

/** The steps that are not the vendor's. */
async function administer(path: string, body: object): Promise<{ data: { access_token: string } }> {
  const response = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${adminToken}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${path} answered ${response.status}.`)
  return (await response.json()) as { data: { access_token: string } }
}

const config = {
  contact_type: 1,
  checkout_window: 0,
  cache_mode: true,
  pin_mode: false,
  card_reader: {},
  audit_enabled: true,
  retail_config: 2,
  polling_interval: 150,
}
const okm3 = {
  id: 'OKM3',
  serial: '0203cc1fc4123456',
  customer: 'invu',
  config,
  active: true,
  online: true,
  last_sync_time: '2024-05-14T15:29:23.638Z',
  subscribe_urls: {},
  fw_version: '01932023020111483',
  user_data: {},
}

describe.each(['/okm/v1', '/okm/api/v1'])("the vendor's page, walked under %s", (base) => {
  test('from the first request to the last', async () => {
    const client = new OkmClient(`${server.url}${base}`, tokens.invu ?? '', 'invu')
    const json = 'application/json; charset=utf-8'

    const none = await client.getAll()
    expect([none.status, none.contentType]).toEqual([200, json])
    expect(none.body).toEqual({
      status: 200,
      msg: 'OKM fetched successfully',
      data: [],
      pagination: { page: 1, results_per_page: 30, total_results: '0' },
    })

    const created = await client.create(okm3)
    expect([created.status, created.contentType]).toEqual([201, json])
    expect(created.body).toEqual({
      status: 201,
      msg: 'Okm registered successfully',
      data: { okm: okm3 },
    })
    const again = await client.create(okm3)
    expect([again.status, again.body.error_msg]).toEqual([400, 'OKM already exists'])
    const invalid = await client.create({ ...okm3, id: 'OKM5', serial: 7 })
    expect([invalid.status, invalid.body.error_msg]).toEqual([
      400,
      'Validation failed for the request',
    ])
    const okm4 = { ...okm3, id: 'OKM4', serial: '0203cc1fc4123457' }
    expect((await client.create(okm4)).status).toBe(201)

    expect((await client.getAll()).body).toEqual({
      status: 200,
      msg: 'OKM fetched successfully',
      data: [okm3, okm4],
      pagination: { page: 1, results_per_page: 30, total_results: '2' },
    })
    const paged = await client.getAll({ page: 1, resultsPerPage: 20 })
    expect(paged.body.pagination).toEqual({
      page: '1',
      results_per_page: '20',
      total_results: '2',
    })

    const one = await client.getOne('OKM3')
    expect([one.status, one.body]).toEqual([
      200,
      { status: 200, msg: 'Lock fetched successfully', data: { okm: okm3 } },
    ])
    const absent = await client.getOne('OKM9')
    expect([absent.status, absent.body.error_msg]).toEqual([404, 'OKM with id OKM9 not found'])

    const change = {
      ...okm3,
      active: false,
      config: { ...config, cache_mode: false, polling_interval: 350 },
    }
    const updated = await client.update('OKM3', change)
    expect([updated.status, updated.body]).toEqual([
      200,
      { status: 200, msg: 'Okm updated successfully', data: { okm: change } },
    ])
    const mismatch = await client.update('OKM4', change)
    expect([mismatch.status, mismatch.body.error_msg]).toEqual([400, 'OKM id mismatch'])

    const patched = await client.patch('OKM3', { active: true })
    expect([patched.status, patched.body.error_msg]).toEqual([405, 'Cannot PATCH'])

    const wrong = new OkmClient(`${server.url}${base}`, 'no-such-token', 'invu')
    expect(await wrong.getAll()).toMatchObject({
      status: 401,
      body: { error_msg: 'The accessToken is invalid or has been revoked.' },
    })
    const foreign = new OkmClient(`${server.url}${base}`, tokens.invu ?? '', 'acme')
    const refused = await foreign.delete('OKM3')
    expect([refused.status, refused.body.error_msg]).toEqual([
      400,
      'OKM with id OKM3 or acme not found',
    ])

    for (const id of ['OKM3', 'OKM4']) {
      const deleted = await client.delete(id)
      expect([deleted.status, deleted.text]).toEqual([204, ''])
    }
    const gone = await client.delete('OKM3')
    expect([gone.status, gone.body.error_msg]).toEqual([404, 'OKM with id OKM3 not found'])
  })
})

test('a cabinet that only knows what is burnt into it ends up with its lists, and its records are taken', async () => {
  const client = new OkmClient(`${server.url}/okm/api/v1`, tokens.acme ?? '', 'acme')
  const cabinet = new TestCabinet(
    {
      clock: Date.now,
      device: async (method, path, body) => {
        const response = await fetch(`${server.url}${path}`, {
          method,
          ...(body instanceof Buffer ? { body: new Uint8Array(body) } : {}),
        })
        const text = await response.text()
        return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
      },
    },
    'burnt-in',
  )
  expect(await cabinet.poll()).toBeUndefined()
  await client.create({ id: 'C1', serial: 'burnt-in', customer: 'acme' })
  const user = { user_id: 1001, pin_hash: 'a1b2', auth_time: 8, permissions: [1, 17] }
  await client.call('POST', '/acls', {
    id: 'A1',
    customer: 'acme',
    locks: ['a', 'b'],
    users: [user],
  })
  await client.call('POST', '/acl-okms/', { customer: 'acme', acl_id: 'A1', okm_id: 'C1' })

  expect(await cabinet.settle()).toEqual(['assetList', 'usersAssets', 'configUrl', 'auditUrl'])
  expect([cabinet.locks, cabinet.users.map(({ permissions }) => permissions)]).toEqual([
    ['a', 'b'],
    [[1, 17]],
  ])
  // Sent without Content-Type, as bytes.
  expect((await cabinet.upload(Buffer.alloc(100, 5))).status).toBe(204)
  const { last_sync_time, fw_version } = (await client.getOne('C1')).body.data.okm
  expect(Date.parse(last_sync_time)).toBeGreaterThan(Date.now() - 60_000)
  expect(fw_version).toBe('01932023020111482')
})

test('requests are counted under the name of the surface; switched off it is not there, at the origin neither', async () => {
  await using off = await startServer({ env: { COUNTERSIGN_SURFACES: 'dualshield' } })
  for (const path of ['/okm/api/v1/okms', '/okm/v1/config/x', '/embeddedv1/kas/config/x']) {
    expect((await fetch(`${off.url}${path}`)).status, path).toBe(404)
    expect((await fetch(`${server.url}${path}`)).status, path).not.toBe(404)
  }
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  expect(metrics).toMatch(/^countersign_http_requests_total\{surface="okm",outcome="ok"\} [1-9]/m)
})

describe('docs/surfaces/okm.md', () => {
  test.runIf(hasTools)(
    'can be followed as it is written',
    async () => {
      await using fresh = await startServer({ env: { COUNTERSIGN_ADMIN_TOKEN: adminToken } })
      const folder = mkdtempSync(join(tmpdir(), 'countersign-okm-steps-'))
      try {
        const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', steps.join('\n')], {
          cwd: folder,
          env: {
            PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`,
            HOST: fresh.url,
            ADMIN: adminToken,
          },
        })
        expect(stdout).not.toContain('"error_code"')
        expect(stdout).not.toContain('urn:countersign:problem')
        for (const answer of [
          '"msg":"Okm registered successfully"',
          '{"configUrl":"/okm/api/v1/config"}',
          '{"assetList":["0000051a00000005","0000051a00000007"]}',
          '{"auditUrl":"/okm/api/v1/audit"}',
          '"msg":"Audit record subscribed successfully"',
          '"msg":"Firmware created successfully"',
        ]) {
          expect(stdout).toContain(answer)
        }
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
    120_000,
  )
})
