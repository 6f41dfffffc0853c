import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createRawServer, type Server, type Socket } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type OutboundAllow, OutboundRule } from '#domain/tenants/outbound-rule.ts'
import { loopbackAllowed } from '#test/support/delivery.ts'
import { providerTls, trustTestProviders } from '#test/support/push-providers.ts'
import { type Answering, type Receiver, startReceiver } from '#test/support/receiver.ts'
import { AddressResolver, type AddressSource } from './address-resolver.ts'
import { DocumentHttp, documentBytesMax } from './document-http.ts'

let receiver: Receiver
const servers: Server[] = []
const sockets = new Set<Socket>()

function client(addresses: AddressSource = async () => [], allow: OutboundAllow = loopbackAllowed) {
  return new DocumentHttp({
    rule: new OutboundRule(allow),
    resolver: new AddressResolver(addresses),
  })
}
const failureOf = (documents: DocumentHttp, url: string): Promise<unknown> =>
  documents.fetch(url).then(
    () => 'none',
    (error) => error.failure,
  )
async function listen(server: Server): Promise<string> {
  servers.push(server)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`
}

beforeEach(async () => {
  receiver = await startReceiver()
})
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  for (const server of servers.splice(0)) server.close()
  await receiver[Symbol.asyncDispose]()
})

test('a document comes over TLS from an authority that is trusted, by the name it certifies', async () => {
  const { serverCertificate: cert, serverKey: key } = providerTls
  const server = createTlsServer({ cert, key }, (_request, response) => response.end('{"keys":[]}'))
  const port = new URL(await listen(server)).port
  const url = `https://127.0.0.1:${port}/keys`
  const trusted = getCACertificates('default')
  // Another file of this process may have trusted it before.
  setDefaultCACertificates(getCACertificates('bundled'))
  try {
    expect(await failureOf(client(), url)).toBe('tls')
    trustTestProviders()
    expect(Buffer.from(await client().fetch(url)).toString()).toBe('{"keys":[]}')
    const elsewhere = client(async () => ['127.0.0.1'])
    expect(await failureOf(elsewhere, `https://idp.acme.example:${port}/keys`)).toBe('tls')
  } finally {
    setDefaultCACertificates(trusted)
  }
})

test('a document comes as it is, without anything of ours having been told', async () => {
  const bytes = Buffer.alloc(documentBytesMax, 'x')
  receiver.answerWith((_received, response) => response.end(bytes))
  expect(bytes.equals(await client().fetch(`${receiver.url}?a=1`))).toBe(true)
  const [received] = receiver.received
  expect(received?.path).toBe('/hook?a=1')
  expect(Object.keys(received?.headers ?? {}).sort()).toEqual([
    'accept',
    'connection',
    'host',
    'user-agent',
  ])
})

describe('there is none', () => {
  test.each<[string, string, Answering]>([
    [
      'where the answer leads elsewhere',
      'redirect',
      (_, response) => response.writeHead(302, { location: receiver.url }).end('{}'),
    ],
    ['under another status', 'status', (_, response) => response.writeHead(500).end('{}')],
    ['that is partial', 'status', (_, response) => response.writeHead(206).end('{}')],
    [
      'that is longer than it may be',
      'too_large',
      (_, response) => response.end(Buffer.alloc(documentBytesMax + 1)),
    ],
    [
      'without end',
      'too_large',
      (_, response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536))) {
            // Until the connection is full.
          }
          if (!response.destroyed) response.once('drain', more)
        }
        more()
      },
    ],
    [
      'that breaks off',
      'connection',
      (_, response) => {
        response.writeHead(200, { 'content-length': '100' })
        response.write('{"keys":[')
        setTimeout(() => response.destroy(), 20)
      },
    ],
  ])('%s', async (_name, failure, answering) => {
    receiver.answerWith(answering)
    expect(await failureOf(client(), receiver.url)).toBe(failure)
    expect(receiver.received).toHaveLength(1)
  })

  test('that is compressed: what was not asked for is handed on as it came, and is no JSON', async () => {
    receiver.answerWith((_received, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(Buffer.from([0x1f, 0x8b]))
    })
    expect(await client().fetch(receiver.url)).toHaveLength(2)
  })

  test('in what is no HTTP, wants to switch, resets, or is not there', async () => {
    for (const answer of [
      'nonsense\r\n\r\n',
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
      `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    ]) {
      const url = await listen(createRawServer((socket) => void socket.write(answer)))
      expect(await failureOf(client(), url)).toBe('connection')
    }
    const gone = await listen(createRawServer((socket) => socket.resetAndDestroy()))
    expect(await failureOf(client(), gone)).toBe('connection')
    const noTls = receiver.url.replace('http:', 'https:')
    expect(await failureOf(client(), noTls)).toBe('tls')
    servers.at(-1)?.close()
    expect(await failureOf(client(), gone.replace('http:', 'https:'))).toBe('connection')
  })

  test('at addresses that may not be called, whatever their name says', async () => {
    const nobody: OutboundAllow = { hosts: [], ranges: [] }
    const privately = client(async () => ['93.184.215.14', '10.0.0.1'], nobody)
    expect(await failureOf(privately, 'https://idp.acme.example/keys')).toBe('address_refused')
    expect(await failureOf(client(undefined, nobody), receiver.url)).toBe('address_refused')
    expect(receiver.received).toEqual([])
  })

  test('and the connection goes to the address that was checked, asked for once', async () => {
    receiver.answerWith((_received, response) => response.end('{}'))
    let asked = 0
    const source: AddressSource = async () => {
      asked += 1
      return asked === 1 ? ['127.0.0.1'] : ['10.0.0.1']
    }
    const documents = client(source, { hosts: ['idp.example'], ranges: [] })
    const url = `http://idp.example:${new URL(receiver.url).port}/keys`
    expect(Buffer.from(await documents.fetch(url)).toString()).toBe('{}')
    expect(asked).toBe(1)
  })

  test('once the server stops, nor in more than 64 places at once', async () => {
    receiver.answerWith(() => {})
    const documents = client()
    const waiting = Array.from({ length: 64 }, () => failureOf(documents, receiver.url))
    await receiver.waitFor(64)
    expect(await failureOf(documents, receiver.url)).toBe('busy')
    documents.close()
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['timeout']))
    expect(await failureOf(documents, receiver.url)).toBe('busy')
  })
})
