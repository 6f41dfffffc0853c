import { describe, expect, test } from 'vitest'
import { DerError } from '../der/der-reader.ts'
import {
  bitString,
  element,
  integer,
  oid,
  sequence,
  smallInteger,
  time,
} from '../der/der-writer.ts'
import {
  type KeyLabel,
  sha1,
  signDer,
  spkiOf,
  verify,
} from '../test-vectors/device-vectors.fixture.ts'
import {
  type Certificate,
  type CertificateFields,
  ecdsaWithSha256,
  parseCertificate,
  signFrame,
  writeTbsCertificate,
} from './certificate.ts'
import {
  authorityKeyIdentifier,
  basicConstraints,
  type Extension,
  extendedKeyUsage,
  keyUsage,
  subjectKeyIdentifier,
  writeExtension,
} from './extensions.ts'
import { writeName } from './name.ts'
import { oids } from './oids.ts'
import { findPathFault, orderPath, type PathRequest } from './path.ts'
import { type ProfileName, profiledFields } from './profiles.ts'
import { readPoint } from './public-key.ts'

const nowMs = Date.UTC(2026, 5, 1)
const dayMs = 86_400_000
const names = {
  root: writeName({ organization: 'acme', commonName: 'root' }),
  signer: writeName({ organization: 'acme', commonName: 'signer' }),
  leaf: writeName({ organization: 'acme', commonName: 'device', userId: 'user' }),
}
const keyIdOf = (label: KeyLabel): Uint8Array => sha1(readPoint(spkiOf(label)))

interface Draft {
  readonly profile: ProfileName
  readonly subject: Uint8Array
  readonly issuer: Uint8Array
  readonly key: KeyLabel
  readonly issuerKey: KeyLabel
}

const drafts = {
  root: {
    profile: 'ROOT',
    subject: names.root,
    issuer: names.root,
    key: 'root',
    issuerKey: 'root',
  },
  signer: {
    profile: 'TENANT_SIGNER',
    subject: names.signer,
    issuer: names.root,
    key: 'signer',
    issuerKey: 'root',
  },
  leaf: {
    profile: 'SIGNATURE',
    subject: names.leaf,
    issuer: names.signer,
    key: 'device',
    issuerKey: 'signer',
  },
} as const satisfies Record<string, Draft>

function fieldsOf(draft: Draft): CertificateFields {
  return profiledFields(draft.profile, {
    serial: Uint8Array.of(0x40, ...sha1(draft.subject).subarray(0, 15)),
    issuer: draft.issuer,
    subject: draft.subject,
    notBeforeMs: nowMs - dayMs,
    notAfterMs: nowMs + dayMs,
    publicKey: spkiOf(draft.key),
    subjectKeyId: keyIdOf(draft.key),
    issuerKeyId: keyIdOf(draft.issuerKey),
    urls: undefined,
  })
}

type Change =
  | Partial<CertificateFields>
  | ((fields: CertificateFields) => Partial<CertificateFields>)

async function issue(draft: Draft, change: Change = {}, signedBy?: KeyLabel): Promise<Certificate> {
  const fields = fieldsOf(draft)
  const changed = { ...fields, ...(typeof change === 'function' ? change(fields) : change) }
  return parseCertificate(
    await signFrame(writeTbsCertificate(changed), signDer(signedBy ?? draft.issuerKey)),
  )
}

interface Changes {
  readonly root?: Change
  readonly signer?: Change
  readonly leaf?: Change
}

async function chainOf(changes: Changes = {}): Promise<Certificate[]> {
  return Promise.all(
    (['leaf', 'signer', 'root'] as const).map((name) => issue(drafts[name], changes[name])),
  )
}

function faultOf(path: readonly Certificate[], request: Partial<PathRequest> = {}) {
  const anchor = path.at(-1)
  return findPathFault({
    path,
    anchors: anchor === undefined ? [] : [anchor.der],
    atMs: nowMs,
    leaf: { keyUsage: 'digitalSignature' },
    verify,
    ...request,
  })
}

const without =
  (id: string): Change =>
  ({ extensions }) => ({ extensions: extensions.filter((extension) => extension.id !== id) })
const instead =
  (replacement: Extension): Change =>
  ({ extensions }) => ({
    extensions: extensions.map((extension) =>
      extension.id === replacement.id ? replacement : extension,
    ),
  })
const added =
  (extension: Extension): Change =>
  ({ extensions }) => ({ extensions: [...extensions, extension] })
const unknown = { id: '1.3.6.1.4.1.99999.1', value: Uint8Array.of(5, 0) }

test('a path of root, signer and leaf is good', async () => {
  expect(await faultOf(await chainOf())).toBeUndefined()
})

test('an unknown extension that is not critical is passed over', async () => {
  const leaf = added({ ...unknown, critical: false })
  expect(await faultOf(await chainOf({ leaf }))).toBeUndefined()
})

describe('R17: a bad path is refused', () => {
  const cases: [string, string, Changes][] = [
    ['an expired leaf', 'not_valid_now', { leaf: { notAfterMs: nowMs - 1000 } }],
    ['a leaf of tomorrow', 'not_valid_now', { leaf: { notBeforeMs: nowMs + 1000 } }],
    ['an expired signer', 'not_valid_now', { signer: { notAfterMs: nowMs - 1000 } }],
    ['an expired root', 'not_valid_now', { root: { notAfterMs: nowMs - 1000 } }],
    ['a signer without basic constraints', 'not_a_ca', { signer: without(oids.basicConstraints) }],
    [
      'a signer that is no CA',
      'not_a_ca',
      { signer: instead(basicConstraints({ isCa: false, pathLength: undefined })) },
    ],
    [
      'basic constraints that bind nobody',
      'extension_malformed',
      { signer: instead({ ...basicConstraints({ isCa: true, pathLength: 0 }), critical: false }) },
    ],
    [
      'a key usage that binds nobody',
      'extension_malformed',
      { leaf: instead({ ...keyUsage(['digitalSignature']), critical: false }) },
    ],
    ['a signer without key usage', 'key_usage', { signer: without(oids.keyUsage) }],
    ['a signer that may only sign lists', 'key_usage', { signer: instead(keyUsage(['crlSign'])) }],
    [
      'a root that may not sign certificates',
      'key_usage',
      { root: instead(keyUsage(['crlSign'])) },
    ],
    ['a leaf without key usage', 'key_usage', { leaf: without(oids.keyUsage) }],
    ['a leaf for other uses', 'key_usage', { leaf: instead(keyUsage(['nonRepudiation'])) }],
    [
      'a leaf that may sign certificates',
      'key_usage',
      { leaf: instead(keyUsage(['digitalSignature', 'keyCertSign'])) },
    ],
    [
      'a leaf that is a CA',
      'not_a_ca',
      { leaf: instead(basicConstraints({ isCa: true, pathLength: undefined })) },
    ],
    [
      'a leaf bound to a purpose, where none is wanted',
      'key_usage',
      { leaf: added(extendedKeyUsage([oids.clientAuth])) },
    ],
    [
      'a signer bound to a purpose',
      'key_usage',
      { signer: added(extendedKeyUsage([oids.clientAuth])) },
    ],
    [
      'an unknown critical extension of the leaf',
      'extension_unknown',
      { leaf: added({ ...unknown, critical: true }) },
    ],
    [
      'an unknown critical extension of the root',
      'extension_unknown',
      { root: added({ ...unknown, critical: true }) },
    ],
    ...['2.5.29.30', '2.5.29.33', '2.5.29.36', '2.5.29.54'].map((id): [string, string, Changes] => [
      `constraints that we do not apply (${id})`,
      'extension_unknown',
      { signer: added({ id, critical: false, value: sequence() }) },
    ]),
    [
      'a leaf of another issuer',
      'names_do_not_chain',
      { leaf: { issuer: writeName({ commonName: 'other' }) } },
    ],
    [
      'an issuer named in another string type',
      'names_do_not_chain',
      {
        leaf: {
          issuer: sequence(
            element(0x31, sequence(oid(oids.organization), element(0x13, Buffer.from('acme')))),
            element(0x31, sequence(oid(oids.commonName), element(0x13, Buffer.from('signer')))),
          ),
        },
      },
    ],
    [
      'a leaf that issues itself',
      'names_do_not_chain',
      { leaf: { subject: names.signer, issuer: names.signer } },
    ],
    [
      'an authority key that is another one',
      'key_ids_do_not_chain',
      { leaf: instead(authorityKeyIdentifier(keyIdOf('other-device'))) },
    ],
    ['no authority key', 'key_ids_do_not_chain', { leaf: without(oids.authorityKeyIdentifier) }],
    ['no subject key', 'key_ids_do_not_chain', { signer: without(oids.subjectKeyIdentifier) }],
    [
      'something behind the value of an extension',
      'extension_malformed',
      {
        signer: instead({
          ...basicConstraints({ isCa: true, pathLength: 0 }),
          value: Uint8Array.of(0x30, 3, 1, 1, 0xff, 5, 0),
        }),
      },
    ],
    [
      'a path length without a CA',
      'extension_malformed',
      {
        leaf: instead({
          id: oids.basicConstraints,
          critical: true,
          value: sequence(smallInteger(0)),
        }),
      },
    ],
    [
      'a default written out',
      'extension_malformed',
      {
        leaf: instead({
          id: oids.basicConstraints,
          critical: true,
          value: sequence(Uint8Array.of(1, 1, 0)),
        }),
      },
    ],
    [
      'a key usage not in its shortest form',
      'extension_malformed',
      {
        leaf: instead({ id: oids.keyUsage, critical: true, value: Uint8Array.of(3, 2, 6, 0x80) }),
      },
    ],
  ]

  test.each(cases)('%s: %s', async (_name, fault, changes) => {
    expect(await faultOf(await chainOf(changes))).toBe(fault)
  })

  test('a certificate that another key signed', async () => {
    const [, signer, root] = await chainOf()
    const forged = await issue(drafts.leaf, {}, 'other-device')
    expect(await faultOf([forged, signer as Certificate, root as Certificate])).toBe(
      'signature_invalid',
    )
  })

  test('an anchor that nobody trusts, whatever it calls itself', async () => {
    const path = await chainOf()
    const anchors = [(await issue({ ...drafts.root, key: 'bio', issuerKey: 'bio' })).der]
    expect(await faultOf(path, { anchors })).toBe('anchor_unknown')
    expect(await faultOf(path, { anchors: [] })).toBe('anchor_unknown')
  })

  test('a signer below a signer', async () => {
    const [, signer, root] = await chainOf()
    const below = writeName({ commonName: 'below' })
    const second = await issue({
      profile: 'TENANT_SIGNER',
      subject: below,
      issuer: names.signer,
      key: 'bio',
      issuerKey: 'signer',
    })
    const leaf = await issue({ ...drafts.leaf, issuer: below, issuerKey: 'bio' })
    expect(await faultOf([leaf, second, signer as Certificate, root as Certificate])).toBe(
      'path_length',
    )
  })

  test('a leaf below a leaf', async () => {
    const [leaf, signer, root] = await chainOf()
    const below = await issue({
      profile: 'SIGNATURE',
      subject: writeName({ commonName: 'below' }),
      issuer: names.leaf,
      key: 'bio',
      issuerKey: 'device',
    })
    const path = [below, leaf, signer, root] as Certificate[]
    expect(await faultOf(path)).toBe('not_a_ca')
  })

  test('a path that is too long, or is none', async () => {
    const [leaf, signer, root] = (await chainOf()) as [Certificate, Certificate, Certificate]
    expect(await faultOf([leaf, signer, signer, signer, root])).toBe('too_long')
    expect(await faultOf([root])).toBe('too_long')
    expect(await faultOf([])).toBe('too_long')
  })

  test('a purpose that the leaf does not have', async () => {
    const path = await chainOf()
    const leaf = { keyUsage: 'digitalSignature', purpose: oids.clientAuth } as const
    expect(await faultOf(path, { leaf })).toBe('key_usage')
    const bound = await chainOf({ leaf: added(extendedKeyUsage([oids.clientAuth])) })
    expect(await faultOf(bound, { leaf })).toBeUndefined()
    expect(await faultOf(path, { leaf: { keyUsage: 'nonRepudiation' } })).toBeUndefined()
  })
})

describe('R17: a certificate is not even read', () => {
  test.each<[string, Change]>([
    [
      'twice the same extension',
      ({ extensions }) => ({ extensions: [...extensions, ...extensions] }),
    ],
    ['no extensions', { extensions: [] }],
    [
      '21 extensions',
      {
        extensions: Array.from({ length: 21 }, (_, index) => ({
          id: `1.2.3.${index}`,
          critical: false,
          value: Uint8Array.of(5, 0),
        })),
      },
    ],
    ['serial number 0', { serial: Uint8Array.of(0) }],
    ['a serial number of 21 bytes', { serial: new Uint8Array(21).fill(1) }],
    ['a validity that ends before it begins', { notAfterMs: nowMs - 2 * dayMs }],
    ['a compressed point', { publicKey: keyWith(Uint8Array.of(2, ...new Uint8Array(32).fill(1))) }],
    ['a point at infinity', { publicKey: keyWith(Uint8Array.of(0)) }],
    ['a key on another curve', { publicKey: keyWith(new Uint8Array(65).fill(4), '1.3.132.0.10') }],
    ['no key', { publicKey: sequence() }],
  ])('%s', async (_name, change) => {
    await expect(issue(drafts.leaf, change)).rejects.toThrow(DerError)
  })

  const tbsParts = (algorithm: Uint8Array, version: readonly Uint8Array[]) =>
    sequence(
      ...version,
      integer(Uint8Array.of(0x40)),
      algorithm,
      names.signer,
      sequence(time(nowMs), time(nowMs + dayMs)),
      names.leaf,
      spkiOf('device'),
      element(0xa3, sequence(writeExtension(subjectKeyIdentifier(keyIdOf('device'))))),
    )
  const version3 = [element(0xa0, smallInteger(2))]
  const rsa = sequence(oid('1.2.840.113549.1.1.11'), Uint8Array.of(5, 0))

  test.each([
    ['another algorithm inside', tbsParts(rsa, version3), ecdsaWithSha256],
    ['another algorithm outside', tbsParts(ecdsaWithSha256, version3), rsa],
    ['version 1', tbsParts(ecdsaWithSha256, []), ecdsaWithSha256],
    ['version 2', tbsParts(ecdsaWithSha256, [element(0xa0, smallInteger(1))]), ecdsaWithSha256],
    [
      'parameters of the algorithm',
      tbsParts(ecdsaWithSha256, version3),
      sequence(oid(oids.ecdsaWithSha256), Uint8Array.of(5, 0)),
    ],
  ])('%s', async (_name, tbs, algorithm) => {
    const der = sequence(tbs, algorithm, bitString(await signDer('signer')(tbs)))
    expect(() => parseCertificate(der)).toThrow(DerError)
  })

  test('a signature with r = 0, with s = n, or with a zero too many', async () => {
    const tbs = tbsParts(ecdsaWithSha256, version3)
    const order = Buffer.from(
      'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
      'hex',
    )
    for (const signature of [
      sequence(smallInteger(0), smallInteger(1)),
      sequence(smallInteger(1), integer(order)),
      sequence(smallInteger(1), Uint8Array.of(2, 2, 0, 1)),
      sequence(smallInteger(1), smallInteger(1), smallInteger(1)),
    ]) {
      const der = sequence(tbs, ecdsaWithSha256, bitString(signature))
      expect(() => parseCertificate(der)).toThrow(DerError)
    }
  })
})

describe('orderPath', () => {
  test('finds the issuers in whatever order, and no others', async () => {
    const [leaf, signer, root] = (await chainOf()) as [Certificate, Certificate, Certificate]
    expect(orderPath(leaf, [root, leaf, signer])).toEqual([leaf, signer, root])
    expect(orderPath(leaf, [root])).toBeUndefined()
  })

  test('does not choose between two issuers of one name and key', async () => {
    const [leaf, signer, root] = (await chainOf()) as [Certificate, Certificate, Certificate]
    const renewed = await issue(drafts.signer, { notAfterMs: nowMs + 2 * dayMs })
    expect(orderPath(leaf, [signer, renewed, root])).toBeUndefined()
  })

  test('R17: a ring ends', async () => {
    const one = writeName({ commonName: 'one' })
    const two = writeName({ commonName: 'two' })
    const ca = { profile: 'TENANT_SIGNER' } as const
    const first = await issue({ ...ca, subject: one, issuer: two, key: 'bio', issuerKey: 'bio-2' })
    const second = await issue({ ...ca, subject: two, issuer: one, key: 'bio-2', issuerKey: 'bio' })
    const leaf = await issue({ ...drafts.leaf, issuer: one, issuerKey: 'bio' })
    expect(orderPath(leaf, [first, second])).toBeUndefined()
  })
})

function keyWith(point: Uint8Array, curve: string = oids.p256): Uint8Array {
  return sequence(sequence(oid(oids.ecPublicKey), oid(curve)), bitString(point))
}
