import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toPem } from '@countersign/protocol/certificate/pem.ts'
import { writeSignedData } from '@countersign/protocol/message/signed-data.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exportLine } from '#domain/journal/journal-record.ts'
import { type ApprovalBench, createApprovalBench, tenantId } from '#test/support/approvals.ts'
import { documentOf, runCommand } from '#test/support/commands.ts'
import { createTestKey } from '#test/support/device-keys.ts'
import { hash64, type Phone } from '#test/support/phone.ts'
import { type EvidenceVerifyOptions, examineEvidence } from './evidence-verify.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests change evidence of every shape
type Json = any

let bench: ApprovalBench
let folder: string
let phone: Phone
let signed: Json
let pinned: Json
let biometric: Json
let attested: Json
let trusted: Required<Pick<EvidenceVerifyOptions, 'anchor' | 'jwks' | 'export'>>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-evidence-'))
  bench = await createApprovalBench()
  const userId = await bench.createUser()
  phone = await bench.enrol(userId, { pin: '4711' })
  await phone.certify()
  const { core, storage, admin } = bench
  const decided = async (how: 'cms' | 'pin' | 'bio' | 'td') => {
    const caller = how === 'cms' ? bench.ast : admin
    const { id } = await bench.ask(userId, { reference: `txn-${how}` }, caller)
    const item = await phone.retrieve(id)
    const factor = how === 'bio' ? 'bio' : 'pin'
    const decision =
      how === 'cms'
        ? await phone.bySignature(item)
        : phone.byFactor(factor, item, how === 'td' ? { transactionData: 'a=1' } : {})
    await phone.decide(id, decision)
    bench.clock.advance(1000)
    return id
  }
  const ids = [
    await decided('cms'),
    await decided('pin'),
    await decided('bio'),
    await decided('td'),
  ]
  await core.journal.createCheckpoint(admin, tenantId)
  const all = await Promise.all(
    ids.map(async (id) => JSON.parse(JSON.stringify(await core.evidence.get(admin, tenantId, id)))),
  )
  ;[signed, pinned, biometric, attested] = all
  const rows = await storage.read.journalReader.listRange(
    tenantId,
    { fromSeq: 1, toSeq: 1000 },
    1000,
  )
  const keys = await core.checkpoints.publicKeys(tenantId)
  trusted = {
    anchor: write('root.pem', toPem('CERTIFICATE', await core.pki.roots.anchor(tenantId))),
    jwks: write('keys.json', JSON.stringify({ keys })),
    export: write('export.ndjson', rows.map((row) => `${exportLine(row)}\n`).join('')),
  }
})
afterAll(async () => {
  await bench[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const copy = (evidence: Json): Json => structuredClone(evidence)

/** Names of the checks that ended like this. */
async function namesOf(
  evidence: Json,
  result: 'failed' | 'missing',
  options: EvidenceVerifyOptions = trusted,
): Promise<string[]> {
  const { checks } = await examineEvidence(
    write('evidence.json', JSON.stringify(evidence)),
    options,
  )
  return checks.filter((check) => check.result === result).map(({ name }) => name)
}

describe('evidence verify', () => {
  test('0, PROVEN: with files alone, from another folder, without any setting', async () => {
    const path = write('signed.json', JSON.stringify(signed))
    const options = ['--anchor', trusted.anchor, '--jwks', trusted.jwks, '--export', trusted.export]
    const end = await runCommand(['evidence', 'verify', path, '--json', ...options])
    expect(end).toMatchObject({ code: 0, stderr: '' })
    const { verdict, checks, ...said } = documentOf(end) as Json
    expect(verdict).toBe('PROVEN')
    expect(new Set(checks.map(({ result }: Json) => result))).toEqual(new Set(['passed']))
    expect(checks.map(({ name }: Json) => name)).toEqual([
      'content.sha256',
      'content.approval',
      'signature.1.signature',
      'signature.1.covers',
      'signature.1.certificate',
      'signature.1.chain',
      'signature.1.revocation',
      'audit-record.hash',
      'audit-record.covers',
      'checkpoint.signature',
      'checkpoint.covers',
    ])
    expect(said).toMatchObject({ decision: 'APPROVED', userId: phone.userId, deviceId: phone.id })
    const text = await runCommand(['evidence', 'verify', path, ...options])
    expect(text.stdout).toMatch(/\nPROVEN\n$/)
    expect(text.stdout).toContain('Pay 500 EUR to Max Muster')
  })

  test('PROVEN for PIN, biometric key and transaction data, and for the anchor in every form', async () => {
    for (const evidence of [pinned, biometric, attested]) {
      expect(await namesOf(evidence, 'failed')).toEqual([])
      expect(await namesOf(evidence, 'missing')).toEqual([])
    }
    const root = await bench.core.pki.roots.anchor(tenantId)
    const hash = hash64(root)
    const hex = Buffer.from(hash, 'base64url').toString('hex')
    const colons = hex.toUpperCase().replace(/..(?=.)/g, '$&:')
    for (const anchor of [write('root.der', root), hash, hex, colons]) {
      expect(await namesOf(signed, 'missing', { anchor })).toEqual([])
      expect(await namesOf(signed, 'failed', { anchor })).toEqual([])
    }
  })

  test('PROVEN after the signer of its certificate was revoked and its key destroyed; REFUTED when that was before', async () => {
    const { clock } = bench
    await using own = await createApprovalBench('sqlite', { clock })
    const user = await own.createUser()
    const device = await own.enrol(user)
    await device.certify()
    const { id } = await own.ask(user, {}, own.ast)
    await device.decide(id, await device.bySignature(await device.retrieve(id)))
    clock.advance(2_000)
    await own.core.pki.signers.revoke(own.admin, tenantId, 'current')
    await own.core.pki.signerClosing.closeDue()
    clock.advance(90 * 86_400_000)
    await own.core.journal.createCheckpoint(own.admin, tenantId)
    const evidence = JSON.parse(
      JSON.stringify(await own.core.evidence.get(own.admin, tenantId, id)),
    )
    expect(evidence.crls).toHaveLength(2)
    const options = {
      anchor: hash64(await own.core.pki.roots.anchor(tenantId)),
      jwks: write(
        'own.json',
        JSON.stringify({ keys: await own.core.checkpoints.publicKeys(tenantId) }),
      ),
    }
    const missing = await namesOf(evidence, 'missing', options)
    expect(missing.filter((name) => name.startsWith('signature'))).toEqual([])
    expect(await namesOf(evidence, 'failed', options)).toEqual([])

    const late = copy(evidence)
    late.decidedAt = new Date(Date.parse(late.decidedAt) + 3_000).toISOString()
    expect(await namesOf(late, 'failed', options)).toContain('signature.1.revocation')
  })

  test('1, INCOMPLETE: without a trust anchor nobody knows whose key it is', async () => {
    const path = write('signed.json', JSON.stringify(signed))
    const end = await runCommand(['evidence', 'verify', path, '--json'])
    expect(end.code).toBe(1)
    expect(documentOf(end)).toMatchObject({ verdict: 'INCOMPLETE' })
    expect(await namesOf(signed, 'missing', {})).toEqual(['signature.1.chain'])
  })

  test('65, REFUTED: a file in which one character of the text is another one', async () => {
    const changed = copy(signed)
    const text = Buffer.from(changed.content.bytes, 'base64').toString().replace('500', '900')
    changed.content.bytes = Buffer.from(text).toString('base64')
    const path = write('changed.json', JSON.stringify(changed))
    const end = await runCommand(['evidence', 'verify', path, '--json', '--anchor', trusted.anchor])
    expect(end.code).toBe(65)
    expect(documentOf(end)).toMatchObject({ verdict: 'REFUTED' })
  })

  test('what is missing is named: anchor of another tenant, lists, record, checkpoint, certificate', async () => {
    await using elsewhere = await createApprovalBench()
    const other = await elsewhere.core.pki.roots.anchor(tenantId)
    expect(await namesOf(signed, 'failed', { anchor: hash64(other) })).toEqual([
      'signature.1.chain',
    ])
    expect(await namesOf({ ...signed, crls: [] }, 'missing')).toEqual(['signature.1.revocation'])
    expect(await namesOf({ ...signed, auditRecord: null }, 'missing')).toEqual(['audit-record'])
    expect(await namesOf({ ...signed, checkpoint: null }, 'missing')).toEqual(['checkpoint'])
    const { anchor, jwks } = trusted
    expect(await namesOf(signed, 'missing', { anchor, jwks })).toEqual(['checkpoint.covers'])
    const bare = copy(pinned)
    bare.signatures[0].certificateChain = []
    expect(await namesOf(bare, 'missing')).toEqual(['signature.1.certificate'])
    const deviceKey = phone.deviceKey.thumbprint
    expect(await namesOf(bare, 'missing', { deviceKey })).toEqual([])
    expect(await namesOf(bare, 'failed', { deviceKey })).toEqual([])
    expect(await namesOf(bare, 'failed', { deviceKey: phone.bioKey.thumbprint })).toEqual([
      'signature.1.device-key',
    ])
    const untied = { ...biometric, keyStatement: null }
    expect(await namesOf(untied, 'missing')).toContain('signature.1.key-statement')
  })

  test('every member that is changed is refuted by the check that it belongs to', async () => {
    const other = bench.composed.nextId()
    const cases: [Json, (evidence: Json) => void, string][] = [
      [signed, (e) => (e.content.sha256 = '0'.repeat(64)), 'content.sha256'],
      [signed, (e) => (e.approvalId = other), 'content.approval'],
      [signed, (e) => (e.userId = 'someone'), 'signature.1.certificate'],
      [signed, (e) => (e.deviceId = other), 'signature.1.certificate'],
      [signed, (e) => (e.tenantId = 'shop'), 'signature.1.certificate'],
      [signed, (e) => (e.decision = 'REJECTED'), 'signature.1.covers'],
      [signed, (e) => (e.decidedAt = '2036-01-01T00:00:00.000Z'), 'signature.1.chain'],
      [signed, (e) => (e.decidedAt = '2016-01-01T00:00:00.000Z'), 'signature.1.chain'],
      [signed, (e) => (e.decidedAt = '2026-11-21T10:01:00.000Z'), 'audit-record.covers'],
      [signed, (e) => (e.signatures[0].signedBytes = 'e30='), 'signature.1.covers'],
      [
        signed,
        (e) => (e.signatures[0].publicKey = biometric.signatures[0].publicKey),
        'signature.1.signature',
      ],
      [signed, (e) => e.signatures[0].certificateChain.reverse(), 'signature.1.signature'],
      [signed, (e) => e.signatures[0].certificateChain.splice(1, 1), 'signature.1.chain'],
      [signed, (e) => (e.auditRecord.detail.contentSha256 = '0'.repeat(64)), 'audit-record.hash'],
      [signed, (e) => (e.auditRecord.seq += 1), 'audit-record.hash'],
      [signed, (e) => (e.auditRecord = pinned.auditRecord), 'audit-record.covers'],
      [signed, (e) => (e.checkpoint = `${e.checkpoint.slice(0, -4)}AAAA`), 'checkpoint.signature'],
      [pinned, (e) => (e.approvalId = other), 'signature.1.covers'],
      [pinned, (e) => (e.reference = 'other'), 'signature.1.covers'],
      [pinned, (e) => (e.deviceId = other), 'signature.1.covers'],
      [pinned, (e) => (e.factor = 'BIOMETRIC'), 'signature.1.covers'],
      [pinned, (e) => (e.decision = 'REJECTED'), 'signature.1.covers'],
      [pinned, (e) => (e.content = signed.content), 'signature.1.covers'],
      [pinned, (e) => (e.transactionData = 'a=1'), 'signature.1.transaction-data'],
      [attested, (e) => (e.transactionData = 'a=2'), 'signature.1.transaction-data'],
      [attested, (e) => (e.transactionData = 'a=2'), 'signature.2.covers'],
      [attested, (e) => (e.signatures[1].publicKey.e = 'Aw'), 'signature.2.signature'],
      [
        biometric,
        (e) => (e.signatures[0].publicKey = signed.signatures[0].publicKey),
        'signature.1.signature',
      ],
      [
        biometric,
        (e) => (e.keyStatement = `${e.keyStatement.slice(0, -4)}AAAA`),
        'signature.1.key-statement',
      ],
      [attested, (e) => e.signatures.shift(), 'signature'],
    ]
    for (const [evidence, change, name] of cases) {
      const changed = copy(evidence)
      change(changed)
      expect(await namesOf(changed, 'failed'), `${change}`).toContain(name)
    }
  })

  test('a signature by another key under the same certificate, or over other bytes, is refuted', async () => {
    const [leaf = new Uint8Array(), ...chain] = phone.chain
    const sha256 = (bytes: Uint8Array) => Buffer.from(hash64(bytes), 'base64url')
    const signedBy = async (
      key: { sign: (bytes: Uint8Array) => Promise<Uint8Array> },
      content: Uint8Array,
    ) => {
      const changed = copy(signed)
      const draft = { content, leaf, chain, signingTimeMs: bench.clock() }
      const der = await writeSignedData(draft, { sha256, sign: key.sign })
      changed.signatures[0].signature = Buffer.from(der).toString('base64')
      return namesOf(changed, 'failed')
    }
    const content = Buffer.from(signed.content.bytes, 'base64')
    expect(await signedBy(phone.deviceKey, content)).toEqual([])
    expect(await signedBy(createTestKey(), content)).toEqual(['signature.1.signature'])
    expect(await signedBy(phone.deviceKey, Buffer.from('{}'))).toEqual(['signature.1.covers'])
  })

  test('a certificate that was revoked later leaves the decision proven; before it, refuted', async () => {
    const { core, admin } = bench
    const { id } = await bench.ask(phone.userId, {}, bench.ast)
    const device = await bench.enrol(phone.userId, { pin: '4711' })
    await device.certify()
    const item = await device.retrieve(id)
    await device.decide(id, await device.bySignature(item))
    bench.clock.advance(60_000)
    await core.pki.certificates.revoke(admin, tenantId, {
      id: device.certificateId,
      reason: 'KEY_COMPROMISE',
    })
    const later = JSON.parse(JSON.stringify(await core.evidence.get(admin, tenantId, id)))
    const { anchor } = trusted
    expect(await namesOf(later, 'failed', { anchor })).toEqual([])
    expect(await namesOf(later, 'missing', { anchor })).toEqual([])
    later.decidedAt = new Date(bench.clock() + 1_000).toISOString()
    expect(await namesOf(later, 'failed', { anchor })).toContain('signature.1.revocation')
    later.decidedAt = new Date(bench.clock() + 3_600_000).toISOString()
    later.crls = later.crls.slice(1)
    expect(await namesOf(later, 'missing', { anchor })).toContain('signature.1.revocation')
  })

  test('an export that was cut or changed does not lead to the checkpoint', async () => {
    const lines = readFileSync(trusted.export, 'utf8').split('\n')
    const at = lines.findIndex((line) => line.includes(`"seq":${signed.auditRecord.seq + 1},`))
    const cut = write('cut.ndjson', lines.toSpliced(at, 1).join('\n'))
    const options = { ...trusted, export: cut }
    expect(await namesOf(signed, 'failed', options)).toEqual(['checkpoint.covers'])
    const foreign = write(
      'foreign.ndjson',
      lines.map((line) => line.replace('acme', 'shop')).join('\n'),
    )
    expect(await namesOf(signed, 'failed', { ...trusted, export: foreign })).toEqual([
      'checkpoint.covers',
    ])
  })

  test('65 for what is no evidence: broken JSON, repeated or unknown members, bad base64, control characters', async () => {
    const text = JSON.stringify(signed)
    for (const bad of [
      '',
      '{',
      '[]',
      text.slice(0, -1),
      `${text} `.replace('{', '{"approvalId":"x",'),
      JSON.stringify({ ...signed, more: 1 }),
      JSON.stringify({ ...signed, crls: ['?'] }),
      JSON.stringify({ ...signed, userId: '\u001b[2J' }),
      JSON.stringify({ ...signed, signatures: [] }),
    ]) {
      await expect(examineEvidence(write('bad.json', bad), {})).rejects.toThrow(
        expect.objectContaining({ exitCode: 65 }) as Error,
      )
    }
    const missing = await runCommand(['evidence', 'verify', join(folder, 'none.json')])
    expect(missing.code).toBe(69)
    const path = write('signed.json', text)
    const noAnchor = await runCommand(['evidence', 'verify', path, '--anchor', path])
    expect(noAnchor.code).toBe(65)
    const alone = await runCommand(['evidence', 'verify', path, '--export', path])
    expect(alone.code).toBe(2)
  })
})
