import { Readable } from 'node:stream'
import { checkpointDocument } from '#domain/journal/checkpoint-service.ts'
import type { Checkpoint } from '#domain/journal/checkpoint-store.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'

/** One page of the log. */
export const listAuditRecords: Endpoint<'listAuditRecords'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const { from, to, ...filter } = query
  const page = await core.journal.list(caller, params.tenantId, {
    ...filter,
    ...(from === undefined ? {} : { fromMs: Date.parse(from) }),
    ...(to === undefined ? {} : { toMs: Date.parse(to) }),
  })
  return {
    status: 200,
    body: {
      items: page.items.map(toRecord),
      ...(page.nextCursor === undefined ? {} : { nextCursor: page.nextCursor }),
    },
  }
}

/** One record. */
export const getAuditRecord: Endpoint<'getAuditRecord'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toRecord(await core.journal.get(caller, params.tenantId, params.seq)),
})

/** The log as NDJSON, each line the canonical form of a record. */
export const exportAuditRecords: Endpoint<'exportAuditRecords'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const lines = await core.journal.export(caller, params.tenantId, query)
  return { status: 200, body: Readable.from(lines) }
}

/** Recomputes the chain. */
export const verifyAuditLog: Endpoint<'verifyAuditLog'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const verification = await core.journal.verify(caller, params.tenantId, body)
  return { status: 200, body: { ...verification, faults: [...verification.faults] } }
}

/** Checkpoints in order of creation. */
export const listAuditCheckpoints: Endpoint<'listAuditCheckpoints'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const page = await core.checkpoints.list(caller, params.tenantId, query)
  return {
    status: 200,
    body: {
      items: page.items.map(toCheckpoint),
      ...(page.nextCursor === undefined ? {} : { nextCursor: page.nextCursor }),
    },
  }
}

/** Signs a checkpoint over the newest record. */
export const createAuditCheckpoint: Endpoint<'createAuditCheckpoint'> = async ({
  core,
  caller,
  params,
}) => ({
  status: 200,
  body: toCheckpoint(await core.journal.createCheckpoint(caller, params.tenantId)),
})

/** The text is the record: it was written to this shape. */
function toRecord(line: string): Schemas['AuditRecord'] {
  return JSON.parse(line) as Schemas['AuditRecord']
}

function toCheckpoint(checkpoint: Checkpoint): Schemas['AuditCheckpoint'] {
  return checkpointDocument(checkpoint)
}
