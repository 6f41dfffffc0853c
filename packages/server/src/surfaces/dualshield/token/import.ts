import { DomainError } from '#domain/errors.ts'
import type { ImportReport } from '#domain/otp-tokens/import-report.ts'
import { single } from '../body.ts'
import type { Schemas } from '../contract.gen.ts'
import type { Endpoint } from '../endpoint.ts'
import { wireErrors } from '../errors.ts'
import { type Return, readReturn, type ShownObject } from '../projection.ts'
import { type Agent, findProduct, findRepository, tenantOf } from '../references.ts'
import { missing } from '../refusals.ts'

/** Imports a seed file: all of its tokens or none. */
export const tokenImport: Endpoint<'tokenImport'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const attrs = single<Schemas['TokenImportAttrs']>(body.attrs)
  const { data, product, repository, key, password } = attrs
  const wanted = readReturn('token', body.return ?? ['id', 'serial'])
  if (data === undefined) throw missing('attrs.data')
  const productId =
    product === undefined ? undefined : await findProduct(agent, 'attrs.product', product)
  const repositoryId =
    repository === undefined
      ? undefined
      : await findRepository(agent, 'attrs.repository', repository)
  try {
    const report = await core.imports.importFile(caller, tenantOf(caller), {
      file: {
        text: data,
        format: attrs.format ?? 'AUTO',
        encoding: attrs.encode ?? 'BASE32',
        key,
        password,
      },
      ...(productId === undefined ? {} : { product: { id: productId } }),
      repositoryId,
      duplicates: attrs.duplicates === 'skip' ? 'SKIP' : 'REJECT',
      dryRun: false,
    })
    if (report.failed > 0) return rejected(report.total, failuresOf(report))
    const rows = await showImported(agent, report, wanted)
    return { status: 200, body: { error: 0, result: { total: rows.length, rows } } }
  } catch (error) {
    if (!(error instanceof DomainError) || error.code !== 'import_rejected') throw error
    // The file as a whole: its faults have no entry of their own.
    return rejected(0, fileFaults(error))
  }
}

type FailedEntry = Schemas['ImportReport']['rows'][number]

const objectsPerPage = 1_000

/** The new tokens, in the file's order. */
async function showImported(
  { core, caller }: Agent,
  { entries }: ImportReport,
  wanted: Return,
): Promise<ShownObject[]> {
  const ids = entries.flatMap(({ tokenId }) => tokenId ?? [])
  const shown = new Map<string, ShownObject>()
  for (let start = 0; start < ids.length; start += objectsPerPage) {
    const page = ids.slice(start, start + objectsPerPage)
    const { rows } = await core.directory.search(caller, tenantOf(caller), 'token', {
      conditions: [{ path: ['id'], op: 'in', value: page }],
      sort: { path: ['id'], descending: false },
      limit: objectsPerPage,
      offset: 0,
      projection: wanted.projection,
    })
    for (const row of rows) shown.set(row.id, wanted.show(row))
  }
  return ids.map((id) => shown.get(id)).filter((token) => token !== undefined)
}

function failuresOf({ entries }: ImportReport): FailedEntry[] {
  return entries
    .filter(({ result }) => result === 'FAILED')
    .map(({ index, serial, code, message }) => entry(index, serial, code, message))
}

function fileFaults({ faults, message }: DomainError): FailedEntry[] {
  if (faults.length === 0) return [entry(1, null, undefined, message)]
  return faults.map((fault) => entry(fault.index ?? 1, null, fault.code, fault.message))
}

function entry(
  index: number,
  serial: string | null,
  code: string | undefined,
  message: string | undefined,
): FailedEntry {
  if (code === 'duplicate' || code === 'not_unique') {
    return { index, serial, error: 1026, message: 'An object with the same serial exists' }
  }
  const error = code === 'required' ? 1003 : code === 'unsupported' ? 1035 : 1004
  return { index, serial, error, message: message ?? 'The entry is not valid.' }
}

function rejected(total: number, rows: readonly FailedEntry[]) {
  const { error, message } = wireErrors.import_rejected
  return {
    status: 200,
    body: {
      error,
      message,
      severity: 'ERROR',
      result: { total: Math.max(total, rows.length), failed: rows.length, rows },
    },
  } as const
}
