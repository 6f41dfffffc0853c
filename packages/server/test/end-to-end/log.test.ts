import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { HttpClient } from './client.ts'
import { createInstallation, tenantPath, verifyPath } from './installation.ts'
import { RawConnection } from './raw-connection.ts'

/** Stands in every place of every request; one trace of it in the log is a leak. */
const mark = 'MARKED'
const markedCode = '73519204'
const markedPin = '60418273'

test('no secret, code, PIN, header, URL or body of a request reaches the log, at its most talkative', async () => {
  await using installation = await createInstallation({ engine: 'sqlite' })
  const { secrets, hotp } = installation.seeds
  const server = await installation.start({ COUNTERSIGN_LOG_LEVEL: 'trace' })
  const { url } = server
  using client = new HttpClient(url)
  const marked = {
    'x-forwarded-for': mark,
    'user-agent': mark,
    'idempotency-key': mark,
    cookie: mark,
  }
  const bodies: readonly unknown[] = [
    { token: { serial: 'HOTP-1' }, code: markedCode, pin: markedPin },
    { token: { serial: mark }, code: markedCode, context: { application: mark, userAgent: mark } },
    { user: { id: mark }, code: markedCode, [mark]: mark },
    { user: { id: { [mark]: mark } }, code: 1 },
    `{"${mark}":"${mark}","${mark}":1}`,
    `{"${mark}`,
    Buffer.from([0xff, 0xfe, ...Buffer.from(mark)]),
    mark.repeat(250_000),
  ]
  for (const body of bodies) {
    for (const secret of [secrets.verifier, `csk_${mark}`, secrets.platform]) {
      await client.call({ path: verifyPath, secret, body, headers: marked })
      await client.call({ path: `${verifyPath}?code=${mark}`, secret, body, headers: marked })
    }
  }
  for (const authorization of [
    `Basic ${Buffer.from(`${mark}:${mark}`).toString('base64')}`,
    `Bearer ${mark}.${mark}.${mark}`,
    `${mark} ${mark}`,
    `Bearer eyJhbGciOiJub25lIn0.${Buffer.from(`{"sub":"${mark}"}`).toString('base64url')}.`,
  ]) {
    await client.call({ path: verifyPath, body: bodies[0], headers: { ...marked, authorization } })
  }
  await client.call({ path: verifyPath, body: bodies[0], headers: { 'x-api-key': mark } })
  for (const path of [
    `/${mark}?${mark}`,
    `${tenantPath}/users/${mark}?${mark}=${mark}`,
    `/api/v1/tenants/${mark}/users/${mark}`,
    `/%zz${mark}`,
    `/docs/${mark}`,
  ]) {
    await client.call({ path, secret: secrets.admin, headers: marked })
    await client.call({ path, method: 'DELETE', secret: secrets.admin })
  }
  await client.call({
    path: '/oauth2/token',
    body: `grant_type=client_credentials&client_id=${mark}&client_secret=${mark}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  await client.call({
    path: `${tenantPath}/users`,
    secret: secrets.admin,
    body: { loginName: mark, password: `${mark}-password`, email: `${mark}@example.com` },
  })
  for (const text of [
    `${mark}\r\n\r\n`,
    `GET /${mark} HTTP/9.9\r\n\r\n`,
    `GET / HTTP/1.1\r\n${mark}\x01: ${mark}\r\n\r\n`,
  ]) {
    using raw = await RawConnection.open(url)
    raw.send(text)
    await raw.end(10_000)
  }
  const accepted = hotp[0]?.code(0) ?? ''
  const reply = await client.call({
    path: verifyPath,
    secret: secrets.verifier,
    body: { token: { serial: 'HOTP-1' }, code: accepted },
  })
  expect(reply.json()).toMatchObject({ result: 'ACCEPTED' })
  await sleep(1500)
  await server.stop()

  expect(server.errors).toBe('')
  expect(server.logs.length).toBeGreaterThan(50)
  for (const record of server.logs) {
    expect(record).toMatchObject({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: expect.stringMatching(/^(fatal|error|warn|info|debug|trace)$/),
      msg: expect.any(String),
      node: expect.any(String),
    })
  }
  const answered = server.logs.filter(({ msg }) => msg === 'request answered')
  expect(answered.length).toBeGreaterThan(50)
  for (const { requestId } of answered) expect(requestId).toMatch(/^[0-9A-Z]{26}$/)
  for (const secret of [mark, markedCode, markedPin, ...Object.values(secrets)]) {
    expect(linesWith(server.output, secret)).toEqual([])
  }
  expect(linesWith(server.output, `"${accepted}"`)).toEqual([])
  expect(server.logs.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([])
}, 120_000)

function linesWith(output: string, text: string): string[] {
  return output.split('\n').filter((line) => line.includes(text))
}
