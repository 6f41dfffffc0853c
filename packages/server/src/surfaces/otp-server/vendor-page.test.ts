import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createContractChecker } from '#test/support/contract-checker.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { RawConnection } from '../../../test/end-to-end/raw-connection.ts'
import { createInstallation, type Installation, requireValid } from './otp-server.fixture.ts'

/**
 * A client that knows nothing but the page "OTP Server REST operations": its URLs, its parameters, its samples. Requests
 * are written by hand, as a client of that page would put them on the wire.
 */
let at: Installation
const documents = new Map<string, string>()
const checker = createContractChecker([contractOf('otp-server')])

interface Reply {
  readonly status: number
  readonly body: string
}

async function send(line: string): Promise<Reply> {
  const [method = '', path = ''] = line.split(' ')
  const credentials = Buffer.from(`${at.admin.id}:${at.admin.secret}`).toString('base64')
  using connection = await RawConnection.open(at.api.origin)
  connection.send(
    `${method} /otp-server${path} HTTP/1.1\r\nHost: otp.example.com\r\nAccept: */*\r\n` +
      `Authorization: Basic ${credentials}\r\nConnection: close\r\n\r\n`,
  )
  await connection.answers(1)
  await connection.closed
  const [head = '', ...rest] = connection.received.split('\r\n\r\n')
  const headers = Object.fromEntries(
    head
      .split('\r\n')
      .slice(1)
      .map((header) => {
        const colon = header.indexOf(':')
        return [header.slice(0, colon).toLowerCase(), header.slice(colon + 1).trim()]
      }),
  )
  const sent = rest.join('\r\n\r\n')
  const body = headers['transfer-encoding'] === 'chunked' ? unchunked(sent) : sent
  const status = connection.statuses[0] ?? 0
  checker.check({ method, path: `/otp-server${path}`, status, headers, body })
  if (body !== '') documents.set(body, line)
  return { status, body }
}

/** RFC 9112 section 7.1; the texts are ASCII. */
function unchunked(sent: string): string {
  let body = ''
  for (let rest = sent; ; ) {
    const [size = '0'] = rest.split('\r\n', 1)
    const length = Number.parseInt(size, 16)
    if (length === 0) return body
    const start = size.length + 2
    body += rest.slice(start, start + length)
    rest = rest.slice(start + length + 2)
  }
}

/** As the samples of the page show it: without declaration, and with one kind of white space. */
function shown({ body }: Reply): string {
  return body
    .replace(/^<\?xml[^>]*>\s*/, '')
    .replaceAll(/>\s+</g, '>\n<')
    .trim()
}

function idIn({ body }: Reply): string {
  return /<otp-list id="([^"]+)"/.exec(body)?.[1] ?? ''
}

function codesIn({ body }: Reply): readonly string[] {
  return [...body.matchAll(/<otp index="[^"]+">([^<]+)<\/otp>/g)].map(([, code = '']) => code)
}

async function spend(code: string | undefined): Promise<void> {
  const form = { uniqueID: 'user1', otp: code ?? '' }
  const answer = await at.call('POST /otp.1/user-info/_verify', { form })
  expect(answer.the('verify-response').result).toBe('accepted')
}

beforeAll(async () => {
  at = await createInstallation()
  // The page is of 2012: its lists expire on the first day of 2013.
  at.clock.set(Date.UTC(2012, 11, 3, 9))
}, 60_000)
afterAll(async () => {
  await at[Symbol.asyncDispose]()
  await requireValid(documents)
})

describe('the page, operation by operation', () => {
  test('Create OTP list', async () => {
    const reply = await send('POST /otp.1/otp-list?expires=20130101')
    expect(reply.status).toBe(200)
    expect(shown(reply)).toMatch(
      /^<otp-list id="[0-9a-f-]{36}" expires="20130101" size="50">\n<status value="free" index="1"\/>\n<sequence>\n<otp index="1">\d{6}<\/otp>\n<otp index="2">\d{6}<\/otp>\n/,
    )
    expect(codesIn(reply)).toHaveLength(50)
    expect((await send('POST /otp.1/otp-list?max-age=86400')).body).toContain('expires="20121204T')
    expect((await send('POST /otp.1/otp-list')).status).toBe(200)
    expect(await send('POST /otp.notfound/otp-list')).toEqual({
      status: 404,
      body: '<?xml version="1.0" encoding="UTF-8"?>\n<error status="404">Not Found</error>\n',
    })
    expect((await send('GET /otp.1/otp-list')).status).toBe(405)
  })

  test('Create several OTP lists', async () => {
    const reply = await send('POST /otp.1/otp-list/_batch?batch-size=100')
    expect(reply.status).toBe(200)
    expect(shown(reply)).toMatch(/^<batch-response batch-size="100">\n<otp-list id="[0-9a-f-]{36}"/)
    expect(reply.body.match(/<\/otp-list>/g)).toHaveLength(100)
    expect(codesIn(reply)).toHaveLength(5000)
    const dated = await send('POST /otp.1/otp-list/_batch?batch-size=2&expires=20130101')
    expect(dated.body.match(/expires="20130101"/g)).toHaveLength(2)
    expect((await send('POST /otp.notfound/otp-list/_batch?batch-size=100')).status).toBe(404)
    expect((await send('GET /otp.1/otp-list/_batch')).status).toBe(405)
  })

  test('Associate OTP list with user identifier', async () => {
    const id = idIn(await send('POST /otp.1/otp-list'))
    expect((await send(`PUT /otp.1/otp-list/${id}?uniqueID=nobody`)).status).toBe(404)
    const reply = await send(`PUT /otp.1/otp-list/${id}?uniqueID=user1`)
    expect(reply.status).toBe(200)
    expect(shown(reply)).toBe(
      `<otp-list id="${id}">\n<status value="associated" index="1">\n<user-info uniqueID="user1"/>\n</status>\n</otp-list>`,
    )
    expect(await send(`PUT /otp.1/otp-list/${id}?uniqueID=user1`)).toMatchObject({ status: 403 })
    const other = idIn(await send('POST /otp.1/otp-list'))
    expect((await send(`PUT /otp.notfound/otp-list/${other}?uniqueID=user1`)).status).toBe(404)
    const unknown = 'd07c0903-f7c9-4b55-a22b-df51ce60bbd7'
    expect((await send(`PUT /otp.1/otp-list/${unknown}?uniqueID=user1`)).status).toBe(404)
    expect((await send(`POST /otp.1/otp-list/${other}?uniqueID=user1`)).status).toBe(405)
    expect((await send(`PUT /otp.1/otp-list/${other}?login=john.smith`)).status).toBe(200)
  })

  test('Lookup OTP list status by list-id', async () => {
    await at.core.otpListMethods.update(at.native, 'acme', 'otp.1', {
      listSize: 24,
      indexFormat: 'BLOCK',
      indexBlockSize: 12,
      otpWindowSize: 10,
    })
    const created = await send('POST /otp.1/otp-list')
    const id = idIn(created)
    await send(`PUT /otp.1/otp-list/${id}?uniqueID=user1`)
    await spend(codesIn(created)[9])
    await spend(codesIn(created)[11])
    expect(shown(await send(`GET /otp.1/otp-list/${id}`))).toBe(
      `<otp-list id="${id}">\n<status value="active" index="B1" remaining="12">\n<user-info uniqueID="user1"/>\n</status>\n</otp-list>`,
    )
    expect((await send(`GET /otp.notfound/otp-list/${id}`)).status).toBe(404)
    expect((await send('GET /otp.1/otp-list/c016051b-8980-4165-8c5b-e4b5cd1bace6')).status).toBe(
      404,
    )
  })

  test('Lookup OTP list status by user identifier', async () => {
    await at.core.otpListMethods.update(at.native, 'acme', 'otp.1', {
      listSize: 80,
      indexFormat: 'NUMERIC',
    })
    const created = await send('POST /otp.1/otp-list')
    const active = idIn(created)
    await send(`PUT /otp.1/otp-list/${active}?uniqueID=user1`)
    for (const position of [10, 20, 30, 40, 50, 55]) await spend(codesIn(created)[position - 1])
    const waiting = idIn(await send('POST /otp.1/otp-list'))
    await send(`PUT /otp.1/otp-list/${waiting}?uniqueID=user1`)
    const reply = await send('GET /otp.1/user-info/_query?uniqueID=user1')
    expect(reply.status).toBe(200)
    // The sample leaves `remaining` out here and shows it at the list; this server always tells it.
    expect(shown(reply).replace(' remaining="25"', '')).toBe(
      `<user-info uniqueID="user1">\n<otp-list id="${active}">\n<status value="active" index="56"/>\n</otp-list>\n` +
        `<otp-list id="${waiting}">\n<status value="associated" index="1"/>\n</otp-list>\n</user-info>`,
    )
    expect(await send('GET /otp.1/user-info/_query?uniqueID=nobody')).toEqual({
      status: 204,
      body: '',
    })
    expect((await send('GET /otp.notfound/user-info/_query?uniqueID=user1')).status).toBe(404)
    expect((await send('POST /otp.1/user-info/_query?uniqueID=user1')).status).toBe(405)
  })

  test('Query OTP lists matching condition', async () => {
    const reply = await send('GET /otp.1/otp-list/_query')
    expect(reply.status).toBe(200)
    expect(reply.body).toContain('<query-response count="100" page-size="100" next-page-token="')
  })

  test('Delete OTP list', async () => {
    const id = idIn(await send('POST /otp.1/otp-list'))
    expect(await send(`DELETE /otp.1/otp-list/${id}`)).toEqual({ status: 204, body: '' })
    expect((await send(`DELETE /otp.1/otp-list/${id}`)).status).toBe(404)
    expect((await send(`DELETE /otp.notfound/otp-list/${id}`)).status).toBe(404)
    expect((await send('DELETE /otp.1/otp-list')).status).toBe(405)
  })
})
