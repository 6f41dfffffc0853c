import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Storage } from '#domain/storage.ts'
import { openDatabase } from '#storage/database.ts'
import { tenantId } from '../support/approvals.ts'
import { writtenRecords } from '../support/journal.ts'

const program = fileURLToPath(new URL('../storage/programs/decide.ts', import.meta.url))

/** Kills the program when that many decisions were answered. @returns what it said of each approval last. */
async function killAfter(url: string, doneCount: number): Promise<Map<string, string>> {
  const child = spawn(process.execPath, [program, url], { stdio: ['ignore', 'pipe', 'inherit'] })
  const said = new Map<string, string>()
  let count = 0
  const closed = once(child, 'close')
  for await (const line of createInterface({ input: child.stdout })) {
    const [word = '', id = ''] = line.split(' ')
    said.set(id, word)
    if (word === 'done' && ++count === doneCount) child.kill('SIGKILL')
  }
  await closed
  return said
}

test.each([1, 17, 40])(
  'kill -9 after %i answers: a decision stands once, whole, or was never made',
  async (doneCount) => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-kill-'))
    try {
      const url = `sqlite:${join(folder, 'test.db')}`
      const said = await killAfter(url, doneCount)
      const database = openDatabase(url)
      await database.migrate()
      const { read } = new Storage(database, Date.now, () => '')
      const records = await writtenRecords(database, tenantId)
      for (const [approvalId, word] of said) {
        const approval = await read.approvals.find(tenantId, approvalId)
        const evidence = await read.approvals.evidence.find({ tenantId, approvalId })
        const ends = records.filter(
          ({ action, target }) => action === 'approval.approved' && target?.id === approvalId,
        )
        const isDecided = approval?.status === 'APPROVED'
        if (word === 'done') expect(isDecided).toBe(true)
        expect(evidence !== undefined).toBe(isDecided)
        expect(ends).toHaveLength(isDecided ? 1 : 0)
      }
      expect([...said.values()].filter((word) => word === 'done').length).toBeGreaterThanOrEqual(
        doneCount,
      )
      await database.close()
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
  60_000,
)
