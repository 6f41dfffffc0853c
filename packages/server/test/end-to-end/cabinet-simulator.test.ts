import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { documentOf, runCommand } from '#test/support/commands.ts'
import { until } from '#test/support/delivery.ts'
import { type Receiver, startReceiver } from '#test/support/receiver.ts'
import { ServerProcess } from '#test/support/server-process.ts'
import { CabinetLife } from '../../src/commands/simulate/cabinet-life.ts'
import { CabinetLink } from '../../src/commands/simulate/cabinet-link.ts'
import { FleetStatistics } from '../../src/commands/simulate/fleet-statistics.ts'
import { ListPool, SimulatedCabinet } from '../../src/commands/simulate/simulated-cabinet.ts'

/** A server as operators start it, and cabinets that know nothing of it but what they are told over HTTP. */
let server: ServerProcess
let receiver: Receiver
let url = ''
let token = ''
const adminToken = 'administrator-token-of-a-test'
const base = '/okm/api/v1'

beforeAll(async () => {
  receiver = await startReceiver()
  server = new ServerProcess({
    env: {
      COUNTERSIGN_ADMIN_TOKEN: adminToken,
      COUNTERSIGN_OUTBOUND_ALLOW: '127.0.0.0/8',
      COUNTERSIGN_OKM_AUDIT_DEST_URL: receiver.url,
    },
  })
  await server.ready()
  url = server.url
  await send('POST', '/api/v1/tenants', { id: 'acme', name: 'Acme' }, adminToken)
  const scopes = ['okms:write', 'acls:write', 'acl-okms:write', 'audit:subscribe']
  const made = await send(
    'POST',
    '/api/v1/service-accounts',
    { tenantId: 'acme', scopes },
    adminToken,
  )
  token = (made as { secret: string }).secret
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await receiver[Symbol.asyncDispose]()
})

async function send(
  method: string,
  path: string,
  body?: object,
  bearer = token,
): Promise<Record<string, unknown>> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>
}

function register(serial: string, config: object = {}): Promise<unknown> {
  const okm = { id: serial, serial, customer: 'acme', config }
  return send('POST', `${base}/okms`, okm)
}

const locks = ['0000051a00000005', '0000051a00000007', '0000051a0000000b']
const writeAcl = (id: string, users: readonly object[]) =>
  send('POST', `${base}/acls`, { id, customer: 'acme', locks, users })
const link = (id: string, serial: string) =>
  send('POST', `${base}/acl-okms`, { customer: 'acme', acl_id: id, okm_id: serial })

const user = (userId: number, pinHash: string) => ({
  user_id: userId,
  pin_hash: pinHash,
  auth_time: 8,
  permissions: [1, 0, 17],
})

function newLife(serial: string, changes: { loss?: number; readable?: boolean } = {}): CabinetLife {
  return new CabinetLife(new SimulatedCabinet(serial, new ListPool()), {
    link: new CabinetLink({
      origin: url,
      socketsMax: 4,
      timeoutMs: 10_000,
      loss: changes.loss ?? 0,
      random: Math.random,
    }),
    statistics: new FleetStatistics(),
    random: Math.random,
    intervalSeconds: 1,
    isEager: true,
    visitors: [1001],
    checkoutSeconds: undefined,
    isReadable: changes.readable ?? false,
    say: () => {},
  })
}

async function getInStep(life: CabinetLife): Promise<void> {
  for (let round = 0; round < 30; round++) if (!(await life.poll())) return
  throw new Error('The cabinet never gets in step.')
}

describe('a cabinet', () => {
  test('learns its addresses, settings and lists, and the digests are those of the contract', async () => {
    const serial = '0203cc1fc4ab0001'
    const life = newLife(serial)
    expect(await life.poll()).toBe(false)
    await register(serial, { polling_interval: 350, checkout_window: 30, contact_type: 0 })
    await writeAcl('lobby', [user(1001, 'a1b2c3d4')])
    await link('lobby', serial)
    await getInStep(life)
    const { cabinet } = life
    expect(cabinet.configUrl).toBe(`${base}/config`)
    expect(cabinet.pollingIntervalSeconds).toBe(350)
    expect(cabinet.locks.locks).toEqual(locks)
    // Put together by nothing of ours.
    const digest = (text: string) => createHash('sha256').update(text).digest('hex')
    expect(cabinet.locks.digest).toBe(digest(locks.join('\n')))
    expect(cabinet.users.digest).toBe(digest('1001|a1b2c3d4|8|0|0|0|0|1,0,17'))
    const { data } = await send('GET', `${base}/okms/${serial}`)
    expect(data).toMatchObject({ okm: { fw_version: cabinet.firmwareVersion } })
    await writeAcl('lobby', [])
    expect(await life.poll()).toBe(true)
    expect(cabinet.users.users).toEqual([])
  })

  test('gives out keys by its lists, and its records reach the operator once, whatever the network loses', async () => {
    const serial = '0203cc1fc4ab0002'
    await register(serial)
    await writeAcl('store', [user(1001, 'a1b2c3d4')])
    await link('store', serial)
    const life = newLife(serial, { loss: 0.4 })
    for (let round = 0; round < 60; round++) await life.poll()
    const before = receiver.received.length
    const checkouts = 12
    for (let visit = 0; visit < checkouts; visit++) {
      expect(await life.takeAndReturnKey()).toBe(true)
      for (let attempt = 0; attempt < 30 && !(await life.upload()); attempt++);
    }
    const bodies = () =>
      receiver.received.slice(before).filter(({ headers }) => headers['x-okm-serial'] === serial)
    await until(() => bodies().length >= checkouts)
    const hashes = bodies().map(({ body }) => body.toString('base64'))
    expect(new Set(hashes).size).toBe(checkouts)
    expect(hashes).toHaveLength(checkouts)
    const text = bodies().map(({ body }) => body.subarray(28).toString('utf8'))
    expect(text.every((part) => part.split('\n').length === 3)).toBe(true)
    expect(life.cabinet.auditUrl).toBe(`${base}/audit`)
  })

  test('without lists asks for the one who stands there', async () => {
    const serial = '0203cc1fc4ab0003'
    await register(serial, { cache_mode: false })
    await writeAcl('vault', [user(1001, 'a1b2c3d4')])
    await link('vault', serial)
    const life = newLife(serial, { readable: true })
    await getInStep(life)
    expect(life.cabinet.cacheMode).toBe(false)
    expect(life.cabinet.users.users).toEqual([])
    expect(await life.takeAndReturnKey()).toBe(true)
    await writeAcl('vault', [])
    expect(await life.takeAndReturnKey()).toBe(false)
  })
})

describe('countersign simulate cabinet', () => {
  test('runs a fleet that is registered, gets in step and counts what it did', async () => {
    const tokenFile = join(server.folder, 'token')
    writeFileSync(tokenFile, `${token}\n`)
    const end = await runCommand([
      ...['simulate', 'cabinet', '--json', '--url', url, '--serial', '0203cc1fc4ac0000'],
      ...['--count', '40', '--interval', '1', '--seconds', '4', '--eager', '--loss', '10'],
      ...['--register', 'acme', '--token-file', tokenFile, '--sockets', '8'],
    ])
    expect(end.stderr).toContain('40 of 40 cabinets were registered now')
    expect(end.code).toBe(0)
    const done = documentOf(end)
    expect(done).toMatchObject({ 'taken.configUrl': expect.any(Number) })
    expect(Number(done.polls)).toBeGreaterThan(80)
    expect(Number(done['taken.configUrl'])).toBeGreaterThanOrEqual(40)
  })

  test('ends with 69 when nobody answers, and with 2 for options that make no sense', async () => {
    const nobody = ['simulate', 'cabinet', '--url', 'http://127.0.0.1:9', '--seconds', '1']
    expect((await runCommand(nobody)).code).toBe(69)
    const wrong = ['simulate', 'cabinet', '--url', url]
    expect((await runCommand([...wrong, '--count', '10001'])).code).toBe(2)
    expect((await runCommand([...wrong, '--count', '2', '--serial', 'xyz'])).code).toBe(2)
    expect((await runCommand([...wrong, '--register', 'acme'])).code).toBe(2)
    expect((await runCommand(['simulate', 'cabinet', '--url', 'ftp://x'])).code).toBe(2)
  })
})
