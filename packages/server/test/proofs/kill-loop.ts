/**
 * Proof of R10: `npm run proof:kill [-- ROUNDS]`. Kills a writing server process at random instants, by default 500 times
 * on each engine, and on PostgreSQL every tenth round the server itself as in a power cut. Nothing that was acknowledged
 * may be missing, nothing half-done, and everything opens by itself.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type KillSummary, runKillRounds } from '../storage/kill-rounds.ts'
import { PostgresServer } from '../support/postgres-server.ts'

const roundCount = Number(process.argv[2] ?? 500)
const lifeMsMax = 400
if (!Number.isSafeInteger(roundCount) || roundCount < 1) {
  throw new Error('ROUNDS is a whole number.')
}

function report(engine: string): (round: number, summary: KillSummary) => void {
  return (round, { acknowledgedCount, entryCount }) => {
    if (round % 10 !== 0 && round !== roundCount) return
    process.stdout.write(
      `${engine}: ${round} of ${roundCount} rounds, ${acknowledgedCount} entries acknowledged, ${entryCount} there\n`,
    )
  }
}

async function proveSqlite(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-kill-'))
  try {
    const url = `sqlite:${join(folder, 'kill.db')}`
    await runKillRounds({ url, roundCount, lifeMsMax, onRound: report('sqlite') })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function provePostgres(): Promise<void> {
  await using server = await PostgresServer.create()
  await runKillRounds({
    url: server.url,
    roundCount,
    lifeMsMax,
    onRound: report('postgres'),
    async between(round) {
      if (round % 10 !== 0) return
      await server.stop('immediate')
      await server.start()
    },
  })
}

await proveSqlite()
await provePostgres()
process.stdout.write('Nothing acknowledged is missing, nothing is half-done.\n')
