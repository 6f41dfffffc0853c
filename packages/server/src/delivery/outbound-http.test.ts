import { once } from 'node:events'
import { createServer as createRawServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { OutboundCall } from '#domain/outbox/delivery-kind.ts'
import type { Attempt } from '#domain/outbox/outbox-message.ts'
import { type OutboundAllow, OutboundRule } from '#domain/tenants/outbound-rule.ts'
import { loopbackAllowed } from '#test/support/delivery.ts'
import { type Receiver, startReceiver } from '#test/support/receiver.ts'
import { AddressResolver, type AddressSource } from './address-resolver.ts'
import { OutboundHttp } from './outbound-http.ts'

let receiver: Receiver
let http: OutboundHttp
const servers: Server[] = []
const sockets = new Set<Socket>()
const noNames: AddressSource = async () => []

function client(addresses: AddressSource = noNames, allow: OutboundAllow = loopbackAllowed) {
  http?.close()
  http = new OutboundHttp({
    rule: new OutboundRule(allow),
    resolver: new AddressResolver(addresses),
    clock: () => 1_000,
  })
  return http
}
const call = (url: string, changes: Partial<OutboundCall> = {}): OutboundCall => ({
  url,
  headers: { 'content-type': 'application/json' },
  body: Buffer.from('{"a":1}'),
  timeoutMs: 400,
  ...changes,
})
async function send(url: string, changes?: Partial<OutboundCall>): Promise<Attempt> {
  const attempt = await http.send(call(url, changes))
  if (attempt === undefined) throw new Error('It was broken off.')
  return attempt
}
const portOf = (url: string) => new URL(url).port
async function listen(server: Server): Promise<number> {
  servers.push(server)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

beforeEach(async () => {
  receiver = await startReceiver()
  client()
})
afterEach(async () => {
  http.close()
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  for (const server of servers.splice(0)) server.close()
  await receiver[Symbol.asyncDispose]()
})

describe('a receiver', () => {
  test('gets the body whole, with its length and host, and nothing that was not asked for', async () => {
    expect(await send(`${receiver.url}?x=1`)).toMatchObject({
      atMs: 1_000,
      statusCode: 204,
      error: null,
    })
    const [received] = receiver.received
    expect(received?.path).toBe('/hook?x=1')
    expect(received?.body.toString()).toBe('{"a":1}')
    expect(Object.keys(received?.headers ?? {}).toSorted()).toEqual([
      'connection',
      'content-length',
      'content-type',
      'host',
      'user-agent',
    ])
    expect(received?.headers.host).toBe(`127.0.0.1:${portOf(receiver.url)}`)
  })

  test.each([400, 410, 429, 500, 503])('that answers %i is told so', async (status) => {
    receiver.answerWith(status)
    expect(await send(receiver.url)).toMatchObject({ statusCode: status, error: null })
  })

  test('that redirects is not followed', async () => {
    receiver.answerWith((_received, response) => {
      response.writeHead(302, { location: receiver.url }).end()
    })
    expect(await send(receiver.url)).toMatchObject({ statusCode: 302, error: 'REDIRECT' })
    expect(receiver.received).toHaveLength(1)
  })

  test('that never answers is left when the time is over', async () => {
    receiver.answerWith(() => {})
    const attempt = await send(receiver.url)
    expect(attempt).toMatchObject({ statusCode: null, error: 'TIMEOUT' })
    expect(attempt.durationMs).toBeGreaterThanOrEqual(350)
    expect(attempt.durationMs).toBeLessThan(3_000)
  })

  test('that sends its headers a byte at a time is left when the time is over', async () => {
    const port = await listen(
      createRawServer((socket) => {
        const timer = setInterval(() => socket.write('H'), 50)
        socket.on('close', () => clearInterval(timer))
      }),
    )
    const { error } = await send(`http://127.0.0.1:${port}/`)
    // The parser refuses what is no HTTP; either way it is over.
    expect(['TIMEOUT', 'CONNECTION']).toContain(error)
  })

  test('that streams for ever has answered, and is left', async () => {
    let wasClosed = false
    receiver.answerWith((_received, response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write('x'.repeat(100)), 10)
      response.on('close', () => {
        wasClosed = true
        clearInterval(timer)
      })
    })
    const startedAt = performance.now()
    expect(await send(receiver.url, { timeoutMs: 5_000 })).toMatchObject({ statusCode: 200 })
    expect(performance.now() - startedAt).toBeLessThan(3_000)
    await expect.poll(() => wasClosed).toBe(true)
  })

  test('that answers with megabytes has answered, and is left', async () => {
    receiver.answerWith((_received, response) => {
      response.writeHead(200)
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) {
          // Until the connection is full.
        }
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    })
    expect(await send(receiver.url, { timeoutMs: 5_000 })).toMatchObject({ statusCode: 200 })
  })

  test('that answers with endless headers is left', async () => {
    const port = await listen(
      createRawServer((socket) => {
        socket.write('HTTP/1.1 200 OK\r\n')
        for (let line = 0; line < 2_000; line++) socket.write(`x-${line}: ${'y'.repeat(50)}\r\n`)
      }),
    )
    expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({
      statusCode: null,
      error: 'CONNECTION',
    })
  })

  test('that resets the connection, or is not there, is a CONNECTION error', async () => {
    const port = await listen(createRawServer((socket) => socket.resetAndDestroy()))
    expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ error: 'CONNECTION' })
    servers.at(-1)?.close()
    expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ error: 'CONNECTION' })
  })

  test.each(['HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n', 'nonsense\r\n\r\n'])(
    'that does not speak HTTP is a CONNECTION error: %j',
    async (answer) => {
      const port = await listen(createRawServer((socket) => void socket.write(answer)))
      expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({
        statusCode: null,
        error: 'CONNECTION',
      })
    },
  )

  test('that wants to switch protocols, or promises an answer for ever, is left', async () => {
    const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'
    const switching = await listen(createRawServer((socket) => void socket.write(upgrade)))
    expect((await send(`http://127.0.0.1:${switching}/`)).statusCode).toBeNull()
    const promising = await listen(
      createRawServer((socket) => {
        const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 20)
        socket.on('close', () => clearInterval(timer))
      }),
    )
    expect(await send(`http://127.0.0.1:${promising}/`)).toMatchObject({ error: 'TIMEOUT' })
  })

  test('whose TLS cannot be set up is a TLS error', async () => {
    const noCertificate = await listen(createTlsServer({}))
    expect(await send(`https://127.0.0.1:${noCertificate}/`)).toMatchObject({ error: 'TLS' })
    expect(await send(`https://127.0.0.1:${portOf(receiver.url)}/`)).toMatchObject({
      error: 'TLS',
    })
  })

  test('that closes a kept connection as it is used again costs no attempt', async () => {
    let requestCount = 0
    const port = await listen(
      createRawServer((socket) => {
        let seen = 0
        socket.on('data', () => {
          seen += 1
          requestCount += 1
          if (seen === 1) socket.write('HTTP/1.1 204 No Content\r\n\r\n')
          else socket.resetAndDestroy()
        })
      }),
    )
    for (let round = 0; round < 3; round++) {
      expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ statusCode: 204 })
    }
    expect(requestCount).toBeGreaterThan(3)
  })

  test('is called over one connection again and again', async () => {
    const ports = new Set<number>()
    receiver.answerWith((_received, response, request) => {
      ports.add(request.socket.remotePort ?? 0)
      response.writeHead(200).end('thanks')
    })
    for (let round = 0; round < 5; round++) await send(receiver.url)
    expect(ports.size).toBe(1)
  })
})

describe('the way out is closed', () => {
  const forbidden = [
    '127.0.0.1',
    '0.0.0.0',
    '10.0.0.1',
    '100.64.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::7f00:1',
    '::ffff:127.0.0.1',
    '::ffff:0:10.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::7f00:1',
    '100::1',
    '2001::1',
    '2002:7f00:1::',
    'fc00::1',
    'fec0::1',
    'fe80::1',
    'ff02::1',
    'no address',
  ]

  test.each(forbidden)('to a name that leads to %s', async (address) => {
    client(async () => [address], { hosts: [], ranges: [] })
    expect(await send('https://hooks.acme.example/')).toMatchObject({
      statusCode: null,
      error: 'ADDRESS_REFUSED',
    })
  })

  test('to a name of which one address of several is private', async () => {
    client(async () => ['93.184.215.14', '10.0.0.1'], { hosts: [], ranges: [] })
    expect((await send('https://hooks.acme.example/')).error).toBe('ADDRESS_REFUSED')
  })

  test('to http, to addresses as such, to other schemes', async () => {
    client(noNames, { hosts: [], ranges: [] })
    for (const url of [
      receiver.url,
      'http://hooks.acme.example/',
      'https://[::1]/',
      'https://localhost/',
      'ftp://hooks.acme.example/',
      'no url',
    ]) {
      expect((await send(url)).error).toBe('ADDRESS_REFUSED')
    }
    expect(receiver.received).toEqual([])
  })

  test('to a name that was public when it was checked and is private when it is called again', async () => {
    const answers = [['127.0.0.1'], ['10.0.0.1']]
    let asked = 0
    const rebinding: AddressSource = async () => answers[Math.min(asked++, 1)] ?? []
    // Here 127.0.0.0/8 stands for what is public.
    client(rebinding, { hosts: [], ranges: loopbackAllowed.ranges })
    const url = `https://rebind.example:${portOf(receiver.url)}/`
    // Whoever resolved a second time between check and connection would get the private address.
    expect((await send(url)).error).toBe('TLS')
    expect(asked).toBe(1)
    client(rebinding, { hosts: [], ranges: loopbackAllowed.ranges })
    expect((await send(url)).error).toBe('ADDRESS_REFUSED')
  })

  test('the connection goes to the address that was checked, whatever the name server says then', async () => {
    let asked = 0
    const source: AddressSource = async () => {
      asked += 1
      return ['127.0.0.1']
    }
    client(source, { hosts: ['intranet.example'], ranges: [] })
    const url = `http://intranet.example:${portOf(receiver.url)}/hook`
    expect(await send(url)).toMatchObject({ statusCode: 204 })
    expect(receiver.received[0]?.headers.host).toBe(`intranet.example:${portOf(receiver.url)}`)
    expect(asked).toBe(1)
  })

  test('to a name without addresses, or whose name server does not answer in time', async () => {
    client(async () => {
      throw new Error('SERVFAIL')
    })
    expect((await send('https://hooks.acme.example/')).error).toBe('CONNECTION')
    client(() => new Promise(() => {}))
    expect((await send('https://hooks.acme.example/')).error).toBe('TIMEOUT')
  })
})

test('what is broken off at the end is not called a failure', async () => {
  receiver.answerWith(() => {})
  const sending = http.send(call(receiver.url, { timeoutMs: 10_000 }))
  await receiver.waitFor(1)
  http.close()
  expect(await sending).toBeUndefined()
})
