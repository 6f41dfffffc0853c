import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testCaller } from '../support/core.ts'
import { createPlatformApi, type PlatformApi } from '../support/platform-api.ts'
import { enrolDevice, type TestDevice } from '../support/test-device.ts'
import { AstCaClient } from './ast-ca-client.ts'

let api: PlatformApi
let client: AstCaClient
let device: TestDevice
const folder = mkdtempSync(join(tmpdir(), 'countersign-openssl-'))

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
  await api.createTenant('shop')
  client = await clientOf('acme', ['ast:write'])
  await client.waitUntilIssued((await client.createTenantSigner('signer')).id)
  device = await enrolDevice({ app: api.app, clock: api.clock })
  expect((await device.login({ pin: '1234' })).status).toBe(200)
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await api[Symbol.asyncDispose]()
})

async function clientOf(tenant: string, scopes: string[]): Promise<AstCaClient> {
  const token = await api.createAccount(tenant, scopes)
  return new AstCaClient(`${api.origin}/ast`, { token, tenant })
}

function fileOf(name: string, base64: string): string {
  const lines = base64.match(/.{1,64}/g)?.join('\n') ?? ''
  const path = join(folder, name)
  writeFileSync(path, `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`)
  return path
}

/** What OpenSSL says of a certificate below a signer and its root. */
function verifyByOpenssl(certificate: string, [signer = '', root = '']: readonly string[]): string {
  const at = String(Math.floor(api.clock() / 1000) + 1)
  const files = ['-CAfile', fileOf('root.pem', root), '-untrusted', fileOf('signer.pem', signer)]
  const leaf = fileOf('leaf.pem', certificate)
  return execFileSync('openssl', ['verify', '-x509_strict', '-attime', at, ...files, leaf], {
    encoding: 'utf8',
  })
}

describe('a client of the published page', () => {
  test('makes, rotates, renews, revokes and deletes signers; OpenSSL agrees with each', async () => {
    const bank = await clientOf('shop', ['ast:write'])
    const first = await bank.createSigner('SignerA-1')
    expect(await bank.waitUntilIssued(first.id)).toMatchObject({
      status: 'ISSUED',
      signer: first.id,
      certProfile: 'TENANT_SIGNER',
    })
    const chain = await bank.getChain('current')
    expect(verifyByOpenssl(chain[0] ?? '', chain)).toContain('OK')

    await bank.renewSigner('current')
    await bank.waitUntilIssued(first.id)
    const renewed = await bank.getChain(first.id)
    expect(renewed[0]).not.toBe(chain[0])
    expect(renewed[1]).toBe(chain[1])
    expect(verifyByOpenssl(renewed[0] ?? '', renewed)).toContain('OK')

    const second = await bank.createSigner()
    expect(second.generation).toBe(1)
    expect((await bank.getSigner(first.id)).info.state).toBe('RETIRED')
    expect(
      (await bank.listSigners({ filter: 'name ^= signera- [i]' })).map(({ id }) => id),
    ).toEqual([first.id])
    await bank.waitUntilIssued(second.id)
    await bank.revokeSigner(first.id)
    expect(await bank.getSigner(first.id)).not.toHaveProperty('certificate')
    await bank.deleteSigner('current')
    await expect(bank.getSigner('current')).rejects.toMatchObject({ status: 404, subsystem: 510 })
    const states = (await bank.listSigners()).map(({ state }) => state)
    expect(states).toEqual(['REVOKED'])
  })

  test('finds the certificate of a device, which OpenSSL verifies below the signer', async () => {
    const { body } = await device.certify('AST_DEVICE')
    const [found] = await client.listCertificates({
      filter: `client=${device.id} and profile in { AST_DEVICE, SIGNATURE }`,
    })
    expect(found).toMatchObject({
      certRef: body.certRef,
      status: 'ISSUED',
      user: device.userId,
      client: device.id,
      signer: (await client.getTenantSigner()).info.id,
    })
    const chain = await client.getChain('current')
    expect(verifyByOpenssl(body.certificate, chain)).toContain('OK')
    await expect(client.deleteSigner('current')).rejects.toMatchObject({ status: 409 })
  })

  test('is told what is wrong as the page shows it', async () => {
    await expect(client.listSigners({ filter: 'colour=red' })).rejects.toMatchObject({
      status: 400,
      code: '4001',
      subsystem: 519,
      message: 'UnknownProperty: colour, at character 1.',
    })
    const stranger = await clientOf('shop', ['ast:write'])
    const base = `${api.origin}/ast`
    const foreign = new AstCaClient(base, { token: 'csk_wrong', tenant: 'acme' })
    await expect(foreign.listSigners()).rejects.toMatchObject({ status: 401, subsystem: 519 })
    await expect(stranger.certificateStatus(device.id)).rejects.toMatchObject({ status: 404 })
  })
})

describe('a device with its own token', () => {
  const path = '/ast/v2/tenants/acme/signers/current'
  const ask = (target: string, proof: string | undefined, accessToken = device.accessToken) =>
    fetch(api.origin + target, {
      headers: {
        authorization: `DPoP ${accessToken}`,
        ...(proof === undefined ? {} : { dpop: proof }),
      },
    })

  test('200 the signer and its chain of its own tenant', async () => {
    const signer = await ask(path, device.proof('GET', path))
    expect(signer.status).toBe(200)
    expect(await signer.json()).toMatchObject({ info: { state: 'ACTIVE', tenant: 'acme' } })
    expect((await ask(`${path}/chain`, device.proof('GET', `${path}/chain`))).status).toBe(200)
  })

  test('401 with no proof, another request’s, an old one, one that was used, or another token', async () => {
    const other = '/ast/v2/tenants/acme/signers/current/chain'
    const used = device.proof('GET', path)
    expect((await ask(path, used)).status).toBe(200)
    const nonce = { nonce: 'A'.repeat(43) }
    for (const [proof, code, token] of [
      [undefined, '4011'],
      [device.proof('GET', other), '4011'],
      [device.proof('POST', path), '4011'],
      [used, '4014'],
      [device.proof('GET', path, { iat: device.nowSeconds - 3600 }), '4013'],
      [device.proof('GET', path, nonce), '4012'],
      [device.proof('GET', path), '4010', 'nobody'],
    ] as const) {
      const reply = await ask(path, proof, token)
      expect(reply.status).toBe(401)
      expect(await reply.json()).toMatchObject({ code, subsystem: 519 })
      expect(reply.headers.get('www-authenticate')).toContain('DPoP error=')
      expect(reply.headers.has('dpop-nonce')).toBe(code === '4012')
    }
  })

  test('403 in another tenant, and for what administrators do', async () => {
    for (const target of [
      '/ast/v2/tenants/shop/signers/current',
      '/ast/v2/tenants/acme/signers',
      '/ast/v1/tenants/acme/signers',
      '/ast/v1/tenants/acme/certificates/admin',
    ]) {
      const reply = await ask(target, device.proof('GET', target))
      expect(reply.status).toBe(403)
      expect(await reply.json()).toMatchObject({ code: '4030', subsystem: 519 })
    }
  })

  test('403 once it is locked', async () => {
    const locked = await enrolDevice({ app: api.app, clock: api.clock })
    await locked.login({ pin: '1234' })
    const { devices } = api.app.core
    await devices.lock(testCaller('acme', ['tenant:write']), 'acme', {
      id: locked.id,
      reason: 'lost',
    })
    const reply = await fetch(api.origin + path, {
      headers: { authorization: `DPoP ${locked.accessToken}`, dpop: locked.proof('GET', path) },
    })
    expect(reply.status).toBe(403)
    expect(await reply.json()).toMatchObject({ code: '4033', subsystem: 519 })
  })
})
