import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { DualshieldClient, type Envelope, fromBase32, hotpOf, totpOf } from './dualshield-client.ts'

const adminToken = 'administrator-of-this-test-run'

/** The secret of RFC 4226 appendix D, and its first codes. */
const rfcSecret = Buffer.from('12345678901234567890')
const rfcSeedHex = rfcSecret.toString('hex')
const rfcCodes = ['755224', '287082', '359152', '969429', '338314', '254676', '287922']
/** The same with eight digits: the RFC prints the whole numbers. */
const rfcLongCodes = ['84755224', '94287082']

let server: ServerProcess
let das: DualshieldClient
let number = 0
/** A user of the domain `domain.com`, new for every test. */
let loginName: string
let userId: string
let domainId: string

beforeAll(async () => {
  server = await startServer({ env: { COUNTERSIGN_ADMIN_TOKEN: adminToken } })
  await administer('tenants', { id: 'acme', name: 'Acme' })
  const { secret } = await administer('service-accounts', {
    id: 'api-agent',
    tenantId: 'acme',
    scopes: ['dualshield:management', 'dualshield:authentication'],
  })
  das = await DualshieldClient.signIn(`${server.url}/dualshield/das5/rest`, 'api-agent', secret)
  domainId = (await das.must('domain/create', { attrs: { name: 'domain.com' } })).id
}, 120_000)
afterAll(() => server?.[Symbol.asyncDispose]())

beforeEach(async () => {
  loginName = `john.smith.${++number}`
  const attrs = { 'domain.name': 'domain.com', loginName }
  userId = (await das.must('user/create', { attrs })).id
})

/** The one step that is not the vendor's: who the agents are is said on the native API. */
async function administer(path: string, body: object): Promise<{ secret: string }> {
  const response = await fetch(`${server.url}/api/v1/${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${adminToken}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${path} answered ${response.status}.`)
  return (await response.json()) as { secret: string }
}

/** Follows a download link as the user's device does. @returns the error number. */
async function redeem(url: string): Promise<number> {
  const response = await fetch(url, { method: 'POST' })
  return ((await response.json()) as Envelope).error
}

async function productId(manufacturerCode: string, productCode: string): Promise<string> {
  const match = [
    ['manufacturerCode', '=', manufacturerCode],
    ['productCode', '=', productCode],
  ]
  return (await das.must('product/get', { match, return: ['id'] })).id
}

async function repositoryId(): Promise<string> {
  return (await das.must('repository/search', { return: ['id'] })).rows[0].id
}

/** Hardware tokens with the RFC's secret: event-based SafeIDs. */
async function importEventTokens(...serials: readonly string[]): Promise<readonly string[]> {
  const lines = serials.map((serial) => `${serial},${rfcSeedHex}`)
  const { rows } = await das.must('token/import', {
    attrs: {
      product: { manufacturerCode: 'DN', productCode: 'SE' },
      encode: 'HEX',
      data: ['serial number,secret key', ...lines].join('\n'),
    },
  })
  return rows.map(({ id }: { id: string }) => id)
}

async function assign(tokenId: string): Promise<void> {
  await das.must('tokenAssignment/create', { attrs: { 'token.id': tokenId, 'user.id': userId } })
}

function verify(otp: string | undefined, more: object = {}) {
  const user = { loginName, 'domain.name': 'domain.com' }
  return das.call('auth/verify', { user, credential: { otp }, ...more })
}

describe('oauth/token', () => {
  test('an agent without the right secret does not get in', async () => {
    const base = `${server.url}/dualshield/das5/rest`
    await expect(DualshieldClient.signIn(base, 'api-agent', 'wrong')).rejects.toThrow('401')
  })
})

describe('token/create', () => {
  test('example 1: product and user by id, attrs as an array, the id is answered', async () => {
    const pid = await productId('DN', 'MT')
    const answer = await das.call(
      'token/create',
      `{ "attrs": [ { "product.id": "${pid}", "user.id": "${userId}", "pin": "tokenpin" } ] }`,
    )
    expect(answer).toEqual({ error: 0, result: { id: expect.any(String) } })
    const match = [['users.id', '=', userId]]
    const { total, rows } = await das.must('token/search', { match, return: ['id', 'product.id'] })
    expect({ total, rows }).toEqual({
      total: 1,
      rows: [{ id: answer.result.id, 'product.id': pid }],
    })
  })

  test('example 2: product and user by their attributes, loginNam and all', async () => {
    const answer = await das.call(
      'token/create',
      `{ "attrs": [ {
           "product": { "manufacturerCode":"DN", "productCode":"MT" },
           "user": { "domain.name":"domain.com", "loginNam":"${loginName}" },
           "pin":"tokenpin"
         } ] }`,
    )
    expect(answer).toEqual({ error: 0, result: { id: expect.any(String) } })
    const shown = await das.must('token/get', {
      match: [['id', '=', answer.result.id]],
      return: [
        'serial',
        'Identifier',
        'Status',
        'description',
        { product: ['manufacturerCode', 'productCode'] },
        { repository: ['name'] },
        { users: [{ elements: ['loginName', 'domain.name'] }] },
        { assignedUsers: ['id'] },
        { sharedUsers: ['id'] },
      ],
    })
    expect(shown).toEqual({
      serial: expect.any(String),
      Identifier: shown.serial,
      Status: 'ACTIVE',
      description: null,
      product: { manufacturerCode: 'DN', productCode: 'MT' },
      repository: { name: expect.any(String) },
      users: { elements: [{ loginName, 'domain.name': 'domain.com' }] },
      assignedUsers: { elements: [{ id: userId }] },
      sharedUsers: { elements: [] },
    })
  })

  test('attrs as one object, and as one object an attribute, say the same', async () => {
    const product = { manufacturerCode: 'DN', productCode: 'MT' }
    const user = { 'domain.name': 'domain.com', loginName }
    const wanted = ['product.name', { tokenAssignments: [{ elements: ['hasPin'] }] }]
    const forms = [{ product, user, pin: '1234' }, [{ product }, { user }, { pin: '1234' }]]
    for (const attrs of forms) {
      expect(await das.must('token/create', { attrs, return: wanted })).toEqual({
        'product.name': 'MobileID',
        tokenAssignments: { elements: [{ hasPin: true }] },
      })
    }
  })

  test('an unknown user is 101 and leaves no token behind', async () => {
    const attrs = {
      product: { manufacturerCode: 'DN', productCode: 'MT' },
      user: { 'domain.name': 'domain.com', loginName: 'nobody' },
      serial: 'never-made',
    }
    expect(await das.call('token/create', { attrs })).toEqual({
      error: 101,
      message: 'user not found.',
      severity: 'ERROR',
    })
    const match = [['serial', '=', 'never-made']]
    expect((await das.must('token/search', { match })).total).toBe(0)
  })
})

describe('token/delete', () => {
  test('with a user it takes the token from the user, without one it deletes the token', async () => {
    const [id = ''] = await importEventTokens(`delete-${number}`)
    await assign(id)
    const answer = await das.call(
      'token/delete',
      `{ "id":"${id}", "user": { "id":"${userId}", "domain.id":"${domainId}", "loginName":"${loginName}" } }`,
    )
    expect(answer).toEqual({ error: 0 })
    const get = { match: [['id', '=', id]], return: [{ users: ['id'] }] }
    expect(await das.must('token/get', get)).toEqual({ users: { elements: [] } })

    expect(await das.call('token/delete', { id })).toEqual({ error: 0 })
    expect((await das.call('token/get', get)).error).not.toBe(0)
  })

  test('with an ill-built user it does nothing', async () => {
    const [id = ''] = await importEventTokens(`kept-${number}`)
    for (const user of [null, {}, '', []]) {
      expect((await das.call('token/delete', { id, user })).error).not.toBe(0)
    }
    expect(await das.must('token/get', { match: [['id', '=', id]], return: ['id'] })).toEqual({
      id,
    })
  })
})

describe('token 10000000', () => {
  test('is verified, drifts away, comes back with syncToken, and starts anew with reset', async () => {
    const [id = ''] = await importEventTokens('10000000')
    await assign(id)
    expect(await verify(rfcCodes[0])).toEqual({ error: 0 })
    expect((await verify(rfcCodes[0])).error).not.toBe(0)
    expect(await verify(rfcCodes[2], { token: { serial: '10000000' } })).toEqual({ error: 0 })

    // Pressed two hundred times in a pocket.
    const [one, two, three] = [200, 201, 202].map((counter) => hotpOf(rfcSecret, counter))
    expect((await verify(one)).error).not.toBe(0)
    const sync = await das.call(
      'token/syncToken',
      `{ "user": { "id": "${userId}" }, "token": { "serial":"10000000" }, "credential":"${one},${two}" }`,
    )
    expect(sync).toEqual({ error: 0 })
    expect((await verify(two)).error).not.toBe(0)
    expect(await verify(three)).toEqual({ error: 0 })
    expect((await verify(rfcCodes[3])).error).not.toBe(0)

    const reset = '{ "token": { "serial":"10000000" }, "attrs": { "counter":0 } }'
    expect(await das.call('token/reset', reset)).toEqual({ error: 0 })
    expect(await verify(rfcCodes[0])).toEqual({ error: 0 })
    expect(await das.call('token/reset', '{ "token": { "serial":"10000000" } }')).toEqual({
      error: 0,
    })
    const shown = { match: { serial: '10000000' }, return: ['serial', 'counter'] }
    expect(await das.must('token/get', shown)).toEqual({ serial: '10000000', counter: 0 })
  })
})

describe('token/confine and token/release', () => {
  test('a confined token cannot be downloaded again, a released one can', async () => {
    const attrs = {
      product: { manufacturerCode: 'DN', productCode: 'MT' },
      'user.id': userId,
      serial: `soft-${number}`,
    }
    await das.must('token/create', { attrs })
    const token = { serial: attrs.serial }
    const { url } = await das.must('token/getDownloadUrl', { token })
    expect((await fetch(url)).status).toBe(200)
    const { seed, encode, timeWindow } = await das.must('token/retrieveCredential', { token })
    expect(encode).toBe('BASE32')

    expect(await das.call('token/confine', { token })).toEqual({ error: 0 })
    expect((await das.call('token/getDownloadUrl', { token })).error).not.toBe(0)
    expect((await das.call('token/retrieveCredential', { token })).error).not.toBe(0)
    expect(await redeem(url)).not.toBe(0)
    // What was downloaded before goes on working.
    expect(await verify(totpOf(fromBase32(seed), timeWindow))).toEqual({ error: 0 })

    expect(await das.call('token/release', { token })).toEqual({ error: 0 })
    const again = await das.must('token/retrieveCredential', { token })
    expect(again.seed).toBe(seed)
    const fresh = await das.must('token/getDownloadUrl', { token })
    expect(await redeem(url)).not.toBe(0)
    expect(await redeem(fresh.url)).toBe(0)
    expect(await redeem(fresh.url)).not.toBe(0)
  })
})

describe('token/import', () => {
  test("the vendor's XML, as the page asks and answers it", async () => {
    const tokens = ['1001', '1002', '1003'].map(
      (serial) => `<token><serial>${serial}</serial><seed>${rfcSeedHex}</seed></token>`,
    )
    const data = `<?xml version="1.0" encoding="UTF-8"?>
<data>
  <header>
    <manufacturerCode>DN</manufacturerCode><productCode>ST</productCode>
    <encrypt>NONE</encrypt><encode>HEX</encode>
    <digits>6</digits><timeWindow>60</timeWindow><crypto>HmacSHA1</crypto>
  </header>
  <tokens>${tokens.join('\n')}</tokens>
</data>`
    const answer = await das.call('token/import', {
      attrs: {
        'product.id': await productId('DN', 'ST'),
        'repository.id': await repositoryId(),
        data,
      },
      return: ['id', 'serial'],
    })
    expect(answer).toEqual({
      error: 0,
      result: {
        total: 3,
        rows: ['1001', '1002', '1003'].map((serial) => ({ id: expect.any(String), serial })),
      },
    })
    await assign(answer.result.rows[1].id)
    expect(await verify(totpOf(rfcSecret, 60))).toEqual({ error: 0 })
  })

  test('PSKC, as RFC 6030 prints it in figure 3', async () => {
    const product = { manufacturerCode: 'XX', productCode: 'H8' }
    await das.must('product/create', {
      attrs: { ...product, name: 'Eight digits', algorithm: 'HOTP', digits: 8 },
    })
    const data = `<?xml version="1.0" encoding="UTF-8"?>
<KeyContainer Version="1.0" Id="exampleID1" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">
  <KeyPackage>
    <DeviceInfo>
      <Manufacturer>Manufacturer</Manufacturer>
      <SerialNo>987654321</SerialNo>
      <UserId>DC=example-bank,DC=net</UserId>
    </DeviceInfo>
    <CryptoModuleInfo><Id>CM_ID_001</Id></CryptoModuleInfo>
    <Key Id="12345678" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp">
      <Issuer>Issuer</Issuer>
      <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
      <Data>
        <Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>
        <Counter><PlainValue>0</PlainValue></Counter>
      </Data>
      <UserId>UID=jsmith,DC=example-bank,DC=net</UserId>
    </Key>
  </KeyPackage>
</KeyContainer>`
    const { total, rows } = await das.must('token/import', { attrs: { product, data } })
    expect({ total, rows }).toEqual({
      total: 1,
      rows: [{ id: expect.any(String), serial: '987654321' }],
    })
    await assign(rows[0].id)
    expect(await verify(rfcLongCodes[0])).toEqual({ error: 0 })
    expect((await verify(rfcLongCodes[0])).error).not.toBe(0)
    expect(await verify(rfcLongCodes[1])).toEqual({ error: 0 })
  })

  test('CSV with the columns of the console', async () => {
    const { rows } = await das.must('token/import', {
      attrs: {
        product: { manufacturerCode: 'DN', productCode: 'ST' },
        data: [
          'upn,serial number,secret key,time interval,manufacturer,model',
          'john@domain.com,csv-1,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,60,Deepnet,SafeID',
        ].join('\r\n'),
      },
      return: ['id', 'serial', 'timeWindow'],
    })
    expect(rows).toEqual([{ id: expect.any(String), serial: 'csv-1', timeWindow: 60 }])
    await assign(rows[0].id)
    expect(await verify(totpOf(rfcSecret, 60))).toEqual({ error: 0 })
  })
})

describe('token/batchAssignTokens', () => {
  test('the published sample, as it stands', async () => {
    await das.must('domain/create', { attrs: { name: 'test domain' } })
    const john = { 'domain.name': 'test domain', loginName: 'john.smith' }
    await das.must('user/create', { attrs: john })
    const product = { manufacturerCode: 'DN', productCode: 'MT' }
    await das.must('token/create', { attrs: { product, serial: '10000' } })
    const csv = `domain,loginName,manufacturerCode,productCode,serial,status,pin
"test domain", "john.smith", "DN", "MT", "10000", "ACTIVE", "1234"`
    const answer = await das.call('token/batchAssignTokens', { attrs: { csv, charset: 'UTF-8' } })
    expect(answer.error).toBe(0)

    const token = { serial: '10000' }
    const { seed, timeWindow } = await das.must('token/retrieveCredential', { token })
    const otp = totpOf(fromBase32(seed), timeWindow)
    const body = { user: john, token, credential: { otp } }
    expect((await das.call('auth/verify', body)).error).not.toBe(0)
    const withPin = { ...body, credential: { otp, pin: '1234' } }
    expect(await das.call('auth/verify', withPin)).toEqual({ error: 0 })
  })
})

describe('search and get', () => {
  test('pages, conditions over relations and projections of every shape', async () => {
    const serials = ['a', 'b', 'c'].map((letter) => `page-${number}-${letter}`)
    const [first = '', second = '', third = ''] = await importEventTokens(...serials)
    for (const id of [first, second, third]) await assign(id)
    const match = [
      ['users.loginName', '=', loginName.toUpperCase()],
      ['users.domain.name', '=', 'domain.com'],
      ['product.productCode', '=', 'SE'],
    ]
    const page = await das.must('token/search', {
      match,
      return: [
        'serial',
        'product.name',
        { tokenAssignments: [{ elements: ['status', 'isOwner'] }] },
      ],
      sort: 'serial',
      order: 'desc',
      max: 2,
      offset: 1,
    })
    expect(page).toEqual({
      total: 3,
      rows: [serials[1], serials[0]].map((serial) => ({
        serial,
        'product.name': 'SafeID',
        tokenAssignments: { elements: [{ status: 'ACTIVE', isOwner: true }] },
      })),
    })
    const like = { match: [['serial', 'like', `page-${number}-%`]] }
    expect((await das.must('token/search', like)).total).toBe(3)

    const everything = await das.must('token/get', { match: { serial: serials[0] }, return: ['*'] })
    expect(everything).toMatchObject({ id: first, serial: serials[0], status: 'ACTIVE' })
    expect(JSON.stringify(everything)).not.toContain(rfcSeedHex)
    const user = await das.must('user/get', {
      match: [['loginName', '=', loginName]],
      return: ['id', 'status', { domain: ['id'] }, { tokens: [{ elements: ['serial'] }] }],
    })
    expect(user).toMatchObject({ id: userId, status: 'ACTIVE', domain: { id: domainId } })
    const held = user.tokens.elements.map(({ serial }: { serial: string }) => serial)
    expect(held.toSorted()).toEqual(serials)
    expect(
      (await das.call('token/get', { match: { serial: serials[0] }, return: ['seed'] })).error,
    ).not.toBe(0)
  })
})

describe('auth/verify', () => {
  test('shows the token that accepted, and one code once', async () => {
    const serial = `verify-${number}`
    const [id = ''] = await importEventTokens(serial)
    await assign(id)
    const wanted = { return: ['serial', 'product.name'] }
    expect(await verify(rfcCodes[0], wanted)).toEqual({
      error: 0,
      result: { serial, 'product.name': 'SafeID' },
    })
    expect(await verify(rfcCodes[0])).toEqual({
      error: expect.any(Number),
      message: 'Incorrect credentials',
      severity: 'ERROR',
    })
    const racers = await Promise.all(Array.from({ length: 10 }, () => verify(rfcCodes[1])))
    expect(racers.filter(({ error }) => error === 0)).toHaveLength(1)
  })

  test('a user set LOCKED is refused until set ACTIVE', async () => {
    const [id = ''] = await importEventTokens(`locked-${number}`)
    await assign(id)
    const set = (status: string) => das.call('user/set', { id: userId, attrs: { status } })
    expect(await set('LOCKED')).toEqual({ error: 0 })
    expect((await verify(rfcCodes[0])).error).not.toBe(0)
    expect(await set('ACTIVE')).toEqual({ error: 0 })
    expect(await verify(rfcCodes[0])).toEqual({ error: 0 })
  })
})
