import { generateKeyPairSync, type KeyObject, verify } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import {
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls'

/** TLS of providers in tests: an authority of theirs, a server at 127.0.0.1, a client; good for a hundred years. */
export const providerTls = JSON.parse(
  readFileSync(new URL('provider-tls.json', import.meta.url), 'utf8'),
) as Readonly<
  Record<
    'authority' | 'serverCertificate' | 'serverKey' | 'clientCertificate' | 'clientKey',
    string
  >
>

/** As `NODE_EXTRA_CA_CERTS` would: this process trusts the authority of the test's providers. */
export function trustTestProviders(): void {
  setDefaultCACertificates([...getCACertificates('default'), providerTls.authority])
}

/** A key pair that a provider gave somebody, the private half as the PEM that is handed over. */
export interface IssuedKey {
  readonly pem: string
  readonly publicKey: KeyObject
}

export function issueSigningKey(): IssuedKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { pem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), publicKey }
}

/** A service account of Google's with its file. */
export function issueServiceAccount(
  projectId = 'acme-bank',
): IssuedKey & { readonly file: string } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const file = JSON.stringify({
    type: 'service_account',
    project_id: projectId,
    private_key_id: 'k1',
    private_key: pem,
    client_email: `push@${projectId}.iam.gserviceaccount.com`,
    client_id: '1',
    token_uri: 'http://169.254.169.254/token',
  })
  return { pem, publicKey, file }
}

/** The parts of a compact JWT. @throws Error unless the signature holds. */
export function openJwt(
  jwt: string,
  publicKey: KeyObject,
): { header: Record<string, unknown>; claims: Record<string, unknown> } {
  const [header = '', claims = '', signature = ''] = jwt.split('.')
  const signed = Buffer.from(`${header}.${claims}`)
  const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const
  if (!verify('sha256', signed, key, Buffer.from(signature, 'base64url'))) {
    throw new Error('The signature does not hold.')
  }
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
  return { header: read(header), claims: read(claims) }
}

/** What Apple got. */
export interface ApnsCall {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly payload: Record<string, unknown>
  /** Common name of the client's certificate. */
  readonly client: string | undefined
  /** Which of the connections it came over. */
  readonly connection: number
  readonly session: ServerHttp2Session
}

export type ApnsAnswering =
  | { readonly status: number; readonly reason?: string; readonly headers?: object }
  | ((call: ApnsCall, stream: ServerHttp2Stream) => void)

export interface ApnsServer extends AsyncDisposable {
  readonly origin: string
  readonly received: readonly ApnsCall[]
  /** Connections that were opened so far. */
  readonly connectionCount: number
  answerWith(answering: ApnsAnswering): void
}

/** A provider that speaks HTTP/2 over TLS as Apple does. */
export async function startApnsServer(): Promise<ApnsServer> {
  const received: ApnsCall[] = []
  const connections = new Map<ServerHttp2Session, number>()
  let answering: ApnsAnswering = { status: 200 }
  const server = createSecureServer({
    cert: providerTls.serverCertificate,
    key: providerTls.serverKey,
    ca: providerTls.authority,
    requestCert: true,
    rejectUnauthorized: false,
    allowHTTP1: false,
  })
  server.on('session', (session) => {
    connections.set(session, connections.size + 1)
    session.on('error', () => {})
  })
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      const session = stream.session as ServerHttp2Session | undefined
      if (session === undefined) return
      const peer = (session.socket as TLSSocket).getPeerCertificate()
      const call: ApnsCall = {
        path: headers[':path'] ?? '',
        headers,
        payload: JSON.parse(Buffer.concat(chunks).toString()),
        client: peer?.subject?.CN?.toString(),
        connection: connections.get(session) ?? 0,
        session,
      }
      received.push(call)
      if (typeof answering === 'function') answering(call, stream)
      else {
        const { status, reason, headers: more = {} } = answering
        stream.respond({ ':status': status, 'apns-id': 'x', ...more })
        stream.end(reason === undefined ? '' : JSON.stringify({ reason }))
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `https://127.0.0.1:${port}`,
    received,
    get connectionCount() {
      return connections.size
    },
    answerWith(next) {
      answering = next
    },
    async [Symbol.asyncDispose]() {
      for (const session of connections.keys()) session.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** What stands between: it forgets connections without a word when told to, and lets new ones through. */
export async function startRouter(
  origin: string,
): Promise<{ readonly origin: string; forget(): void } & AsyncDisposable> {
  const { hostname, port } = new URL(origin)
  const sockets = new Set<Socket>()
  const router = createServer((incoming) => {
    const outgoing = connect(Number(port), hostname)
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(one)
      one.on('data', (chunk) => other.write(chunk))
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
  })
  router.listen(0, '127.0.0.1')
  await once(router, 'listening')
  return {
    origin: `https://127.0.0.1:${(router.address() as AddressInfo).port}`,
    forget() {
      for (const socket of sockets) socket.removeAllListeners('data').resume()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      router.close()
      await once(router, 'close')
    },
  }
}
