import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import type { TestDevice } from '#test/support/test-device.ts'
import { type ClientsInstallation, createClientsInstallation } from './clients.fixture.ts'

const text = 'Pay 500.00 EUR to Müller GmbH, DE02 1203 0000 0000 2020 51'

describe.each(engines)('Message Sign on %s', (engine) => {
  let ast: ClientsInstallation
  let device: TestDevice
  beforeAll(async () => {
    ast = await createClientsInstallation({ engine })
    device = await ast.addDevice('jsmith')
  }, 60_000)
  afterAll(() => ast[Symbol.asyncDispose]())

  const start = (members: object = {}, token?: string) =>
    ast.call('POST /tms', {
      body: { userId: 'jsmith', tmsData: { text }, ...members },
      ...(token === undefined ? {} : { token }),
    })
  const startedId = async (members: object = {}): Promise<string> => {
    const { status, body } = await start(members)
    if (status !== 202) throw new Error(JSON.stringify(body))
    return body.id
  }
  const statusOf = async (id: string) => (await ast.call(`GET /tms/${id}/status`)).body.status
  /** Fetches and answers; @returns what the device was shown. */
  const accept = async (id: string, by: TestDevice = device) => {
    const shown = (await by.retrieve(id)).body
    expect((await by.acceptSigned(shown)).status).toBe(200)
    return Buffer.from(shown.content.bytes, 'base64')
  }

  describe('startTms', () => {
    test('202 with the state STARTED, the given timers, and what was filtered by', async () => {
      const filters = {
        appFilter: { appName: 'acme-bank', platform: 'Android', versionStr: '2.4.1' },
        astClientIds: [device.id, device.id],
      }
      const given = { retrievalTimeout: 20, tmsTimeout: 30, ...filters }
      expect(await start(given)).toEqual({
        status: 202,
        body: {
          id: expect.stringMatching(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/),
          status: 'STARTED',
          startedAt: '2026-11-21T10:00:00.000Z',
          retrievalTimeout: 20,
          tmsTimeout: 30,
          userId: 'jsmith',
          appFilter: filters.appFilter,
          astClientIds: [device.id],
        },
      })
    })

    test('202 with 300 and 600 seconds, whatever the settings of the tenant are', async () => {
      const native = testCaller('acme', ['tenant:write'])
      const settings = { approvals: { retrievalSeconds: 7, decisionSeconds: 8 } }
      await ast.core.settings.update(native, 'acme', { patch: settings })
      const { body } = await start()
      expect(body).toMatchObject({ retrievalTimeout: 300, tmsTimeout: 600 })
      expect(body).not.toHaveProperty('retrievedAt')
      expect(body).not.toHaveProperty('appFilter')
    })

    test('202 with placeholders filled: the device shows and signs the filled text and gets the data', async () => {
      const data = { amount: '5 < 6 & "7"', payee: { name: '{{amount}}' }, count: 3, urgent: true }
      const tmsData = {
        text: 'Pay {{amount}} to {{payee.name}}, {{{count}}} times{{! often }}: {{& urgent }}',
        data,
      }
      const { content } = (await device.retrieve(await startedId({ tmsData }))).body
      const shown = JSON.parse(Buffer.from(content.bytes, 'base64').toString())
      expect(shown).toMatchObject({
        text: 'Pay 5 < 6 & "7" to {{amount}}, 3 times: true',
        external: false,
        data,
      })
    })

    test('202 with braces in a text without data: it is shown as it is', async () => {
      const { content } = (await device.retrieve(await startedId({ tmsData: { text: '{{a}}' } })))
        .body
      expect(JSON.parse(Buffer.from(content.bytes, 'base64').toString()).text).toBe('{{a}}')
    })

    test.each([
      ['a placeholder without a value', { text: 'Pay {{amount}}', data: { amout: 1 } }],
      ['one whose value is an object', { text: 'Pay {{a}}', data: { a: { b: 1 } } }],
      ['one whose value is null', { text: 'Pay {{a}}', data: { a: null } }],
      ['one whose value is empty', { text: 'Pay {{a}}', data: { a: '' } }],
      ['one that asks for what every object has', { text: '{{constructor}}', data: {} }],
      ['the rest of Mustache', { text: '{{#a}}x{{/a}}', data: { a: true } }],
      ['a text of spaces', { text: '  \n ' }],
      ['a text of nothing but a comment', { text: '{{! nothing }}', data: {} }],
      ['a template that there is not', { text: 'com.acme.transfer', external: true }],
      ['10,001 characters', { text: 'x'.repeat(10_001) }],
      ['10,001 characters after filling', { text: '{{a}}{{a}}', data: { a: 'x'.repeat(6000) } }],
      [
        '101 members',
        { text, data: Object.fromEntries([...Array(101).keys()].map((n) => [n, n])) },
      ],
      ['16 KiB of data', { text, data: { a: 'x'.repeat(16_400) } }],
    ])('400 with %s', async (_what, tmsData) => {
      const { status, body } = await start({ tmsData })
      expect({ status, ...body }).toMatchObject({ status: 400, code: '4000' })
    })

    test.each([
      ['a timer of 31 days', { retrievalTimeout: 2_678_400 }],
      ['a second timer of 31 days', { tmsTimeout: 2_678_400 }],
      ['an age of more than a day', { requireFreshnessOfAuthentication: 86_401 }],
      ['an age below -1', { requireFreshnessOfAuthentication: -2 }],
      ['a timer of no time', { retrievalTimeout: 0 }],
      [
        '101 clients',
        {
          astClientIds: Array.from({ length: 101 }, (_, n) => `01FH8MDGN9W5C3RXRFNX6G${1000 + n}`),
        },
      ],
      ['a note of more than 4 KiB', { auditMessage: 'x'.repeat(5000) }],
    ])('400 with %s', async (_what, members) => {
      expect((await start(members)).status).toBe(400)
    })

    test('404 for an unknown user, one of another tenant, and one without a fitting client', async () => {
      await ast.addUser('nobodys')
      await ast.addDevice('foreign', { tenantId: 'shop' })
      const unknown = await start({ userId: 'never-heard' })
      expect(unknown).toMatchObject({ status: 404, body: { subsystem: 516 } })
      expect(await start({ userId: 'foreign' })).toEqual(unknown)
      expect((await start({ userId: 'nobodys' })).status).toBe(404)
      expect((await start({ appFilter: { appName: 'other' } })).status).toBe(404)
      expect((await start({ astClientIds: ['01FH8MDGN9W5C3RXRFNX6G164S'] })).status).toBe(404)
      const wrongVersion = { appName: 'acme-bank', versionStr: '2.4.2' }
      expect((await start({ appFilter: wrongVersion })).status).toBe(404)
    })

    test('202 for users by every scheme of the settings, whose first one names them in replies', async () => {
      const native = testCaller('acme', ['tenant:write'])
      await ast.core.userIdentifiers.add(native, 'acme', 'jsmith', {
        scheme: 'external',
        value: 'E-77',
      })
      const setSchemes = (userSchemes: string[]) =>
        ast.core.settings.update(native, 'acme', { patch: { ast: { userSchemes } } })
      expect((await start({ userId: 'E-77' })).body.userId).toBe('jsmith')
      await setSchemes(['external', 'login'])
      expect((await start({ userId: 'JSmith' })).body.userId).toBe('E-77')
      await setSchemes(['id', 'external', 'login'])
    })

    test('403 with the right to read alone, 403 for another tenant', async () => {
      expect((await start({}, ast.reader)).status).toBe(403)
      expect((await start({}, ast.stranger)).status).toBe(403)
    })

    test('202 with a note that only the journal has', async () => {
      const id = await startedId({ auditMessage: ['any', { json: null }] })
      const auditor = testCaller('acme', ['audit:read'])
      const query = { limit: 1, order: 'desc', action: 'approval.created' } as const
      const newest = async () => {
        const { items } = await ast.core.journal.list(auditor, 'acme', query)
        return JSON.parse(items[0] ?? '{}')
      }
      // Records get their place in the chain behind the request.
      await expect.poll(newest, { timeout: 10_000 }).toMatchObject({
        target: { id },
        detail: { note: { auditMessage: ['any', { json: null }] } },
      })
    })

    test('400 for a push of more than the native form takes', async () => {
      expect((await start({ push: { title: 'x'.repeat(256) } })).status).toBe(400)
      expect((await start({ push: { title: null, body: 'x'.repeat(1024) } })).status).toBe(202)
      expect((await start({ push: { skip: true, title: 'x' } })).status).toBe(202)
    })
  })

  describe('getTmsStatus', () => {
    test('200 from STARTED over DOWNLOADED to ACCEPTED, with the times of each step', async () => {
      const id = await startedId()
      expect(await statusOf(id)).toBe('STARTED')
      ast.clock.advance(10_000)
      const shown = (await device.retrieve(id)).body
      const retrievedAt = new Date(ast.clock()).toISOString()
      expect((await ast.call(`GET /tms/${id}/status`)).body).toMatchObject({
        status: 'DOWNLOADED',
        retrievedAt,
      })
      ast.clock.advance(5_000)
      expect((await device.acceptSigned(shown)).status).toBe(200)
      const { body } = await ast.call(`GET /tms/${id}/status`, { token: ast.reader })
      const completedAt = new Date(ast.clock()).toISOString()
      expect(body).toMatchObject({ status: 'ACCEPTED', retrievedAt, completedAt })
    })

    test('200 with TIMEOUT at the very end of the first timer, and of the second', async () => {
      const first = await startedId({ retrievalTimeout: 30 })
      const second = await startedId({ retrievalTimeout: 30, tmsTimeout: 60 })
      ast.clock.advance(29_999)
      await device.login({ pin: '1234' })
      expect((await device.retrieve(second)).status).toBe(200)
      expect(await statusOf(first)).toBe('STARTED')
      ast.clock.advance(1)
      expect(await statusOf(first)).toBe('TIMEOUT')
      ast.clock.advance(59_998)
      expect(await statusOf(second)).toBe('DOWNLOADED')
      ast.clock.advance(1)
      expect(await statusOf(second)).toBe('TIMEOUT')
      const reason = async (id: string) =>
        (await ast.call(`GET /tms/${id}/result`)).body.failureReason.reason
      expect(await reason(first)).toBe('RETRIEVAL_TIMEOUT')
      expect(await reason(second)).toBe('COMPLETION_TIMEOUT')
    })

    test('404 for another tenant, an unknown id, and a display message', async () => {
      const id = await startedId()
      const path = `GET /v1/tenants/shop/tms/${id}/status` as const
      expect((await ast.call(path, { token: ast.stranger })).status).toBe(404)
      const unknown = await ast.call('GET /tms/01F6MJ6J1AA8HWB7G6XRJB709E/status')
      expect(unknown).toMatchObject({ status: 404, body: { code: '4045', subsystem: 516 } })
      const message = await ast.call('POST /display-message', {
        body: { userId: 'jsmith', displayMessageData: { text } },
      })
      expect((await ast.call(`GET /tms/${message.body.id}/status`)).status).toBe(404)
    })

    test('200 for what the native API asked with two timers, 404 for conditions that AST has no words for', async () => {
      const native = testCaller('acme', ['tenant:write', 'verify'])
      const timeouts = { retrievalSeconds: 60, decisionSeconds: 60 }
      const ask = async (more: object) =>
        (
          await ast.core.approvals.create(native, 'acme', {
            user: { id: 'jsmith' },
            text,
            timeouts,
            ...more,
          })
        ).id
      expect(await statusOf(await ask({}))).toBe('STARTED')
      const inexpressible = [
        { timeouts: { ...timeouts, totalSeconds: 60 } },
        { timeouts: { ...timeouts, decisionSeconds: null } },
        { devices: { platform: 'Android' } },
        { kind: 'MESSAGE' },
      ]
      for (const more of inexpressible) {
        expect((await ast.call(`GET /tms/${await ask(more)}/status`)).status).toBe(404)
      }
    })
  })

  describe('getTmsResult', () => {
    test('200 with SignedData that openssl verifies over the very bytes that were shown', async () => {
      const id = await startedId()
      const shown = await accept(id)
      const { status, body } = await ast.call(`GET /tms/${id}/result`)
      expect(status).toBe(200)
      expect(body).toMatchObject({ info: { id, status: 'ACCEPTED' }, completedBy: device.id })
      expect(body).not.toHaveProperty('failureReason')
      expect(opensslContent(body.signedData, device.chain)).toEqual(shown)
    })

    test('412 before it is over', async () => {
      const id = await startedId()
      expect(await ast.call(`GET /tms/${id}/result`)).toMatchObject({
        status: 412,
        body: { subsystem: 516 },
      })
      await device.retrieve(id)
      expect((await ast.call(`GET /tms/${id}/result`)).status).toBe(412)
    })

    test.each([
      [{ decision: 'reject' }, 'REJECTED', 'USER_REJECTED'],
      [{ decision: 'reject', reason: 'suspicious' }, 'REJECTED', 'USER_REJECTED'],
      [{ decision: 'reject', reason: 'client_failure' }, 'REJECTED', 'CLIENT_FAILURE'],
      [{ decision: 'timeout' }, 'TIMEOUT', 'COMPLETION_TIMEOUT'],
    ])('200 without a signature after %o', async (decision, state, reason) => {
      const id = await startedId()
      await device.retrieve(id)
      expect((await device.decide(id, decision)).status).toBe(200)
      const { body } = await ast.call(`GET /tms/${id}/result`)
      expect(body).toMatchObject({ info: { status: state }, failureReason: { reason } })
      expect(body).not.toHaveProperty('signedData')
    })

    test('200 for one client of two that answer at once; the other is told that it is over', async () => {
      const second = await ast.addDevice('jsmith')
      const id = await startedId()
      const shown = await Promise.all([device.retrieve(id), second.retrieve(id)])
      const answers = await Promise.all([
        device.acceptSigned(shown[0].body),
        second.acceptSigned(shown[1].body),
      ])
      expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409])
      const winner = answers[0].status === 200 ? device : second
      expect((await ast.call(`GET /tms/${id}/result`)).body.completedBy).toBe(winner.id)
      await ast.call(`POST /users/jsmith/unlink`, {
        body: { unlinkType: 'SPECIFIED_CLIENTS', clientIds: [second.id] },
      })
    })

    test('200 only for an answer whose token has the scope that was asked for', async () => {
      const id = await startedId({ requireExplicitAuthentication: true })
      const shown = (await device.retrieve(id)).body
      expect(shown.requirements.scope).toBe('tms')
      expect((await device.acceptSigned(shown)).body.code).toBe('scope_missing')
      expect(await statusOf(id)).toBe('DOWNLOADED')
      await device.login({ pin: '1234', scope: 'tms' })
      expect((await device.acceptSigned(shown)).status).toBe(200)
      expect(await statusOf(id)).toBe('ACCEPTED')
    })

    test.each([0, 2, 60])(
      '200 only for an answer after a login at most %i seconds old',
      async (x) => {
        await device.login({ pin: '1234' })
        ast.clock.advance((Math.max(x, 2) + 1) * 1000)
        const id = await startedId({ requireFreshnessOfAuthentication: x })
        const shown = (await device.retrieve(id)).body
        expect((await device.acceptSigned(shown)).body.code).toBe('authentication_too_old')
        expect(await statusOf(id)).toBe('DOWNLOADED')
        await device.login({ pin: '1234' })
        expect((await device.acceptSigned(shown)).status).toBe(200)
      },
    )

    test('404 when the time for results is over; the native API still has it', async () => {
      const id = await startedId()
      await accept(id)
      ast.clock.advance(3_599_999)
      expect((await ast.call(`GET /tms/${id}/result`)).status).toBe(200)
      ast.clock.advance(1)
      expect((await ast.call(`GET /tms/${id}/result`)).status).toBe(404)
      expect((await ast.call(`GET /tms/${id}/status`)).status).toBe(404)
      expect((await ast.call(`DELETE /tms/${id}`)).status).toBe(404)
      const native = testCaller('acme', ['tenant:read'])
      expect((await ast.core.approvals.get(native, 'acme', id)).status).toBe('APPROVED')
      await device.login({ pin: '1234' })
    })
  })

  describe('cancelTms', () => {
    test('204 once while it runs, then 409; the device is told', async () => {
      const id = await startedId()
      const answers = await Promise.all([1, 2, 3].map(() => ast.call(`DELETE /tms/${id}`)))
      expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([204, 409, 409])
      expect((await ast.call(`DELETE /tms/${id}`)).status).toBe(409)
      expect((await ast.call(`GET /tms/${id}/result`)).body).toMatchObject({
        info: { status: 'CANCELLED' },
        failureReason: { reason: 'CANCELLED' },
      })
      expect((await device.retrieve(id)).body.status).toBe('CANCELLED')
    })

    test('409 after acceptance and after its time', async () => {
      const accepted = await startedId()
      await accept(accepted)
      const late = await startedId({ retrievalTimeout: 1 })
      ast.clock.advance(1000)
      expect((await ast.call(`DELETE /tms/${accepted}`)).status).toBe(409)
      expect((await ast.call(`DELETE /tms/${late}`)).status).toBe(409)
      expect(await statusOf(accepted)).toBe('ACCEPTED')
    })

    test('404 for another tenant, 403 with the right to read alone', async () => {
      const id = await startedId()
      const foreign = `DELETE /v1/tenants/shop/tms/${id}` as const
      expect((await ast.call(foreign, { token: ast.stranger })).status).toBe(404)
      expect((await ast.call(`DELETE /tms/${id}`, { token: ast.reader })).status).toBe(403)
      expect(await statusOf(id)).toBe('STARTED')
    })
  })

  describe('sendDisplayMessage', () => {
    const send = (members: object = {}) =>
      ast.call('POST /display-message', {
        body: { userId: 'jsmith', displayMessageData: { text }, ...members },
      })

    test('202 with an id; every client can fetch it until its time is over', async () => {
      const { status, body } = await send({ displayMessageTimeout: 60 })
      expect(status).toBe(202)
      await device.login({ pin: '1234' })
      const { content } = (await device.retrieve(body.id)).body
      expect(JSON.parse(Buffer.from(content.bytes, 'base64').toString()).text).toBe(text)
      const late = await send({ displayMessageTimeout: 60 })
      ast.clock.advance(60_000)
      expect((await device.retrieve(late.body.id)).body).not.toHaveProperty('content')
    })

    test('400 beyond 30 days, for an empty text and for a template; 404 for an unknown user', async () => {
      expect((await send({ displayMessageTimeout: 2_592_001 })).status).toBe(400)
      expect((await send({ displayMessageData: { text: ' ' } })).status).toBe(400)
      expect((await send({ displayMessageData: { text: 'a.b', external: true } })).status).toBe(400)
      expect((await send({ userId: 'never-heard' })).status).toBe(404)
    })
  })
})

/** What openssl finds signed, with the chain's last certificate as the only trust. @throws when it refuses. */
function opensslContent(signedData: string, chain: readonly Uint8Array[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-cms-'))
  try {
    const [cms, root, out] = ['cms.der', 'root.pem', 'content'].map((name) => join(folder, name))
    const der = Buffer.from(chain.at(-1) ?? [])
    const pem = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
    writeFileSync(cms ?? '', Buffer.from(signedData, 'base64'))
    writeFileSync(root ?? '', pem.replaceAll(/([^\n-]{64})/g, '$1\n'))
    const files = ['-in', cms ?? '', '-CAfile', root ?? '', '-out', out ?? '']
    // The test's clock stands in November 2026.
    const checks = ['-binary', '-purpose', 'any', '-no_check_time']
    execFileSync('openssl', ['cms', '-verify', '-inform', 'DER', ...files, ...checks], {
      stdio: 'pipe',
    })
    return readFileSync(out ?? '')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
