import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DeviceRefusal } from '#domain/devices/device-refusal.ts'
import { Child } from '../storage/child.ts'
import { type ApprovalBench, createApprovalBench, tenantId } from '../support/approvals.ts'
import { openSession } from '../support/phone.ts'
import { createTestDatabase } from '../support/postgres.ts'

/** What the killed program said of itself. */
interface Said {
  readonly device: { readonly id: string; readonly userId: string }
  /** What it was about to send, by approval. */
  readonly decisions: ReadonlyMap<string, string>
  readonly answered: ReadonlySet<string>
}

/** Kills the program when that many decisions were answered. */
async function killAfter(url: string, doneCount: number): Promise<Said> {
  let device = { id: '', userId: '' }
  const decisions = new Map<string, string>()
  const answered = new Set<string>()
  const child = new Child('decide', [url], (line) => {
    const [word = '', id = '', rest = ''] = line.split(' ')
    if (word === 'device') device = { id, userId: rest }
    else if (word === 'asked') decisions.set(id, rest)
    else if (word === 'done' && answered.add(id).size === doneCount) child.process.kill('SIGKILL')
  })
  const { signal, errors } = await child.ended
  expect({ signal, errors }).toEqual({ signal: 'SIGKILL', errors: '' })
  return { device, decisions, answered }
}

/** Sends what a device that got no answer sends again. @returns how it ended, or why not. */
async function repeat(bench: ApprovalBench, { device, decisions }: Said, id: string) {
  const session = await openSession(bench, { tenantId, ...device })
  const decision = { decision: 'accept', signedData: decisions.get(id) ?? '' } as const
  try {
    return (await bench.core.decisions.decide(session, id, decision)).approval.status
  } catch (error) {
    if (error instanceof DeviceRefusal) return { code: error.code, ...error.facts }
    throw error
  }
}

test.each([
  ['sqlite', 1],
  ['sqlite', 30],
  ['postgres', 10],
] as const)(
  'kill -9 on %s after %i answers: a decision stands once, whole, or was never made; repeated, it is',
  async (engine, doneCount) => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-kill-'))
    const own = engine === 'postgres' ? await createTestDatabase() : undefined
    const url = own?.url ?? `sqlite:${join(folder, 'test.db')}`
    try {
      const said = await killAfter(url, doneCount)
      expect(said.answered.size).toBeGreaterThanOrEqual(doneCount)
      await using bench = await createApprovalBench('sqlite', { url, isMade: true })
      const { read } = bench.storage
      const evidenceOf = (approvalId: string) =>
        read.approvals.evidence.find({ tenantId, approvalId })
      for (const id of said.decisions.keys()) {
        const isDecided = (await read.approvals.find(tenantId, id))?.status === 'APPROVED'
        if (said.answered.has(id)) expect(isDecided).toBe(true)
        const evidence = await evidenceOf(id)
        expect(evidence !== undefined).toBe(isDecided)
        expect(await repeat(bench, said, id)).toEqual(
          isDecided
            ? { code: 'approval_final', approvalStatus: 'APPROVED', decidedByThisDevice: true }
            : 'APPROVED',
        )
        if (isDecided) expect(await evidenceOf(id)).toEqual(evidence)
      }
      const ends = (await bench.records()).flatMap(({ action, target }) =>
        action === 'approval.approved' ? [target?.id] : [],
      )
      expect(ends).toHaveLength(said.decisions.size)
      expect(new Set(ends)).toEqual(new Set(said.decisions.keys()))
    } finally {
      await own?.drop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
  60_000,
)
