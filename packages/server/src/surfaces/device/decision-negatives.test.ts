import { createHash, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import {
  type CertificateFields,
  parseCertificate,
  writeTbsCertificate,
} from '@countersign/protocol/certificate/certificate.ts'
import { rawFromDer } from '@countersign/protocol/certificate/ecdsa-signature.ts'
import { oids } from '@countersign/protocol/certificate/oids.ts'
import {
  bitString,
  constructedTag,
  element,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
  smallInteger,
  tags,
  time,
  utf8String,
} from '@countersign/protocol/der/der-writer.ts'
import { encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testCaller } from '#test/support/core.ts'
import { createTestKey, csrOf, type TestKey } from '#test/support/device-keys.ts'
import { createPlatformApi, type Json, type PlatformApi } from '#test/support/platform-api.ts'
import { enrolDevice, type TestDevice } from '#test/support/test-device.ts'

let api: PlatformApi
let device: TestDevice

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
  await api.createTenant('shop')
  device = await certified('acme')
})
afterAll(() => api[Symbol.asyncDispose]())

async function certified(tenantId: string): Promise<TestDevice> {
  const made = await enrolDevice(api, { tenantId })
  expect((await made.login({ pin: '1234' })).status).toBe(200)
  expect((await made.certify()).status).toBe(200)
  return made
}

/** A transaction that the device has been shown, as it was told. */
async function shown(to: TestDevice = device): Promise<Json> {
  const { core } = api.app
  const caller = testCaller(to.tenantId, ['ast:write', 'verify'], { surface: 'ast' })
  const draft = {
    user: { id: to.userId },
    text: '500,00 EUR to Max Muster',
  }
  const { id } = await core.approvals.create(caller, to.tenantId, draft)
  const { status, body } = await to.retrieve(id)
  expect(status).toBe(200)
  return body
}

const contentOf = (approval: Json): Buffer => Buffer.from(approval.content.bytes, 'base64')
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

/** Whatever a sender could write otherwise in a SignedData; all else is as it should be. */
interface Changes {
  readonly content?: Uint8Array
  readonly leaf?: Uint8Array
  readonly chain?: readonly Uint8Array[]
  readonly key?: TestKey
  readonly version?: number
  readonly digestAlgorithms?: readonly Uint8Array[]
  readonly encapsulated?: Uint8Array
  readonly certificates?: Uint8Array
  readonly beforeSigners?: Uint8Array
  readonly signerVersion?: number
  readonly identifier?: Uint8Array
  readonly digestAlgorithm?: Uint8Array
  readonly attributes?: (usual: readonly Uint8Array[]) => readonly Uint8Array[]
  readonly unsortedAttributes?: boolean
  readonly signatureAlgorithm?: Uint8Array
  readonly signature?: (usual: Uint8Array, signed: Uint8Array) => Uint8Array
  readonly behindSignature?: Uint8Array
  readonly moreSigners?: readonly Uint8Array[]
}

const sha256Algorithm = sequence(oid(oids.sha256))
const attribute = (type: string, ...values: readonly Uint8Array[]) =>
  sequence(oid(type), setOf(values))

async function signedData(approval: Json, changes: Changes = {}): Promise<Uint8Array> {
  const [ownLeaf = Buffer.of(), ...ownChain] = device.chain
  const { content = contentOf(approval), leaf = ownLeaf, chain = ownChain } = changes
  const { issuer, serial } = parseCertificate(leaf)
  const usual = [
    attribute(oids.contentType, oid(oids.data)),
    attribute(oids.signingTime, time(api.clock())),
    attribute(oids.messageDigest, octetString(sha256(content))),
    attribute(oids.signingCertificateV2, sequence(sequence(sequence(octetString(sha256(leaf)))))),
  ]
  const attributes = changes.attributes?.(usual) ?? usual
  const signed = changes.unsortedAttributes ? element(tags.set, ...attributes) : setOf(attributes)
  const implicit = Uint8Array.from(signed)
  implicit[0] = constructedTag(0)
  const signature = await (changes.key ?? device.deviceKey).sign(signed)
  const signerInfo = sequence(
    smallInteger(changes.signerVersion ?? 1),
    changes.identifier ?? sequence(issuer, integer(serial)),
    changes.digestAlgorithm ?? sha256Algorithm,
    implicit,
    changes.signatureAlgorithm ?? sequence(oid(oids.ecdsaWithSha256)),
    octetString(changes.signature?.(signature, signed) ?? signature),
    changes.behindSignature ?? Buffer.of(),
  )
  const body = sequence(
    smallInteger(changes.version ?? 1),
    setOf(changes.digestAlgorithms ?? [sha256Algorithm]),
    changes.encapsulated ??
      sequence(oid(oids.data), element(constructedTag(0), octetString(content))),
    changes.certificates ?? setOf([leaf, ...chain], constructedTag(0)),
    changes.beforeSigners ?? Buffer.of(),
    setOf([signerInfo, ...(changes.moreSigners ?? [])]),
  )
  return sequence(oid(oids.signedData), element(constructedTag(0), body))
}

const accept = (approval: Json, der: Uint8Array, by: TestDevice = device) =>
  by.decide(approval.approvalId, { decision: 'accept', signedData: encodeBase64(der) })

/** Refused, and nothing has changed: it still waits, and the right signature is taken. */
async function expectRefused(
  make: (approval: Json) => Promise<Uint8Array>,
  status: number,
  code: string,
): Promise<void> {
  const approval = await shown()
  const { approvalId } = approval
  const reply = await accept(approval, await make(approval))
  expect({ status: reply.status, code: reply.body.code }).toEqual({ status, code })
  const { core } = api.app
  const admin = testCaller('acme', ['tenant:write', 'verify'])
  expect(await core.approvals.get(admin, 'acme', approvalId)).toMatchObject({ status: 'RETRIEVED' })
  await expect(core.evidence.get(admin, 'acme', approvalId)).rejects.toThrow()
  const done = await accept(approval, await signedData(approval))
  expect(done).toMatchObject({ status: 200, body: { status: 'APPROVED' } })
}

const changed = (changes: Changes) => (approval: Json) => signedData(approval, changes)
const edited =
  (edit: (der: Buffer) => Uint8Array) =>
  async (approval: Json): Promise<Uint8Array> =>
    edit(Buffer.from(await signedData(approval)))

/** Order of P-256. */
const n = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
const bytesOf = (value: bigint, length = 32) =>
  Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex')
/** A signature of other numbers than the right ones. */
const withNumbers = (change: (r: bigint, s: bigint) => readonly [Uint8Array, Uint8Array]) => ({
  signature(usual: Uint8Array) {
    const raw = Buffer.from(rawFromDer(usual))
    const [r, s] = change(
      BigInt(`0x${raw.subarray(0, 32).toString('hex')}`),
      BigInt(`0x${raw.subarray(32).toString('hex')}`),
    )
    return sequence(element(2, r), element(2, s))
  },
})
const positive = (value: bigint): Uint8Array => integer(bytesOf(value, 40)).subarray(2)

describe('decideApproval', () => {
  test.each<[string, Changes | ((approval: Json) => Promise<Uint8Array>)]>([
    ['a byte behind', edited((der) => Buffer.concat([der, Buffer.of(0)]))],
    ['a byte less', edited((der) => der.subarray(0, -1))],
    ['two messages', edited((der) => Buffer.concat([der, der]))],
    [
      'BER: a length without end',
      edited((der) => {
        const body = der.subarray(4)
        return Buffer.concat([Buffer.of(0x30, 0x80), body, Buffer.of(0, 0)])
      }),
    ],
    [
      'BER: a longer length than needed',
      edited((der) => {
        const length = der.readUInt16BE(2)
        return Buffer.concat([Buffer.of(0x30, 0x83, 0, length >> 8, length & 255), der.subarray(4)])
      }),
    ],
    [
      'BER: content in pieces',
      (approval) =>
        signedData(approval, {
          encapsulated: sequence(
            oid(oids.data),
            element(
              constructedTag(0),
              element(
                0x24,
                octetString(contentOf(approval).subarray(0, 9)),
                octetString(contentOf(approval).subarray(9)),
              ),
            ),
          ),
        }),
    ],
    ['content beside the message', { encapsulated: sequence(oid(oids.data)) }],
    [
      'content of another type',
      (approval) =>
        signedData(approval, {
          encapsulated: sequence(
            oid(oids.signedData),
            element(constructedTag(0), octetString(contentOf(approval))),
          ),
        }),
    ],
    ['another version', { version: 3 }],
    ['no digest algorithm', { digestAlgorithms: [] }],
    [
      'two digest algorithms',
      { digestAlgorithms: [sha256Algorithm, sequence(oid('2.16.840.1.101.3.4.2.2'))] },
    ],
    [
      'SHA-1',
      { digestAlgorithms: [sequence(oid(oids.sha1))], digestAlgorithm: sequence(oid(oids.sha1)) },
    ],
    ['SHA-384 by the signer', { digestAlgorithm: sequence(oid('2.16.840.1.101.3.4.2.2')) }],
    ['no certificates', { certificates: setOf([], constructedTag(0)) }],
    ['lists of revocation', { beforeSigners: element(constructedTag(1)) }],
    ['two signers', { moreSigners: [sequence(smallInteger(1))] }],
    ['a signer named by key', { signerVersion: 3, identifier: element(0x80, Buffer.alloc(20)) }],
    [
      'a signer who is not among the certificates',
      { identifier: sequence(sequence(), integer(Buffer.of(1))) },
    ],
    [
      'RSA said of the signature',
      { signatureAlgorithm: sequence(oid('1.2.840.113549.1.1.11'), nullValue) },
    ],
    ['SHA-384 said of the signature', { signatureAlgorithm: sequence(oid('1.2.840.10045.4.3.3')) }],
    ['Ed25519 said of the signature', { signatureAlgorithm: sequence(oid('1.3.101.112')) }],
    [
      'parameters of the signature',
      { signatureAlgorithm: sequence(oid(oids.ecdsaWithSha256), nullValue) },
    ],
    [
      'unsigned attributes',
      { behindSignature: element(constructedTag(1), attribute(oids.contentType, oid(oids.data))) },
    ],
    [
      'no digest of the content',
      { attributes: (usual) => usual.filter((_, index) => index !== 2) },
    ],
    ['no hash of the certificate', { attributes: (usual) => usual.slice(0, 3) }],
    [
      'an attribute twice',
      { attributes: (usual) => [...usual.slice(0, 3), usual[2] ?? Buffer.of()] },
    ],
    ['an attribute more', { attributes: (usual) => [...usual, attribute('1.2.3.4', nullValue)] }],
    [
      'attributes in another order',
      { attributes: (usual) => usual.toReversed(), unsortedAttributes: true },
    ],
    [
      'the digest of other content',
      {
        attributes: ([type = Buffer.of(), at = Buffer.of(), , id = Buffer.of()]) => [
          type,
          at,
          attribute(oids.messageDigest, octetString(Buffer.alloc(32))),
          id,
        ],
      },
    ],
    [
      'the hash of another certificate',
      {
        attributes: (usual) => [
          ...usual.slice(0, 3),
          attribute(
            oids.signingCertificateV2,
            sequence(sequence(sequence(octetString(Buffer.alloc(32))))),
          ),
        ],
      },
    ],
    ['the signature of another key', { key: createTestKey() }],
    [
      'the signature of the biometric key under the device key’s certificate',
      (approval) => signedData(approval, { key: device.bioKey }),
    ],
    [
      'a signature over the content instead of the attributes',
      (approval) => {
        const key = device.deviceKey.privateKey
        return signedData(approval, { signature: () => sign('sha256', contentOf(approval), key) })
      },
    ],
    [
      'a signature by SHA-384',
      (approval) => {
        const key = device.deviceKey.privateKey
        return signedData(approval, { signature: (_, signed) => sign('sha384', signed, key) })
      },
    ],
    [
      'a signature on another curve',
      {
        signature: (_, signed) =>
          sign('sha256', signed, generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey),
      },
    ],
    [
      'a signature by RSA',
      {
        signature: (_, signed) =>
          sign('sha256', signed, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
      },
    ],
    [
      'content that was changed behind the signature',
      (approval) =>
        signedData(approval, {
          encapsulated: sequence(
            oid(oids.data),
            element(
              constructedTag(0),
              octetString(Buffer.from(contentOf(approval).toString().replace('500', '900'))),
            ),
          ),
        }),
    ],
    [
      'a stranger’s certificate beside',
      (approval) =>
        signedData(approval, { chain: [...device.chain.slice(1), selfSigned(createTestKey())] }),
    ],
    ['its signer left out', { chain: [] }],
    // As Wycheproof has them for ECDSA.
    ['r = 0', withNumbers((_, s) => [positive(0n), positive(s)])],
    ['s = 0', withNumbers((r) => [positive(r), positive(0n)])],
    ['r = s = 0', withNumbers(() => [positive(0n), positive(0n)])],
    ['r = s = 1', withNumbers(() => [positive(1n), positive(1n)])],
    ['r = n', withNumbers((_, s) => [positive(n), positive(s)])],
    ['s = n', withNumbers((r) => [positive(r), positive(n)])],
    ['r + n', withNumbers((r, s) => [positive(r + n), positive(s)])],
    ['s + n', withNumbers((r, s) => [positive(r), positive(s + n)])],
    ['r − n', withNumbers((r, s) => [negative(r - n), positive(s)])],
    ['s + 2²⁵⁶', withNumbers((r, s) => [positive(r), positive(s + 2n ** 256n)])],
    [
      'a zero in front of r',
      withNumbers((r, s) => [Buffer.concat([Buffer.of(0, 0), bytesOf(r)]), positive(s)]),
    ],
    [
      'r without its zero, a negative number',
      withNumbers((_, s) => [bytesOf(n - 1n), positive(s)]),
    ],
    ['an empty r', withNumbers((_, s) => [Buffer.of(), positive(s)])],
    ['r and s in each other’s place', withNumbers((r, s) => [positive(s), positive(r)])],
    ['a third number', { signature: (usual) => sequence(usual.subarray(2), smallInteger(0)) }],
    ['one number', { signature: () => sequence(smallInteger(1)) }],
    ['r and s without their frame', { signature: (usual) => Buffer.from(rawFromDer(usual)) }],
    ['a byte behind the signature', { signature: (usual) => Buffer.concat([usual, Buffer.of(0)]) }],
    [
      'a length of the signature in the long form',
      { signature: (usual) => Buffer.concat([Buffer.of(0x30, 0x81), usual.subarray(1)]) },
    ],
    [
      'a signature of the length 2³²',
      {
        signature: (usual) =>
          Buffer.concat([Buffer.of(0x30, 0x84, 255, 255, 255, 255), usual.subarray(2)]),
      },
    ],
    ['text for numbers', { signature: () => sequence(utf8String('r'), utf8String('s')) }],
    ['an empty signature', { signature: () => Buffer.of() }],
    ['a signature in a bit string', { signature: (usual) => bitString(usual) }],
  ])('422 signature_invalid for %s', async (_name, changes) => {
    const make = typeof changes === 'function' ? changes : changed(changes)
    await expectRefused(make, 422, 'signature_invalid')
  })

  test('400 for no bytes; 422 for what is no base64 in its one spelling', async () => {
    const approval = await shown()
    const good = encodeBase64(await signedData(approval))
    for (const text of ['', 'AA=A', '%%%%', `${good}\n`, ` ${good}`, `${good}=`]) {
      const reply = await device.decide(approval.approvalId, {
        decision: 'accept',
        signedData: text,
      })
      expect([400, 422]).toContain(reply.status)
      expect(['validation_failed', 'signature_invalid']).toContain(reply.body.code)
    }
    expect((await accept(approval, await signedData(approval))).status).toBe(200)
  })

  test('409 content_mismatch for other bytes, rightly signed', async () => {
    const twin = await shown()
    for (const content of [
      Buffer.from('{}'),
      Buffer.of(),
      contentOf(twin),
      Buffer.from('500,00 EUR to Max Muster'),
    ]) {
      await expectRefused(changed({ content }), 409, 'content_mismatch')
    }
  })

  test('422 certificate_not_usable for certificates of another user, device, tenant, profile or maker', async () => {
    const [, ...ownChain] = device.chain
    const byOther = async (other: TestDevice) => {
      const [leaf, ...chain] = other.chain
      return changed({ ...(leaf && { leaf }), chain, key: other.deviceKey })
    }
    await expectRefused(await byOther(await certified('acme')), 422, 'certificate_not_usable')
    await expectRefused(await byOther(await certified('shop')), 422, 'certificate_not_usable')
    const { tenantId, userId } = device
    const second = await enrolDevice(api, { tenantId, userId }, { pin: '1234' })
    await second.login({ pin: '1234' })
    expect((await second.certify()).status).toBe(200)
    await expectRefused(await byOther(second), 422, 'certificate_not_usable')

    const ownSigning = device.chain
    const tlsKey = createTestKey()
    expect((await device.certify('TLS_CLIENT', tlsKey)).status).toBe(200)
    const [tls, ...tlsChain] = device.chain
    device.chain = ownSigning
    const ofTls = changed({ ...(tls && { leaf: tls }), chain: tlsChain, key: tlsKey })
    await expectRefused(ofTls, 422, 'certificate_not_usable')

    const leaf = selfSigned(device.deviceKey)
    await expectRefused(changed({ leaf, chain: [] }), 422, 'certificate_not_usable')
    await expectRefused(changed({ leaf, chain: ownChain }), 422, 'certificate_not_usable')
    const forged = await madeBy(createTestKey())
    await expectRefused(changed({ leaf: forged, chain: ownChain }), 422, 'certificate_not_usable')
  })

  test('422 certificate_not_usable for one that was replaced, and for one that was revoked', async () => {
    const own = await certified('acme')
    const approval = await shown(own)
    const former = own.chain
    const bytes = contentOf(approval)
    const { certRef } = (await own.call('GET /certificates')).body[0]
    const csr = encodeBase64(await csrOf(own.deviceKey))
    const renewed = await own.call(`POST /certificates/${certRef}/renew`, { body: { csr } })
    expect(renewed.status).toBe(202)
    await api.app.core.pki.issuance.issueDue()
    const { certificate, chain } = (await own.call(`GET /certificates/${certRef}`)).body
    const present = [certificate, ...chain].map((text: string) => Buffer.from(text, 'base64'))

    const attempt = async () => {
      const signature = await own.signedData(bytes)
      return own.decide(approval.approvalId, { decision: 'accept', signedData: signature })
    }
    const refused = { status: 422, body: { code: 'certificate_not_usable' } }
    own.chain = former
    expect(await attempt()).toMatchObject(refused)
    own.chain = present
    const admin = testCaller('acme', ['tenant:write'])
    await api.app.core.pki.certificates.revoke(admin, 'acme', { id: certRef, reason: 'SUPERSEDED' })
    expect(await attempt()).toMatchObject(refused)
    own.chain = former
    expect(await attempt()).toMatchObject(refused)
    expect((await own.retrieve(approval.approvalId)).body.status).toBe('RETRIEVED')
  })

  test('422 certificate_not_usable below a signer that was revoked; a new one’s counts', async () => {
    const own = await certified('shop')
    const approval = await shown(own)
    await api.app.core.pki.signers.revoke(testCaller('shop', ['tenant:write']), 'shop', 'current')
    const attempt = async () => {
      const signature = await own.signedData(contentOf(approval))
      return own.decide(approval.approvalId, { decision: 'accept', signedData: signature })
    }
    expect(await attempt()).toMatchObject({
      status: 422,
      body: { code: 'certificate_not_usable' },
    })
    await api.app.core.pki.signers.create(testCaller('shop', ['tenant:write']), 'shop')
    await api.app.core.pki.issuance.issueDue()
    expect((await own.certify()).status).toBe(200)
    expect(await attempt()).toMatchObject({ status: 200, body: { status: 'APPROVED' } })
  })

  test('422 certificate_not_usable once it has expired', async () => {
    const own = await certified('acme')
    const [leaf = Buffer.of()] = own.chain
    api.clock.set(parseCertificate(leaf).notAfterMs + 1_000)
    await own.login({ pin: '1234' })
    const approval = await shown(own)
    expect(await own.acceptSigned(approval)).toMatchObject({
      status: 422,
      body: { code: 'certificate_not_usable' },
    })
    expect((await own.retrieve(approval.approvalId)).body.status).toBe('RETRIEVED')
  })
})

/** Two's complement, as DER has it. */
function negative(value: bigint): Uint8Array {
  return bytesOf(2n ** 264n + value, 33)
}

/** A certificate over a key by that key, in the name of the device's own. */
function selfSigned(key: TestKey): Uint8Array {
  return signedBy(key, { publicKey: key.spki })
}

/** A certificate over the device's key as its signer would make it, by somebody else. */
async function madeBy(key: TestKey): Promise<Uint8Array> {
  return signedBy(key, {})
}

function signedBy(key: TestKey, changes: Partial<CertificateFields>): Uint8Array {
  const [own = Buffer.of()] = device.chain
  const tbs = writeTbsCertificate({ ...parseCertificate(own), ...changes })
  const privateKey = createPrivateKey(key.privateKey.export({ format: 'pem', type: 'pkcs8' }))
  return sequence(
    tbs,
    sequence(oid(oids.ecdsaWithSha256)),
    bitString(sign('sha256', tbs, privateKey)),
  )
}
