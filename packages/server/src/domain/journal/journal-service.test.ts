import { parseExportLine } from '@countersign/protocol/journal/chain-verifier.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JwsVerifier } from '#custody/signer.ts'
import { statement } from '#storage/statement.ts'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { CheckpointService } from './checkpoint-service.ts'
import { JournalService } from './journal-service.ts'
import { Retention } from './retention.ts'
import { Sealer } from './sealer.ts'
import { UserRecords } from './user-records.ts'

const overwriteBody = statement((db, p: { tenantId: string; seq: number; body: string }) =>
  db
    .updateTable('journal_record')
    .set({ body: p.body })
    .where('tenant_id', '=', p.tenantId)
    .where('seq', '=', p.seq),
)

const removeRecord = statement((db, p: { tenantId: string; seq: number }) =>
  db.deleteFrom('journal_record').where('tenant_id', '=', p.tenantId).where('seq', '>=', p.seq),
)

describe.each(engines)('the journal on %s', (engine) => {
  let core: TestCore
  let journal: JournalService
  let checkpoints: CheckpointService
  let sealer: Sealer
  let retention: Retention
  const auditor = (tenantId: string) => testCaller(tenantId, ['audit:read'])

  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    const { storage, signer, clock, nextId } = core
    checkpoints = new CheckpointService({
      storage,
      signer,
      verifier: new JwsVerifier(),
      clock,
      nextId,
    })
    sealer = newSealer('a')
    const userRecords = new UserRecords({ storage, clock })
    journal = new JournalService({ storage, checkpoints, sealer, userRecords, clock })
    retention = new Retention({ storage, checkpoints, userRecords, clock })
  })
  afterAll(() => core[Symbol.asyncDispose]())

  const newSealer = (holder: string): Sealer =>
    new Sealer({
      storage: core.storage,
      clock: core.clock,
      holder,
      afterSealing: (tenantId, head) => checkpoints.afterSealing(tenantId, head),
      observer: {
        sealingFailed: (error) => {
          throw error
        },
      },
    })

  async function newTenant(id: string, recordCount: number): Promise<void> {
    await core.tenants.create(platformAdmin, { id, name: id })
    await write(id, recordCount)
  }

  async function write(tenantId: string, recordCount: number): Promise<void> {
    const caller = testCaller(tenantId, ['tenant:write'])
    await Promise.all(
      Array.from({ length: recordCount }, (_record, number) =>
        core.storage.transaction(
          (stores) =>
            stores.journal.append(caller, tenantId, {
              action: number % 2 === 0 ? 'user.created' : 'verification.attempted',
              outcome: number % 3 === 0 ? 'FAILURE' : 'SUCCESS',
              target: { type: 'user', id: `user-${number % 5}` },
              userId: `user-${number % 5}`,
              detail: { number, text: 'Müller "\u2028' },
            }),
          { grouped: true },
        ),
      ),
    )
  }

  async function exported(tenantId: string): Promise<string[]> {
    let text = ''
    for await (const part of await journal.export(auditor(tenantId), tenantId, {})) text += part
    return text.split('\n').slice(0, -1)
  }

  test('every committed record gets its place: seq without gaps, a chain that verifies', async () => {
    await newTenant('chain', 250)
    await sealer.sealTenant('chain')
    const lines = await exported('chain')
    const records = lines.map((line) => parseExportLine(line))
    expect(records.every((record) => record !== undefined)).toBe(true)
    expect(records.map((record) => record?.seq)).toEqual(lines.map((_line, index) => index + 1))
    expect(lines.length).toBeGreaterThanOrEqual(250)
    const outcome = await journal.verify(auditor('chain'), 'chain', {})
    expect(outcome).toMatchObject({ valid: true, checked: lines.length, lastSeq: lines.length })
  })

  test('records that are not sealed yet are in no answer, and are not lost', async () => {
    await newTenant('late', 3)
    await sealer.sealTenant('late')
    const before = (await exported('late')).length
    await write('late', 2)
    // SQLite chains with the commit; nothing waits there.
    expect(await exported('late')).toHaveLength(engine === 'sqlite' ? before + 2 : before)
    await sealer.sealTenant('late')
    expect(await exported('late')).toHaveLength(before + 2)
  })

  test('two sealers at once make one chain', async () => {
    await newTenant('twice', 300)
    await Promise.allSettled([
      newSealer('b').sealTenant('twice'),
      newSealer('c').sealTenant('twice'),
    ])
    await sealer.sealTenant('twice')
    expect(await journal.verify(auditor('twice'), 'twice', {})).toMatchObject({ valid: true })
    const ids = new Set((await exported('twice')).map((line) => parseExportLine(line)?.id))
    expect(ids.size).toBe((await exported('twice')).length)
  })

  test('a changed record is found', async () => {
    await newTenant('changed', 10)
    await sealer.sealTenant('changed')
    const record = await core.storage.read.journalReader.find('changed', 5)
    const body = record?.body.replace('"number":', '"number":1') ?? ''
    await core.test.database.transaction((queries) =>
      queries.run(overwriteBody, { tenantId: 'changed', seq: 5, body }),
    )
    expect(await journal.verify(auditor('changed'), 'changed', {})).toMatchObject({
      valid: false,
      faults: [{ seq: 5, code: 'HASH_MISMATCH' }],
    })
  })

  test('R15: a tail that was cut off is found with a checkpoint kept outside', async () => {
    await newTenant('cut', 10)
    await sealer.sealTenant('cut')
    await write('cut', 5)
    // Nothing is due so soon after the first one.
    const head = await sealer.sealTenant('cut')
    expect((await core.storage.read.checkpoints.findLatest('cut'))?.seq).not.toBe(head?.seq)
    const kept = await journal.createCheckpoint(auditor('cut'), 'cut')
    expect(kept).toMatchObject({ reason: 'REQUESTED' })
    expect(await journal.verify(auditor('cut'), 'cut', { checkpoint: kept.jws })).toMatchObject({
      valid: true,
    })
    await core.test.database.transaction((queries) =>
      queries.run(removeRecord, { tenantId: 'cut', seq: kept.seq - 2 }),
    )
    expect(await journal.verify(auditor('cut'), 'cut', {})).toMatchObject({ valid: true })
    expect(await journal.verify(auditor('cut'), 'cut', { checkpoint: kept.jws })).toMatchObject({
      valid: false,
      faults: [{ seq: kept.seq, code: 'MISSING_TAIL' }],
    })
    const [header, payload = '', signature] = kept.jws.split('.')
    const forged = Buffer.from(payload, 'base64url').toString().replace('"v":1', '"v":2')
    const jws = [header, Buffer.from(forged).toString('base64url'), signature].join('.')
    expect(await journal.verify(auditor('cut'), 'cut', { checkpoint: jws })).toMatchObject({
      valid: false,
      faults: [{ code: 'CHECKPOINT_SIGNATURE_INVALID' }],
    })
  })

  test('a checkpoint is made every 1000 records', async () => {
    await newTenant('many', 5)
    await sealer.sealTenant('many')
    const first = await core.storage.read.checkpoints.findLatest('many')
    await write('many', 2_100)
    await sealer.sealTenant('many')
    const seqs: number[] = []
    for (const { seq } of (await checkpoints.list(auditor('many'), 'many', { limit: 50 })).items) {
      seqs.push(seq)
    }
    for (const [index, seq] of seqs.entries()) {
      expect(seq - (seqs[index - 1] ?? first?.seq ?? 0)).toBeLessThan(1_100)
    }
    const page = await checkpoints.list(auditor('many'), 'many', { limit: 50 })
    expect(page.items.filter(({ reason }) => reason === 'SCHEDULED').length).toBeGreaterThanOrEqual(
      2,
    )
    expect(await journal.verify(auditor('many'), 'many', {})).toMatchObject({
      valid: true,
      checkpoints: page.items.length,
    })
  })

  test('filters narrow, pages neither repeat nor skip, in both orders', async () => {
    await newTenant('query', 60)
    await sealer.sealTenant('query')
    for (const order of ['asc', 'desc'] as const) {
      const seen: number[] = []
      let cursor: string | undefined
      do {
        const page = await journal.list(auditor('query'), 'query', {
          limit: 7,
          order,
          userId: 'user-1',
          ...(cursor === undefined ? {} : { cursor }),
        })
        seen.push(...page.items.map((line) => parseExportLine(line)?.seq ?? 0))
        cursor = page.nextCursor
      } while (cursor !== undefined)
      expect(seen).toHaveLength(12)
      expect(seen).toEqual(
        seen.toSorted((one, other) => (order === 'asc' ? one - other : other - one)),
      )
    }
    const nouns = await journal.list(auditor('query'), 'query', {
      limit: 200,
      order: 'asc',
      action: 'user.*',
      outcome: 'FAILURE',
    })
    expect(nouns.items).toHaveLength(10)
  })

  test('retention removes up to a checkpoint; what is left still verifies', async () => {
    await newTenant('old', 20)
    await sealer.sealTenant('old')
    core.clock.advance(40 * 86_400_000)
    await write('old', 5)
    await sealer.sealTenant('old')
    const removed = await retention.apply('old', 30)
    expect(removed).toBeGreaterThanOrEqual(20)
    const lines = await exported('old')
    expect(lines).toHaveLength(5)
    const [mark] = (await checkpoints.list(auditor('old'), 'old', { limit: 200 })).items.filter(
      ({ reason }) => reason === 'RETENTION',
    )
    expect(parseExportLine(lines[0] ?? '')?.prevHash).toBe(mark?.hash)
    expect(mark?.firstSeq).toBe(parseExportLine(lines[0] ?? '')?.seq)
    expect(await journal.verify(auditor('old'), 'old', {})).toMatchObject({ valid: true })
  })

  test("another tenant's journal does not exist, the platform's is for its administrators", async () => {
    await expect(journal.verify(platformAdmin, 'nowhere', {})).rejects.toMatchObject({
      code: 'tenant_not_found',
    })
    await expect(journal.verify(auditor('chain'), 'query', {})).rejects.toMatchObject({
      code: 'tenant_not_found',
    })
    await expect(journal.verify(auditor('chain'), '_platform', {})).rejects.toMatchObject({
      code: 'tenant_not_found',
    })
    await sealer.sealAll()
    expect(await journal.verify(platformAdmin, '_platform', {})).toMatchObject({ valid: true })
  })
})
