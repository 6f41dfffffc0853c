import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testStartMs } from '#test/support/storage.ts'
import { createInstallation, type Installation } from './otp-server.fixture.ts'

const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const unknownId = 'f000d9d5-d97d-4347-b4ff-e2edb72b35fd'

let at: Installation

beforeAll(async () => {
  at = await createInstallation()
  await at.addMethod({ name: 'otp.3', listSize: 3 })
  await at.addMethod({ name: 'random', listSize: 3, order: 'RANDOM' })
  await at.addMethod({
    name: 'letters',
    listSize: 24,
    indexFormat: 'BLOCK',
    indexBlockSize: 12,
    otpAlphabet: 'ABCDEFGH',
    otpLength: 8,
  })
  await at.addMethod({ name: 'short-lived', maxAgeLimitSeconds: 3600, freeListMaxAgeSeconds: 600 })
  await at.addMethod({ name: 'kept', listSize: 3, associatedListMaxAgeSeconds: 86_400 })
  for (let number = 2; number <= 9; number++) {
    await at.addUser({ id: `user${number}`, loginName: `login${number}` })
  }
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())

describe('createOtpList', () => {
  test('200 with status before sequence, every code once, told not to be kept', async () => {
    const answer = await at.call('POST /otp.3/otp-list', { query: { expires: '20270101' } })
    const { id = '' } = answer.the('otp-list')
    const codes = answer.tags.filter(({ name }) => name === 'otp').map(({ text }) => text)
    expect(id).toMatch(uuidPattern)
    expect(codes.every((code) => /^[0-9]{6}$/.test(code))).toBe(true)
    expect(new Set(codes).size).toBe(3)
    expect(answer.text).toBe(
      `${declaration}<otp-list id="${id}" expires="20270101" size="3">\n` +
        '  <status value="free" index="1"/>\n  <sequence>\n' +
        codes.map((code, i) => `    <otp index="${i + 1}">${code}</otp>\n`).join('') +
        '  </sequence>\n</otp-list>\n',
    )
    expect(answer.headers).toMatchObject({
      'content-type': 'application/xml;charset=UTF-8',
      'cache-control': 'no-store',
    })
  })

  test('200 with labels of blocks, and letters, as the method has them', async () => {
    const answer = await at.call('POST /letters/otp-list')
    const otps = answer.tags.filter(({ name }) => name === 'otp')
    const labels = otps.map(({ attributes }) => attributes.index)
    expect(labels).toEqual(
      ['A', 'B'].flatMap((block) => Array.from({ length: 12 }, (_, i) => `${block}${i + 1}`)),
    )
    expect(otps.every(({ text }) => /^[A-H]{8}$/.test(text))).toBe(true)
    expect(answer.the('status')).toEqual({ value: 'free', index: 'A1' })
  })

  test('200 with a first code that was drawn, where the order is random', async () => {
    const asked = new Set<string | undefined>()
    for (let round = 0; round < 40; round++) {
      asked.add((await at.call('POST /random/otp-list')).the('status').index)
    }
    expect(asked).toEqual(new Set(['1', '2', '3']))
  })

  test.each<[string, Record<string, string>, string]>([
    ['nothing: as the method says', {}, '20261221T100000Z'],
    ['max-age, in seconds', { 'max-age': '86400' }, '20261122T100000Z'],
    ['max-age up to midnight', { 'max-age': '50400' }, '20261122'],
    ['expires with a time', { expires: '20270101T120001Z' }, '20270101T120001Z'],
    ['expires at midnight, in full', { expires: '20270101T000000Z' }, '20270101'],
  ])('200 and an expiry for %s, from the query and from a form', async (_what, given, expires) => {
    expect((await at.call('POST /otp.3/otp-list', { query: given })).the('otp-list').expires).toBe(
      expires,
    )
    expect((await at.call('POST /otp.3/otp-list', { form: given })).the('otp-list').expires).toBe(
      expires,
    )
  })

  test.each<[string, string, string]>([
    ['both at once', 'max-age=60&expires=20270101', 'conflicting-parameters'],
    ['max-age twice', 'max-age=60&max-age=60', 'conflicting-parameters'],
    ['a day that no calendar has', 'expires=20270229', 'invalid-parameter'],
    ['an hour that no day has', 'expires=20270101T240000Z', 'invalid-parameter'],
    ['a year alone', 'expires=2027', 'invalid-parameter'],
    ['no value', 'expires=', 'invalid-parameter'],
    ['the past', 'expires=20261121', 'invalid-parameter'],
    ['this instant', 'expires=20261121T100000Z', 'invalid-parameter'],
    ['more than ten years', 'expires=20361122', 'invalid-parameter'],
    ['no time at all', 'max-age=0', 'invalid-parameter'],
    ['less than that', 'max-age=-1', 'invalid-parameter'],
    ['a fraction', 'max-age=1.5', 'invalid-parameter'],
    ['another spelling', 'max-age=060', 'invalid-parameter'],
    ['digits of another script', 'max-age=%D9%A6%D9%A0', 'invalid-parameter'],
    ['a number beyond all', 'max-age=9999999999999999', 'invalid-parameter'],
    ['a zero byte', 'max-age=60%00', 'invalid-parameter'],
    ['half an escape', 'max-age=%6', 'invalid-parameter'],
    ['bytes that are not UTF-8', 'x=%ff', 'invalid-parameter'],
  ])('400 for %s', async (_what, query, reason) => {
    expect(await at.call('POST /otp.3/otp-list', { query })).toMatchObject({ status: 400, reason })
  })

  test('400 beyond the limit of the method, and exactly at it 200', async () => {
    const status = async (query: Record<string, string>) =>
      (await at.call('POST /short-lived/otp-list', { query })).status
    expect(await status({ 'max-age': '3600' })).toBe(200)
    expect(await status({ 'max-age': '3601' })).toBe(400)
    expect(await status({ expires: '20261121T110000Z' })).toBe(200)
    expect(await status({ expires: '20261121T110001Z' })).toBe(400)
  })

  test('a form and the query may say the same, and may not contradict each other', async () => {
    const send = (query: string, form: string) => at.call('POST /otp.3/otp-list', { query, form })
    expect((await send('max-age=60', 'max-age=60')).status).toBe(200)
    expect(await send('max-age=60', 'max-age=61')).toMatchObject({
      status: 400,
      reason: 'conflicting-parameters',
    })
    expect(await send('max-age=60', 'expires=20270101')).toMatchObject({
      status: 400,
      reason: 'conflicting-parameters',
    })
    expect(await send('', 'max-age=60&max-age=60')).toMatchObject({
      status: 400,
      reason: 'conflicting-parameters',
    })
    expect((await send('colour=red', 'shape=round')).status).toBe(200)
  })

  test('415 for other bodies, 200 for none whatever its type', async () => {
    const send = (contentType: string, payload: string) =>
      at.call('POST /otp.3/otp-list', { headers: { 'content-type': contentType }, payload })
    expect(await send('application/json', '{}')).toMatchObject({
      status: 415,
      reason: 'unsupported-media-type',
    })
    expect((await send('multipart/form-data; boundary=x', 'max-age=60')).status).toBe(415)
    expect((await send('application/x-www-form-urlencoded; charset=latin1', 'a=b')).status).toBe(
      415,
    )
    expect(
      (await send('application/x-www-form-urlencoded;charset=UTF-8', 'max-age=60')).status,
    ).toBe(200)
    for (const headers of [{}, { 'content-type': 'text/xml' }]) {
      expect((await at.call('POST /otp.3/otp-list', { headers })).status).toBe(200)
    }
  })

  test('413 for a form of more than 1 MiB', async () => {
    const form = `x=${'a'.repeat(1_048_577)}`
    expect(await at.call('POST /otp.3/otp-list', { form })).toMatchObject({
      status: 413,
      reason: 'payload-too-large',
    })
  })

  test('404 for a method of another tenant, with the answer for one that nobody has', async () => {
    const stranger = await at.addAccount('other', ['otp-server:admin'])
    const foreign = await at.call('POST /otp.3/otp-list', { as: stranger })
    const missing = await at.call('POST /otp.notfound/otp-list')
    expect(foreign).toMatchObject({ status: 404, reason: 'unknown-method' })
    expect(foreign.text).toBe(missing.text)
    expect(missing.reason).toBe('unknown-method')
  })
})

describe('createOtpListBatch', () => {
  test('200 with as many lists as asked for, each as a single one, all with one expiry', async () => {
    const query = { 'batch-size': '100', 'max-age': '86400' }
    const answer = await at.call('POST /otp.3/otp-list/_batch', { query })
    const lists = answer.tags.filter(({ name }) => name === 'otp-list')
    expect(answer.the('batch-response')).toEqual({ 'batch-size': '100' })
    expect(new Set(lists.map(({ attributes }) => attributes.id)).size).toBe(100)
    expect(new Set(lists.map(({ attributes }) => attributes.expires))).toEqual(
      new Set(['20261122T100000Z']),
    )
    expect(answer.tags.filter(({ name }) => name === 'otp')).toHaveLength(300)
    expect(answer.headers['cache-control']).toBe('no-store')
    const [first] = lists
    expect((await at.call(`GET /otp.3/otp-list/${first?.attributes.id}`)).status).toBe(200)
  })

  test('200 with one list when the size is said nowhere; in the form as in the query', async () => {
    const size = async (sending: { query?: string; form?: string }) =>
      (await at.call('POST /otp.3/otp-list/_batch', sending)).the('batch-response')['batch-size']
    expect(await size({})).toBe('1')
    expect(await size({ form: 'batch-size=2' })).toBe('2')
    expect(await size({ form: 'batch-size=2', query: 'batch-size=2' })).toBe('2')
  })

  test.each(['0', '1001', '-1', '1e2', '', 'all'])('400 for the size "%s"', async (size) => {
    const answer = await at.call('POST /otp.3/otp-list/_batch', { query: { 'batch-size': size } })
    expect(answer).toMatchObject({ status: 400, reason: 'invalid-parameter' })
  })

  test('400 and no list for more than 100,000 codes; exactly as many are told', async () => {
    await at.addMethod({ name: 'long', listSize: 200, otpLength: 16 })
    const batch = (size: string) =>
      at.call('POST /long/otp-list/_batch', { query: { 'batch-size': size } })
    expect(await batch('501')).toMatchObject({ status: 400, reason: 'invalid-parameter' })
    expect((await at.call('GET /long/otp-list/_query')).the('query-response').count).toBe('0')
    const answer = await batch('500')
    expect(answer.tags.filter(({ name }) => name === 'otp')).toHaveLength(100_000)
  }, 60_000)
})

describe('queryOtpLists', () => {
  const ids = async (query: Record<string, string> | string, method = 'stock') =>
    (await at.call(`GET /${method}/otp-list/_query`, { query })).tags
      .filter(({ name }) => name === 'otp-list')
      .map(({ attributes }) => attributes.id)
  const made: string[] = []

  beforeAll(async () => {
    await at.addMethod({ name: 'stock', listSize: 3 })
    for (let number = 0; number < 5; number++) {
      made.push((await at.newList('stock')).id)
      at.clock.advance(60_000)
    }
    const [, , second = '', third = ''] = made
    await at.call(`PUT /stock/otp-list/${second}`, { query: { uniqueID: 'user2' } })
    await at.call(`PUT /stock/otp-list/${third}`, { query: { uniqueID: 'user3' } })
    at.clock.set(testStartMs)
  })

  test('200 with everything of the method in order of creation, never with codes', async () => {
    const answer = await at.call('GET /stock/otp-list/_query')
    expect(await ids({})).toEqual(made)
    expect(answer.the('query-response')).toEqual({ count: '5', 'page-size': '100' })
    expect(answer.the('otp-list')).toEqual({
      id: made[0],
      expires: '20261221T100000Z',
      created: '20261121T100000Z',
      size: '3',
    })
    expect(answer.text).toContain(
      `  <otp-list id="${made[2]}" created="20261121T100200Z" size="3">\n` +
        '    <status value="associated" index="1">\n      <user-info uniqueID="user2"/>\n',
    )
    expect(answer.text).not.toMatch(/<otp |<sequence/)
  })

  test('200 with the lists that meet every condition', async () => {
    const [a, b, c, d, e] = made
    expect(await ids({ status: 'associated' })).toEqual([c, d])
    expect(await ids({ status: 'associated,free' })).toEqual(made)
    expect(await ids({ status: 'active' })).toEqual([])
    expect(await ids({ uniqueID: 'user2' })).toEqual([c])
    expect(await ids({ login: 'LOGIN3', status: 'associated' })).toEqual([d])
    expect(await ids({ login: 'LOGIN3', status: 'free' })).toEqual([])
    expect(await ids({ uniqueID: 'nobody' })).toEqual([])
    expect(await ids({ 'created-after': '20261121T100100Z' })).toEqual([b, c, d, e])
    expect(await ids({ 'created-before': '20261121T100100Z' })).toEqual([a])
    expect(await ids({ 'expires-after': '20261221T100100Z' })).toEqual([b, e])
    expect(await ids({ 'expires-before': '20261221T100100Z' })).toEqual([a])
    expect(await ids({ 'remaining-max': '3' })).toEqual(made)
    expect(await ids({ 'remaining-max': '2' })).toEqual([])
  })

  test('200 with the name by which the request called the user', async () => {
    const answer = await at.call('GET /stock/otp-list/_query', { query: { login: 'Login2' } })
    expect(answer.the('user-info')).toEqual({ uniqueID: 'user2', login: 'Login2' })
  })

  test('200 page by page, each list once, also while lists change', async () => {
    const first = await at.call('GET /stock/otp-list/_query', { query: { 'page-size': '2' } })
    const { 'next-page-token': token = '', ...others } = first.the('query-response')
    expect(others).toEqual({ count: '2', 'page-size': '2' })
    expect(token).toMatch(/^[A-Za-z0-9_-]{1,512}$/)
    at.clock.advance(5 * 60_000)
    const gone = (await at.newList('stock')).id
    const rest = await ids({ 'page-size': '200', 'page-token': token })
    expect(rest).toEqual([...made.slice(2), gone])
    await at.call(`DELETE /stock/otp-list/${gone}`)
    at.clock.advance(10 * 60_000)
    expect(await ids({ 'page-size': '2', 'page-token': token })).toEqual(made.slice(2, 4))
    at.clock.set(testStartMs)
    const last = await at.call('GET /stock/otp-list/_query', { query: { 'page-size': '5' } })
    expect(last.the('query-response')).not.toHaveProperty('next-page-token')
  })

  test('400 for a token of other conditions, of another method, of another tenant, and for none', async () => {
    const first = await at.call('GET /stock/otp-list/_query', { query: { 'page-size': '1' } })
    const token = first.the('query-response')['next-page-token'] ?? ''
    const status = async (query: Record<string, string>, method = 'stock') =>
      (await at.call(`GET /${method}/otp-list/_query`, { query })).status
    expect(await status({ 'page-token': token, status: 'free' })).toBe(400)
    expect(await status({ 'page-token': token }, 'otp.3')).toBe(400)
    expect(await status({ 'page-token': 'AAAA' })).toBe(400)
    expect(await status({ 'page-token': '' })).toBe(400)
    expect(await status({ 'page-token': 'a'.repeat(513) })).toBe(400)
    expect(await status({ 'page-token': token })).toBe(200)
  })

  test.each<[string, string]>([
    ['status=used', 'invalid-parameter'],
    ['status=', 'invalid-parameter'],
    ['status=free,free', 'conflicting-parameters'],
    ['status=free&status=active', 'conflicting-parameters'],
    ['status=FREE', 'invalid-parameter'],
    ['uniqueID=', 'invalid-parameter'],
    ['uniqueID=a&login=b', 'conflicting-parameters'],
    ['objectGuid=x', 'invalid-parameter'],
    ['created-after=20260230', 'invalid-parameter'],
    ['created-before=yesterday', 'invalid-parameter'],
    ['expires-after=20261121T100000', 'invalid-parameter'],
    ['expires-before=00000000', 'invalid-parameter'],
    ['remaining-max=-1', 'invalid-parameter'],
    ['remaining-max=1001', 'invalid-parameter'],
    ['page-size=0', 'invalid-parameter'],
    ['page-size=1001', 'invalid-parameter'],
  ])('400 for %s', async (query, reason) => {
    expect(await at.call('GET /stock/otp-list/_query', { query })).toMatchObject({
      status: 400,
      reason,
    })
  })

  test('200 without what has expired, from its instant on', async () => {
    const { id } = await at.newList('short-lived')
    at.clock.advance(599_999)
    expect(await ids({}, 'short-lived')).toContain(id)
    at.clock.advance(1)
    expect(await ids({}, 'short-lived')).not.toContain(id)
    at.clock.set(testStartMs)
  })
})

describe('getOtpList', () => {
  test('200 free, with its expiry; the id in either case', async () => {
    const { id } = await at.newList('otp.3')
    const text =
      `${declaration}<otp-list id="${id}" expires="20261221T100000Z">\n` +
      '  <status value="free" index="1"/>\n</otp-list>\n'
    expect((await at.call(`GET /otp.3/otp-list/${id}`)).text).toBe(text)
    expect((await at.call(`GET /otp.3/otp-list/${id.toUpperCase()}`)).text).toBe(text)
  })

  test('200 associated, with its owner and the expiry that the method gives it', async () => {
    const { id } = await at.giveList('user4', 'kept')
    expect((await at.call(`GET /kept/otp-list/${id}`)).text).toBe(
      `${declaration}<otp-list id="${id}" expires="20261122T100000Z">\n` +
        '  <status value="associated" index="1">\n    <user-info uniqueID="user4"/>\n' +
        '  </status>\n</otp-list>\n',
    )
  })

  test('HEAD has the headers of GET and no body', async () => {
    const { id } = await at.newList('otp.3')
    const answer = await at.call(`HEAD /otp.3/otp-list/${id}`)
    expect(answer).toMatchObject({ status: 200, text: '' })
    expect(answer.headers['content-type']).toBe('application/xml;charset=UTF-8')
  })

  test('404 from the instant of expiry, for another method, another tenant, and what is no id', async () => {
    const { id } = await at.newList('short-lived')
    const stranger = await at.addAccount('other', ['otp-server:admin'])
    const get = async (path: string, as = at.admin) => {
      const { status, reason } = await at.call(`GET ${path}` as 'GET /', { as })
      return [status, reason]
    }
    expect(await get(`/otp.3/otp-list/${id}`)).toEqual([404, 'unknown-list'])
    expect(await get(`/short-lived/otp-list/${id}`, stranger)).toEqual([404, 'unknown-method'])
    expect(await get(`/otp.3/otp-list/${unknownId}`)).toEqual([404, 'unknown-list'])
    for (const text of ['1', id.replaceAll('-', ''), `{${id}}`, `urn:uuid:${id}`, `${id}%00`]) {
      expect(await get(`/otp.3/otp-list/${text}`)).toEqual([404, 'unknown-list'])
    }
    expect(await get('/otp.3/otp-list/_all')).toEqual([404, 'unknown-identifier'])
    at.clock.advance(599_999)
    expect(await get(`/short-lived/otp-list/${id}`)).toEqual([200, undefined])
    at.clock.advance(1)
    expect(await get(`/short-lived/otp-list/${id}`)).toEqual([404, 'unknown-list'])
    at.clock.set(testStartMs)
  })
})

describe('associateOtpList', () => {
  const put = (id: string, query: Record<string, string> | string) =>
    at.call(`PUT /otp.3/otp-list/${id}`, { query })

  test('200 without codes and without the expiry of free lists', async () => {
    const { id } = await at.newList('otp.3')
    expect((await put(id, { uniqueID: 'user1' })).text).toBe(
      `${declaration}<otp-list id="${id}">\n  <status value="associated" index="1">\n` +
        '    <user-info uniqueID="user1"/>\n  </status>\n</otp-list>\n',
    )
  })

  test('200 for each of the three names, and the answer calls the user by it', async () => {
    const guid = '6b29fc40-ca47-1067-b31d-00dd010662da'
    await at.addUser({
      loginName: 'Jürgen & Söhne',
      identifiers: [
        { scheme: 'uniqueID', value: 'Ümit <"1">' },
        { scheme: 'objectGuid', value: guid },
      ],
    })
    const told = async (query: Record<string, string>) => {
      const { id } = await at.newList('otp.3')
      return (await put(id, query)).the('user-info')
    }
    const uniqueID = 'Ümit <"1">'
    expect(await told({ uniqueID })).toEqual({ uniqueID })
    expect(await told({ login: 'JÜRGEN & söhne' })).toEqual({ uniqueID, login: 'JÜRGEN & söhne' })
    const braced = `{${guid.toUpperCase()}}`
    expect(await told({ objectGuid: braced })).toEqual({ uniqueID, objectGuid: braced })
    const bare = guid.replaceAll('-', '')
    expect(await told({ objectGuid: bare })).toEqual({ uniqueID, objectGuid: bare })
  })

  test('200 in XML for a name that XML cannot carry: U+FFFD stands in its place', async () => {
    const uniqueID = 'a\u{FFFF}b\u{1FFFE}'
    await at.addUser({ loginName: 'odd', identifiers: [{ scheme: 'uniqueID', value: uniqueID }] })
    const { id } = await at.newList('otp.3')
    expect((await put(id, { uniqueID })).the('user-info').uniqueID).toBe('a\u{FFFD}b\u{1FFFE}')
    expect((await put(id, { uniqueID })).status).toBe(403)
  })

  test('200 and the list that waited before is gone; other methods keep theirs', async () => {
    const other = await at.giveList('user5', 'kept')
    const first = await at.giveList('user5', 'otp.3')
    const second = await at.giveList('user5', 'otp.3')
    const status = async (path: string) => (await at.call(`GET ${path}` as 'GET /')).status
    expect(await status(`/otp.3/otp-list/${first.id}`)).toBe(404)
    expect(await status(`/otp.3/otp-list/${second.id}`)).toBe(200)
    expect(await status(`/kept/otp-list/${other.id}`)).toBe(200)
  })

  test('403 for a list that is not free, also for the same user', async () => {
    const { id } = await at.giveList('user6', 'otp.3')
    for (const uniqueID of ['user6', 'user7']) {
      expect(await put(id, { uniqueID })).toMatchObject({ status: 403, reason: 'list-not-free' })
    }
    expect((await at.call(`GET /otp.3/otp-list/${id}`)).the('user-info').uniqueID).toBe('user6')
  })

  test('list before parameters, parameters before user, user before status', async () => {
    const { id } = await at.giveList('user8', 'otp.3')
    expect(await put(unknownId, {})).toMatchObject({ status: 404, reason: 'unknown-list' })
    expect(await put('_all', {})).toMatchObject({ status: 404, reason: 'unknown-identifier' })
    expect(await put(id, {})).toMatchObject({ status: 400, reason: 'missing-parameter' })
    expect(await put(id, { uniqueID: 'nobody' })).toMatchObject({
      status: 404,
      reason: 'unknown-user',
    })
    expect(await put(id, { uniqueID: 'user1' })).toMatchObject({ status: 403 })
  })

  test.each<[string, string]>([
    ['uniqueID=', 'invalid-parameter'],
    ['uniqueID=a&login=b', 'conflicting-parameters'],
    ['uniqueID=a&uniqueID=a', 'conflicting-parameters'],
    ['login=', 'invalid-parameter'],
    [`uniqueID=${'a'.repeat(256)}`, 'invalid-parameter'],
    ['objectGuid=not-a-guid', 'invalid-parameter'],
    ['uniqueid=user1', 'missing-parameter'],
    ['uniqueID=%C3', 'invalid-parameter'],
  ])('400 for %s', async (query, reason) => {
    const { id } = await at.newList('otp.3')
    expect(await put(id, query)).toMatchObject({ status: 400, reason })
    expect((await at.call(`GET /otp.3/otp-list/${id}`)).the('status').value).toBe('free')
  })

  test('reads the query only: what a body says is ignored, whatever it is', async () => {
    const { id } = await at.newList('otp.3')
    const path = `PUT /otp.3/otp-list/${id}` as const
    const form = { uniqueID: 'user1' }
    expect(await at.call(path, { form })).toMatchObject({
      status: 400,
      reason: 'missing-parameter',
    })
    const answer = await at.call(path, {
      query: { uniqueID: 'user9' },
      payload: '{"uniqueID":',
      headers: { 'content-type': 'application/json' },
    })
    expect(answer).toMatchObject({ status: 200 })
  })
})

describe('deleteOtpList', () => {
  test('204 without a body, then 404', async () => {
    const { id } = await at.newList('otp.3')
    const answer = await at.call(`DELETE /otp.3/otp-list/${id}`)
    expect(answer).toMatchObject({
      status: 204,
      text: '',
      headers: { 'cache-control': 'no-store' },
    })
    expect(answer.headers['content-type']).toBeUndefined()
    for (const method of ['DELETE', 'GET']) {
      expect(await at.call(`${method} /otp.3/otp-list/${id}`)).toMatchObject({
        status: 404,
        reason: 'unknown-list',
      })
    }
  })

  test('404 for another method and another tenant, and the list stays', async () => {
    const { id } = await at.giveList('user7', 'otp.3')
    const stranger = await at.addAccount('other', ['otp-server:admin'])
    expect((await at.call(`DELETE /kept/otp-list/${id}`)).status).toBe(404)
    expect((await at.call(`DELETE /otp.3/otp-list/${id}`, { as: stranger })).status).toBe(404)
    expect((await at.call(`GET /otp.3/otp-list/${id}`)).status).toBe(200)
  })
})
