/**
 * What the certificate authority issues, as other makers' programs see it: OpenSSL, GnuTLS and NSS check certificates,
 * lists, OCSP answers and signed messages, refuse what is revoked, and what OpenSSL signs and requests is taken.
 *
 *     npm run proof:pki
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { toPem } from '@countersign/protocol/certificate/pem.ts'
import {
  isSignatureValid,
  parseSignedData,
  writeSignedData,
} from '@countersign/protocol/message/signed-data.ts'
import { sha256 } from '#custody/digests.ts'
import { EcdsaVerifier } from '#custody/key-custody.ts'
import { MasterKey } from '#custody/master-key.ts'
import { Caller } from '#domain/callers/caller.ts'
import { shardSize } from '#domain/certificates/certificate.ts'
import { rootId } from '#domain/certificates/issuer.ts'
import { createApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { createTestKey, csrOf, type TestKey } from '../support/device-keys.ts'

const tools: Readonly<Record<string, string>> = {
  openssl: 'openssl',
  certtool: 'gnutls-bin',
  ocsptool: 'gnutls-bin',
  certutil: 'libnss3-tools',
  crlutil: 'libnss3-tools',
}
const tenantId = 'acme'
const folder = mkdtempSync(join(tmpdir(), 'countersign-pki-'))
let failures = 0

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function path(name: string): string {
  return join(folder, name)
}

/** What a program says, and whether it was content. Awaited: it may ask the server of this very process. */
async function run(
  program: string,
  ...parameters: readonly string[]
): Promise<{ ok: boolean; text: string }> {
  const child = spawn(program, parameters, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { ok: code === 0, text: output + errors }
}

function check(what: string, holds: boolean, output = ''): void {
  say(`${holds ? 'ok  ' : 'FAIL'} ${what}`)
  if (holds) return
  failures++
  say(output)
}

async function accepts(
  what: string,
  program: string,
  ...parameters: readonly string[]
): Promise<void> {
  const { ok, text: output } = await run(program, ...parameters)
  check(what, ok, output)
}

async function refuses(
  what: string,
  words: RegExp,
  program: string,
  ...parameters: readonly string[]
) {
  const { ok, text: output } = await run(program, ...parameters)
  check(what, !ok && words.test(output), output)
}

async function says(
  what: string,
  words: RegExp,
  program: string,
  ...parameters: readonly string[]
): Promise<void> {
  const { text: output } = await run(program, ...parameters)
  check(what, words.test(output), output)
}

function requireTools(): void {
  const missing = Object.keys(tools).filter((tool) => spawnSync(tool, ['--help']).error)
  if (missing.length === 0) return
  const packages = [...new Set(missing.map((tool) => tools[tool]))].join(' ')
  process.stderr.write(
    `${missing.join(', ')}: not installed. Debian, Ubuntu: apt-get install ${packages}\n`,
  )
  process.exit(2)
}

requireTools()
const { config, secrets } = readConfig(
  {
    COUNTERSIGN_DATABASE_URL: `sqlite:${path('test.db')}`,
    COUNTERSIGN_PORT: '0',
    COUNTERSIGN_ADMIN_TOKEN: 'the-administrator-of-a-proof',
  },
  () => '',
)
const app = await createApp({ config, secrets, masterKey: new MasterKey(Buffer.alloc(32, 7)) })
await app.prepare()
const origin = await app.listen()
const { pki, tenants } = app.core
const system = Caller.system()

async function download(from: string, to: string): Promise<void> {
  const response = await fetch(origin + from)
  if (!response.ok) throw new Error(`${from}: ${response.status}`)
  writeFileSync(path(to), Buffer.from(await response.arrayBuffer()))
}

/** A certificate of a device with the key; its reference. */
async function issue(name: string, key: TestKey, csr: Uint8Array): Promise<string> {
  const deviceId = app.composed.nextId()
  const caller = new Caller({
    type: 'DEVICE',
    id: deviceId,
    address: null,
    surface: 'device',
    requestId: null,
    tenantId,
    scopes: [],
  })
  const owner = { tenantId, deviceId, userId: 'jürgen', deviceKey: key.thumbprint, bioKey: null }
  const { id } = await pki.certificates.request(caller, owner, { profile: 'AST_DEVICE', csr })
  await pki.issuance.issueDue()
  const { der } = await pki.certificates.get(system, tenantId, id)
  if (der === null) throw new Error('Nothing was issued.')
  writeFileSync(path(`${name}.pem`), toPem('CERTIFICATE', der))
  return id
}

async function lists(): Promise<void> {
  await download(`/pki/${tenantId}/issuers/${signerId}/crl`, 'signer.crl')
  await download(`/pki/${tenantId}/issuers/${rootId}/crl`, 'root.crl')
  for (const name of ['signer', 'root']) {
    execFileSync('openssl', [
      'crl',
      '-inform',
      'DER',
      '-in',
      path(`${name}.crl`),
      '-out',
      path(`${name}.crl.pem`),
    ])
  }
  const both = ['signer', 'root'].map((name) => readFileSync(path(`${name}.crl.pem`), 'utf8'))
  writeFileSync(path('lists.pem'), both.join(''))
}

await tenants.create(system, { id: tenantId, name: 'Acme' })
const { id: signerId } = await pki.signers.create(system, tenantId)
await pki.issuance.issueDue()
await download(`/pki/${tenantId}/issuers/${signerId}/chain`, 'chain.pem')
const [signerPem = '', rootPem = ''] = readFileSync(path('chain.pem'), 'utf8').split(
  /(?<=END CERTIFICATE-----\n)/,
)
writeFileSync(path('signer.pem'), signerPem)
writeFileSync(path('root.pem'), rootPem)

const goodKey = createTestKey()
writeFileSync(path('good.key'), goodKey.privateKey.export({ format: 'pem', type: 'pkcs8' }))
await issue('good', goodKey, await csrOf(goodKey))
const badKey = createTestKey()
const badId = await issue('bad', badKey, await csrOf(badKey))
await pki.certificates.revoke(system, tenantId, { id: badId, reason: 'KEY_COMPROMISE' })
for (const name of ['good', 'bad']) {
  const leaf = readFileSync(path(`${name}.pem`), 'utf8')
  writeFileSync(path(`${name}-chain.pem`), leaf + signerPem + rootPem)
}
await lists()

say(`\n${(await run('openssl', 'version')).text.trim()}`)
const strict = ['verify', '-x509_strict', '-CAfile', 'root.pem', '-untrusted', 'signer.pem']
const withLists = [...strict, '-crl_check_all', '-CRLfile', 'lists.pem']
await accepts('the chain is valid, strictly', 'openssl', ...strict, 'good.pem')
await accepts('nothing of it is revoked', 'openssl', ...withLists, 'good.pem')
await refuses('the revoked one is', /certificate revoked/, 'openssl', ...withLists, 'bad.pem')
await accepts(
  'it is for signing messages',
  'openssl',
  ...strict,
  '-purpose',
  'smimesign',
  'good.pem',
)
await refuses(
  'it issues nothing',
  /invalid CA|unsuitable|pathlen|unable/i,
  'openssl',
  'verify',
  '-x509_strict',
  '-CAfile',
  'root.pem',
  '-untrusted',
  'good.pem',
  'signer.pem',
  '-purpose',
  'crlsign',
  'good.pem',
)
for (const [issuer, list] of [
  ['signer', 'signer'],
  ['root', 'root'],
]) {
  await says(
    `the list of the ${issuer} is signed`,
    /verify OK/,
    'openssl',
    'crl',
    '-inform',
    'DER',
    '-in',
    `${list}.crl`,
    '-CAfile',
    `${issuer}.pem`,
    '-noout',
  )
}
for (const name of ['good', 'signer', 'root']) {
  await accepts(`${name} is DER`, 'openssl', 'asn1parse', '-in', `${name}.pem`)
}
const ocsp = ['ocsp', '-issuer', 'signer.pem', '-CAfile', 'root.pem', '-verify_other', 'signer.pem']
const url = ['-url', `${origin}/pki/${tenantId}/ocsp`]
await says(
  'OCSP: good, with nonce',
  /good\.pem: good[\s\S]*Response verify OK/,
  'openssl',
  ...ocsp,
  '-cert',
  'good.pem',
  ...url,
)
await says(
  'OCSP: revoked, with reason',
  /bad\.pem: revoked[\s\S]*keyCompromise[\s\S]*Response verify OK/,
  'openssl',
  ...ocsp,
  '-cert',
  'bad.pem',
  ...url,
)
await says(
  'OCSP: SHA-256, no nonce',
  /good\.pem: good[\s\S]*Response verify OK/,
  'openssl',
  ...ocsp,
  '-sha256',
  '-no_nonce',
  '-cert',
  'good.pem',
  ...url,
)
await says(
  'OCSP: unknown',
  /0x1234: unknown[\s\S]*Response verify OK/,
  'openssl',
  ...ocsp,
  '-serial',
  '0x1234',
  ...url,
)
await says(
  'OCSP of the signer',
  /signer\.pem: good[\s\S]*Response verify OK/,
  'openssl',
  'ocsp',
  '-issuer',
  'root.pem',
  '-CAfile',
  'root.pem',
  '-cert',
  'signer.pem',
  ...url,
)

writeFileSync(path('device.csr.der'), await csrOf(goodKey))
await says(
  'our request proves possession',
  /verify OK/,
  'openssl',
  'req',
  '-inform',
  'DER',
  '-in',
  'device.csr.der',
  '-noout',
  '-verify',
)
const opensslKey = createTestKey()
writeFileSync(path('openssl.key'), opensslKey.privateKey.export({ format: 'pem', type: 'pkcs8' }))
execFileSync('openssl', [
  'req',
  '-new',
  '-key',
  path('openssl.key'),
  '-subj',
  '/C=CH/O=Other/CN=x/emailAddress=a@b.test',
  '-outform',
  'DER',
  '-out',
  path('openssl.csr'),
])
await issue('openssl', opensslKey, readFileSync(path('openssl.csr')))
await accepts('a request of OpenSSL is taken', 'openssl', ...strict, 'openssl.pem')

const content = Buffer.from('{"id":"1","text":"Überweisung"}')
const der = (pem: string) => Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64')
const goodPem = readFileSync(path('good.pem'), 'utf8')
const message = await writeSignedData(
  { content, leaf: der(goodPem), chain: [der(signerPem), der(rootPem)], signingTimeMs: Date.now() },
  { sha256, sign: goodKey.sign },
)
writeFileSync(path('message.der'), message)
writeFileSync(path('content'), content)
await accepts(
  'a signed message is verified',
  'openssl',
  'cms',
  '-verify',
  '-inform',
  'DER',
  '-in',
  'message.der',
  '-CAfile',
  'root.pem',
  '-out',
  'content.out',
)
check('and its content is what was signed', readFileSync(path('content.out')).equals(content))
const { verify } = new EcdsaVerifier()
execFileSync('openssl', [
  'cms',
  '-sign',
  '-binary',
  '-nodetach',
  '-nosmimecap',
  '-cades',
  '-md',
  'sha256',
  '-signer',
  path('good.pem'),
  '-inkey',
  path('good.key'),
  '-certfile',
  path('chain.pem'),
  '-in',
  path('content'),
  '-outform',
  'DER',
  '-out',
  path('openssl.der'),
])
check(
  'what OpenSSL signs is read and holds',
  await isSignatureValid(parseSignedData(readFileSync(path('openssl.der'))), { sha256, verify }),
)

say(`\n${(await run('certtool', '--version')).text.split('\n')[0]}`)
await says(
  'the chain is valid',
  /Chain verification output: Verified/,
  'certtool',
  '--verify-chain',
  '--infile',
  'good-chain.pem',
)
await says(
  'the list is signed',
  /Verification output: Verified/,
  'certtool',
  '--verify-crl',
  '--load-ca-certificate',
  'signer.pem',
  '--infile',
  'signer.crl.pem',
)
await says(
  'nothing of it is revoked',
  /Chain verification output: Verified/,
  'certtool',
  '--verify',
  '--load-ca-certificate',
  'root.pem',
  '--load-crl',
  'lists.pem',
  '--infile',
  'good-chain.pem',
)
await says(
  'the revoked one is',
  /revoked/i,
  'certtool',
  '--verify',
  '--load-ca-certificate',
  'root.pem',
  '--load-crl',
  'lists.pem',
  '--infile',
  'bad-chain.pem',
)
const ask = [
  '--load-issuer',
  'signer.pem',
  '--load-signer',
  'signer.pem',
  `--ask=${origin}/pki/${tenantId}/ocsp`,
]
await says(
  'OCSP: good',
  /Success|Certificate Status: good/i,
  'ocsptool',
  ...ask,
  '--load-cert',
  'good.pem',
)
await says('OCSP: revoked', /revoked/i, 'ocsptool', ...ask, '--load-cert', 'bad.pem')

say('\nNSS')
const db = ['-d', `sql:${folder}`]
execFileSync('certutil', ['-N', ...db, '--empty-password'])
for (const [name, trust] of [
  ['root', 'CT,CT,CT'],
  ['signer', ',,'],
  ['good', ',,'],
  ['bad', ',,'],
] as const) {
  execFileSync('certutil', ['-A', ...db, '-n', name, '-t', trust, '-i', path(`${name}.pem`)])
}
for (const [name, usage] of [
  ['good', 'S'],
  ['signer', 'L'],
  ['bad', 'S'],
] as const) {
  await says(
    `${name} is valid for its use`,
    /certificate is valid/,
    'certutil',
    '-V',
    ...db,
    '-n',
    name,
    '-u',
    usage,
  )
}
await accepts('the list is taken', 'crlutil', '-I', ...db, '-i', path('signer.crl'), '-t', '1')
await says(
  'the good one stays valid',
  /certificate is valid/,
  'certutil',
  '-V',
  ...db,
  '-n',
  'good',
  '-u',
  'S',
)
await says(
  'the revoked one is revoked',
  /revoked/i,
  'certutil',
  '-V',
  ...db,
  '-n',
  'bad',
  '-u',
  'S',
)

say(`\nMore than ${shardSize} certificates of one signer: each list says which part it is about`)
await app.composed.storage.transaction(({ pki: { issuers } }) =>
  issuers.takeNumbers(tenantId, signerId, shardSize).then(() => {}),
)
const laterKey = createTestKey()
const laterId = await issue('later', laterKey, await csrOf(laterKey))
await pki.certificates.revoke(system, tenantId, { id: laterId, reason: 'SUPERSEDED' })
await lists()
await download(`/pki/${tenantId}/issuers/${signerId}/crl/1`, 'later.crl')
execFileSync('openssl', [
  'crl',
  '-inform',
  'DER',
  '-in',
  path('later.crl'),
  '-out',
  path('later.crl.pem'),
])
writeFileSync(
  path('lists.pem'),
  readFileSync(path('lists.pem'), 'utf8') + readFileSync(path('later.crl.pem'), 'utf8'),
)
await accepts('OpenSSL finds the part of the first', 'openssl', ...withLists, 'good.pem')
await refuses(
  'and the revoked one on it',
  /certificate revoked/,
  'openssl',
  ...withLists,
  'bad.pem',
)
await refuses(
  'and the later one on its own',
  /certificate revoked/,
  'openssl',
  ...withLists,
  'later.pem',
)

// The server's own timers keep no process alive.
const alive = setInterval(() => {}, 1_000)
await app.close()
clearInterval(alive)
rmSync(folder, { recursive: true, force: true })
say(failures === 0 ? '\nAll agree.' : `\n${failures} do not agree.`)
process.exitCode = failures === 0 ? 0 : 1
