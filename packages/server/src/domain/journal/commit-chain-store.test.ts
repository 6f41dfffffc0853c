import { ChainVerifier, parseExportLine } from '@countersign/protocol/journal/chain-verifier.ts'
import { expect, test } from 'vitest'
import { systemRandomness } from '#custody/randomness.ts'
import { statement } from '#storage/statement.ts'
import { createPlace } from '#test/storage/databases.ts'
import { testCaller } from '#test/support/core.ts'
import { Storage } from '../storage.ts'
import { createIdSource } from '../ulid.ts'
import { exportLine, writeRecord } from './journal-record.ts'
import { Sealer } from './sealer.ts'

const caller = testCaller('acme', ['tenant:write'])

function storageOver(database: ConstructorParameters<typeof Storage>[0]): Storage {
  return new Storage(database, Date.now, createIdSource(Date.now, systemRandomness))
}

function append(storage: Storage, number: number): Promise<string> {
  return storage.transaction(async ({ journal }) => {
    const id = await journal.append(caller, 'acme', { action: 'user.created', detail: { number } })
    if (number % 10 === 7) throw new Error('undone')
    return id
  })
}

async function chainOf(storage: Storage): Promise<{ ids: string[]; isWhole: boolean }> {
  const range = { fromSeq: 1, toSeq: 1_000_000 }
  const rows = await storage.read.journalReader.listRange('acme', range, 1_000)
  const verifier = new ChainVerifier()
  const ids: string[] = []
  for (const row of rows) {
    const record = parseExportLine(exportLine(row))
    if (record === undefined) throw new Error('A record cannot be read.')
    verifier.add(record)
    ids.push(String(record.id))
  }
  return { ids, isWhole: verifier.faults.length === 0 && rows.at(-1)?.seq === rows.length }
}

const putQueued = statement((db, p: { id: string; head: string; middle: string; tail: string }) =>
  db
    .insertInto('journal_queue')
    .values({ tenant_id: 'acme', id: p.id, head: p.head, middle: p.middle, tail: p.tail }),
)

test('a record is in the chain when its transaction has ended, and only if it was committed', async () => {
  await using place = await createPlace('sqlite')
  const database = place.open()
  await database.migrate()
  const storage = storageOver(database)
  const ended = await Promise.allSettled(Array.from({ length: 200 }, (_, n) => append(storage, n)))
  const acknowledged = ended.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []))
  expect(acknowledged).toHaveLength(180)
  expect(await chainOf(storage)).toEqual({ ids: acknowledged, isWhole: true })
  expect(await storage.read.journal.countWaiting()).toBe(0)
})

test('a server and a command on one file make one chain', async () => {
  await using place = await createPlace('sqlite')
  const database = place.open()
  await database.migrate()
  const storages = [storageOver(database), storageOver(place.open({ exclusive: false }))]
  const acknowledged: string[] = []
  await Promise.all(
    storages.map(async (storage) => {
      for (let number = 0; number < 60; number++) {
        const id = await append(storage, number).catch(() => undefined)
        if (id !== undefined) acknowledged.push(id)
      }
    }),
  )
  for (const storage of storages) {
    const { ids, isWhole } = await chainOf(storage)
    expect(isWhole).toBe(true)
    expect(ids.toSorted()).toEqual(acknowledged.toSorted())
  }
})

test('what an earlier version left in the queue is chained by the sealer', async () => {
  await using place = await createPlace('sqlite')
  const database = place.open()
  await database.migrate()
  const storage = storageOver(database)
  await append(storage, 1)
  const id = '01M7YS269JA6VETBJV1CD9EGT2'
  const { tenantId: _, ...queued } = writeRecord(
    caller,
    'acme',
    { action: 'user.locked' },
    { id, atMs: 1 },
  )
  await database.transaction((queries) => queries.run(putQueued, queued))
  await append(storage, 2)
  const seen: number[] = []
  const sealer = new Sealer({
    storage,
    clock: Date.now,
    holder: 'test',
    afterSealing: async (_tenantId, { seq }) => {
      seen.push(seq)
    },
    observer: {
      sealingFailed: (error) => {
        throw error
      },
    },
  })
  await sealer.sealAll()
  const { ids, isWhole } = await chainOf(storage)
  expect(isWhole).toBe(true)
  expect(ids.at(-1)).toBe(id)
  expect(seen.at(-1)).toBe(3)
  await append(storage, 3)
  await sealer.sealAll()
  await sealer.sealAll()
  expect(seen.filter((seq) => seq === 4)).toHaveLength(1)
})
